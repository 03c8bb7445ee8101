"""What transformers knows by itself: the model types, configurations and tokenizers that need no code out of a folder.

`auto_map` in a folder's files names classes in Python modules that lie beside them. Many models carry it from the time
before transformers knew them. Here it is data: nothing of it is ever imported, and what cannot be had without it is refused.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inference.engine.files.families import FAMILIES


def is_known(config: Mapping[str, Any]) -> bool:
    """Whether we or transformers have code for this model as one that writes texts. To ask transformers takes seconds."""
    kind = str(config.get("model_type"))
    if kind in FAMILIES:
        return True
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: PLC0415  (seconds, and our families need none of it)

    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def code_named(auto_map: Any) -> str:
    """The classes that `auto_map` speaks of: those of a model that writes texts, where it says which these are."""
    entries: dict[str, Any] = dict(auto_map) if isinstance(auto_map, dict) else {"": auto_map}  # pyright: ignore[reportUnknownArgumentType]
    wanted = [entries[name] for name in ("AutoConfig", "AutoModelForCausalLM") if name in entries]
    return ", ".join(str(name) for name in wanted or entries.values())[:200]


def configuration(config: Mapping[str, Any], path: Path) -> Any:
    """transformers' own configuration of the model in `path`. It is not shown `auto_map`, be it of a part of the model: it
    would look for the code, and for a part that it does not know ask at the terminal whether to run it."""
    from transformers import AutoConfig  # noqa: PLC0415  (seconds, and our families need none of it)

    reader: Any = AutoConfig
    cleaned = json.loads(json.dumps(dict(config)), object_hook=without_code)
    with TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(cleaned), encoding="utf-8")
        made: Any = reader.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    made.name_or_path = str(path)
    return made


def without_code(entries: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if name != "auto_map"}


def tokenizer_class(settings: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """transformers' own class for a tokenizer: the one that its settings or the model's name, or that its kind of model has,
    or the one for all that need none in particular. None when it is not there, or only code of the folder's own is named."""
    from transformers import PreTrainedTokenizerBase  # noqa: PLC0415  (takes seconds; only a folder without tokenizer.json needs it)
    from transformers.models.auto.tokenization_auto import (  # noqa: PLC0415  (as above)
        TOKENIZER_MAPPING_NAMES,
        tokenizer_class_from_name,
    )

    kinds: Any = TOKENIZER_MAPPING_NAMES
    name = settings.get("tokenizer_class") or config.get("tokenizer_class") or kinds.get(str(config.get("model_type")))
    if not name and not settings.get("auto_map"):
        name = "PreTrainedTokenizerFast"
    found: Any = tokenizer_class_from_name(str(name)) if name else None
    # It finds whatever transformers has under the name.
    return found if isinstance(found, type) and issubclass(found, PreTrainedTokenizerBase) else None
