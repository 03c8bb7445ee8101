"""A deployment's parameters: checked against what the template declares, defaults filled in, secure ones kept apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sidecar.armlang.expression_syntax import Literal as Constant
from sidecar.armlang.expression_syntax import calls
from sidecar.armlang.expressions import Deferred, Scope, evaluate
from sidecar.dotnet.json_values import written
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json, as_object, member
from sidecar.localcloud.deployments.declared_types import SHOWN, TYPES, check_value, followed, invalid_template


@dataclass(frozen=True)
class Parameters:
    """Values by declared name. A value that a what-if can't know is a Deferred."""

    values: Mapping[str, Any]
    types: Mapping[str, str]

    def value(self, name: str) -> Any:
        found = next((known for known in self.values if known.lower() == name.lower()), None)
        if found is None:
            raise invalid_template(f"The template parameter '{name}' is not found.")
        value = self.values[found]
        if isinstance(value, Deferred):
            raise value
        return value

    def secure(self, name: str) -> bool:
        return self.types[name].startswith("secure")

    def shown(self) -> Json:
        """As a deployment's GET shows them: secure ones by type only."""
        return {
            name: {"type": SHOWN[self.types[name]]}
            | ({} if self.secure(name) or isinstance(value, Deferred) else {"value": value})
            for name, value in self.values.items()
        }


def with_external_inputs(given: Json, inputs: Json, scope: Scope) -> Json:
    """Parameters that state an expression, with its value: it reads what the deployer found outside, by externalInputs()."""

    def external(name: str, *_config: Any) -> Any:
        entry = as_object(next((each for key, each in inputs.items() if key.lower() == str(name).lower()), None))
        if entry is None or "value" not in entry:
            raise invalid_template(f"The external input '{name}' is not provided.")
        value = entry["value"]
        # The official deployer wraps what it has read once more.
        wrapped = as_object(value)
        return wrapped["value"] if wrapped is not None and set(wrapped) == {"value"} else value

    inner = Scope(functions={**scope.functions, "externalinputs": external})
    resolved: Json = {}
    for name, stated in given.items():
        entry = as_object(stated)
        if entry is None or "expression" not in entry:
            resolved[name] = stated
            continue
        if "value" in entry or "reference" in entry:
            raise invalid_template(f"The parameter '{name}' must state one of 'value', 'reference' and 'expression'.")
        resolved[name] = {"value": written(evaluate(entry["expression"], inner))}
    return resolved


def resolve_parameters(template: Json, given: Json, scope: Scope, keep_unknown: Mapping[str, Any]) -> Parameters:
    """The parameters of `template` with the values `given` (`{"name": {"value": …}}`).

    `scope` evaluates defaults; `keep_unknown` are functions that a what-if leaves unevaluated, as secure values are there.
    """
    declared: Json = member(template, "parameters")
    supplied = {name.lower(): entry for name, entry in given.items()}
    strange = [name for name in given if name.lower() not in {known.lower() for known in declared}]
    if strange:
        raise invalid_template(
            "The following parameters were supplied, but do not correspond to any parameters defined in the template: "
            f"'{', '.join(strange)}'. The parameters defined in the template are: '{', '.join(declared)}'. "
            "Please see https://aka.ms/arm-pass-parameter-values for usage details."
        )
    definitions: Json = member(template, "definitions")
    values: dict[str, Any] = {}
    types: dict[str, str] = {}
    for name in _in_order(declared):
        declaration = followed(member(declared, name), definitions)
        types[name] = str(declaration.get("type", "")).lower()
        if types[name] not in TYPES:
            raise invalid_template(f"The template parameter '{name}' has an invalid type '{declaration.get('type')}'.")
        so_far = Parameters(dict(values), types)
        inner = Scope(
            parameters=so_far.value, functions={**scope.functions, **keep_unknown}, user_functions=scope.user_functions
        )
        when = "deferred" if keep_unknown else "now"
        values[name] = _value_of(name, declaration, definitions, supplied.get(name.lower()), inner, when)
    return Parameters({name: values[name] for name in declared}, types)


def _in_order(declared: Json) -> list[str]:
    """The names so that a default comes after those that it reads; circles are refused before (syntax.py)."""
    needs = {name.lower(): _read_by(entry) for name, entry in declared.items()}
    done: dict[str, None] = {}

    def add(name: str) -> None:
        if name in needs and name not in done:
            for other in sorted(needs[name]):
                add(other)
            done[name] = None

    for name in needs:
        add(name)
    written = {name.lower(): name for name in declared}
    return [written[name] for name in done]


def _read_by(declaration: Any) -> set[str]:
    default = (as_object(declaration) or {}).get("defaultValue")
    read = (call.arguments[0] for call in calls(default) if call.name.lower() == "parameters" and call.arguments)
    return {str(argument.value).lower() for argument in read if isinstance(argument, Constant)}


def _value_of(
    name: str, declaration: Json, definitions: Json, stated: Any, scope: Scope, when: Literal["now", "deferred"]
) -> Any:
    entry = as_object(stated)
    if stated is not None and entry is None:
        raise invalid_template(f"The value of the parameter '{name}' must be an object with a 'value'.")
    if entry and entry.get("reference"):
        raise ArmError(400, "KeyVaultParameterReferenceNotFound", f"The key vault reference of '{name}' can't be read.")
    value = entry.get("value") if entry else None
    kind = str(declaration["type"]).lower()
    if value is None and (entry is None or not declaration.get("nullable")):
        if "defaultValue" in declaration:
            return _default(name, declaration, definitions, scope)
        if not declaration.get("nullable"):
            raise invalid_template(
                f"The value for the template parameter '{name}' is not provided. Please see "
                "https://aka.ms/arm-create-parameter-file for usage details."
            )
    if value is not None:
        check_value(name, declaration, value, definitions)
    if when == "deferred" and kind.startswith("secure"):
        return Deferred(f"[parameters('{name}')]")
    return value


def _default(name: str, declaration: Json, definitions: Json, scope: Scope) -> Any:
    try:
        value = written(evaluate(declaration["defaultValue"], scope))
    except Deferred:
        return Deferred(str(declaration["defaultValue"]))
    if value is not None:
        check_value(name, declaration, value, definitions)
    return value
