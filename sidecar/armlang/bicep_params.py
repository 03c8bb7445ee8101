"""A parameters file in Bicep's language, evaluated: values, references to secrets of key vaults, and the variables read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep import Statement, Statements, statements_of
from sidecar.armlang.bicep_emit import Json
from sidecar.armlang.bicep_findings import Fault, Reader
from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.dotnet.errors import Malformed, NotKnown
from sidecar.dotnet.json_values import written
from sidecar.words.bicep_codes import OUTSIDE
from sidecar.words.refused import Refused

READ = "readEnvironmentVariable"
SECRET = "getSecret"  # noqa: S105  (a function's name)
_FOREIGN = ("externalInput", "readCliArg")


@dataclass(frozen=True)
class Stated:
    """`reference`: ARM's, to a secret of a key vault, in place of a value. `variables`: of the environment, with their values,
    that the value was made of."""

    name: str
    line: int
    column: int
    value: object
    reference: Mapping[str, object] | None
    variables: Mapping[str, str]


@dataclass(frozen=True)
class ParametersFile:
    using: str
    using_line: int
    stated: tuple[Stated, ...]


def parameters_file(name: str, source: str, reader: Reader, environ: Mapping[str, str]) -> ParametersFile:
    """`name`: as messages call the file. Raises Refused."""
    statements = statements_of(name, source, reader)
    faults = [fault for each in statements.nodes for fault in _faults(each, environ)]
    faults += [fault for each in statements.stated for fault in _misplaced(each.node)]
    faults += [
        Fault(call.at, "BCP180")
        for node in statements.nodes
        if not any(node is each.node for each in statements.stated)
        for call in _calls(node, SECRET)
    ]
    if faults:
        found = [fault.finding(name) for fault in faults]
        raise Refused(sorted(dict.fromkeys(found), key=lambda each: (each.line, each.column)))
    evaluating = _Evaluating(statements, environ)
    stated: list[Stated] = []
    for each in statements.stated:
        try:
            stated.append(evaluating.stated(each))
        except (ExpressionError, Malformed, NotKnown) as error:
            raise Refused([evaluating.fault(each, error).finding(name)]) from None
    return ParametersFile(statements.using, statements.using_at.line, tuple(stated))


def _calls(node: t.Node, function: str) -> list[t.Call]:
    return [each for each in t.walk(node) if isinstance(each, t.Call) and each.plain and each.function == function]


def _faults(node: t.Node, environ: Mapping[str, str]) -> list[Fault]:
    """Calls that can't be evaluated here."""
    found = [Fault(call.at, OUTSIDE, what="{name}()", name=name) for name in _FOREIGN for call in _calls(node, name)]
    for call in _calls(node, READ):
        named = t.constant(call.arguments[0])
        if not isinstance(named, str):
            found.append(Fault(call.arguments[0].at, "BCP032"))
        elif named not in environ and len(call.arguments) < 2:
            found.append(Fault(call.at, "BCP338#variable", variable=named))
    return found


def _misplaced(node: t.Node) -> list[Fault]:
    """A secret is the whole value: nobody but ARM ever has it."""
    whole = t.unwrapped(node)
    return [Fault(call.at, "BCP180") for call in _calls(node, SECRET) if call is not whole]


class _Evaluating:
    def __init__(self, statements: Statements, environ: Mapping[str, str]) -> None:
        self._variables = dict(statements.variables)
        copies = cast("list[dict[str, Json]]", self._variables.pop("copy", None) or [])
        self._copies = {str(each["name"]): each for each in copies}
        self._environ = environ
        self._read: dict[str, str] = {}
        functions: dict[str, Callable[..., object]] = {
            READ.lower(): self._variable_read,
            SECRET.lower(): _reference,
        }
        self._scope = Scope(variables=self._named, functions=functions)

    def stated(self, each: Statement) -> Stated:
        self._read = {}
        whole = t.unwrapped(each.node)
        secret = isinstance(whole, t.Call) and whole.plain and whole.function == SECRET
        value = written(self._named(each.name))
        reference = cast("Mapping[str, object]", value) if secret else None
        at = each.at
        return Stated(each.name, at.line, at.column, None if secret else value, reference, dict(self._read))

    def fault(self, each: Statement, error: Exception) -> Fault:
        """Of the value that was evaluated last. Words of an error may repeat what a variable holds, or what was made of it."""
        if self._read:
            return Fault(each.node.at, "BCP338#hidden", variables=", ".join(self._read))
        return Fault(each.node.at, "BCP338", problem=error)

    def _named(self, name: str) -> object:
        copied = self._copies.get(name)
        if copied is None:
            return evaluate(self._variables[name], self._scope)
        count = cast("int", evaluate(copied["count"], self._scope))
        scopes = (replace(self._scope, copy_index={**self._scope.copy_index, name.lower(): at}) for at in range(count))
        return [evaluate(copied["input"], each) for each in scopes]

    def _variable_read(self, name: str, default: str = "") -> str:
        if name in self._environ:
            self._read[name] = self._environ[name]
            return self._environ[name]
        return default


def _reference(subscription: str, group: str, vault: str, secret: str, version: str = "") -> object:
    id_ = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{vault}"
    return {
        "keyVault": {"id": id_},
        "secretName": secret,
        **({"secretVersion": version} if version else {}),
    }
