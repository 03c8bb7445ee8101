"""Whether an answer follows a JSON Schema. The library is loaded by the first data set that states one."""

from __future__ import annotations

import json
from typing import Any


def wrong_schema(schema: dict[str, Any]) -> str | None:
    """What is wrong with a schema that no answer could be judged by."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  (most data sets state no schema)
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415  (as above)
    from jsonschema.validators import validator_for  # noqa: PLC0415  (as above)

    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return str(error.message)
    except (OverflowError, RecursionError) as error:  # of a pattern in it, or of itself
        return str(error)
    return None


def follows(text: str, schema: str) -> bool:
    """Whether an answer is one document in JSON that follows the schema, which is JSON too. Nothing that a schema refers to is
    fetched: what needs that is not followed."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  (most data sets state no schema)
    from jsonschema.validators import validator_for  # noqa: PLC0415  (as above)
    from referencing import Registry  # noqa: PLC0415  (as above)
    from referencing.exceptions import Unresolvable  # noqa: PLC0415  (as above)

    try:
        document, stated = json.loads(text), json.loads(schema)
        kind = validator_for(stated, default=Draft202012Validator)
        return bool(kind(stated, registry=Registry()).is_valid(document))
    except (ValueError, Unresolvable, RecursionError):
        return False
