"""BicepTypes: Microsoft's types.json of one provider, and what is wrong with a body of one of its resource types."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Json = dict[str, Any]
Side = Literal["request", "response"]
_REQUIRED, _READ_ONLY, _WRITE_ONLY = 1, 2, 4
# A resource's address says these; no body needs to.
_ADDRESS = ("id", "name", "type", "apiVersion")
_PRIMITIVES: dict[str, type | tuple[type, ...]] = {
    "StringType": str,
    "IntegerType": (int, float),
    "BooleanType": bool,
}


@dataclass(frozen=True)
class Problem:
    """One thing that the types do not allow."""

    code: Literal["unknown-key", "read-only-sent", "required-missing", "not-in-enum", "wrong-type", "null"]
    path: str
    value: str = ""


@dataclass(frozen=True)
class Body:
    """A body that passed the door, and which of the types describes it."""

    side: Side
    kind: str
    """`Microsoft.App/containerApps`, or with an action `Microsoft.App/containerApps listSecrets`."""
    value: Any
    partial: bool = False
    """Of a PATCH: nothing is required."""


@dataclass(frozen=True)
class BicepTypes:
    """The resource types and actions of one file; names are found whatever their case."""

    types: Sequence[Json]
    bodies: dict[tuple[Side, str], int] = field(default_factory=dict)

    @staticmethod
    def read(file: Path) -> "BicepTypes":
        types: list[Json] = json.loads(file.read_text(encoding="utf-8"))
        bodies: dict[tuple[Side, str], int] = {}
        for entry in types:
            if entry["$type"] == "ResourceType":
                name = entry["name"].partition("@")[0].lower()
                bodies["request", name] = bodies["response", name] = _index(entry["body"])
            elif entry["$type"] == "ResourceFunctionType":
                name = f"{entry['resourceType']} {entry['name']}".lower()
                bodies["response", name] = _index(entry["output"])
                if "input" in entry:
                    bodies["request", name] = _index(entry["input"])
        return BicepTypes(types, bodies)

    def knows(self, body: Body) -> bool:
        return (body.side, body.kind.lower()) in self.bodies

    def problems(self, body: Body) -> list[Problem]:
        """Everything in `body` that its type does not allow."""
        return list(self._of_type(self.bodies[body.side, body.kind.lower()], body.value, body, body.kind))

    def _of_type(self, index: int, value: Any, body: Body, path: str) -> Iterator[Problem]:
        kind: Json = self.types[index]
        if value is None:
            if kind["$type"] != "AnyType":
                yield Problem("null", path)
        elif kind["$type"] in ("ObjectType", "DiscriminatedObjectType"):
            if isinstance(value, dict):
                yield from self._of_object(kind, value, body, path)
            else:
                yield Problem("wrong-type", path, f"{type(value).__name__} for {kind['$type']}")
        elif kind["$type"] == "ArrayType":
            if isinstance(value, list):
                for each in value:
                    yield from self._of_type(_index(kind["itemType"]), each, body, f"{path}[]")
            else:
                yield Problem("wrong-type", path, f"{type(value).__name__} for {kind['$type']}")
        elif kind["$type"] == "UnionType":
            yield from self._of_union(kind, value, path)
        elif kind["$type"] == "StringLiteralType":
            if value != kind["value"]:
                yield Problem("not-in-enum", path, str(value))
        elif expected := _PRIMITIVES.get(kind["$type"]):
            if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
                yield Problem("wrong-type", path, f"{type(value).__name__} for {kind['$type']}")
        elif kind["$type"] != "AnyType":
            raise ValueError(f"types.json has a {kind['$type']} at {path}, which this reader does not know")

    def _of_object(self, kind: Json, value: Json, body: Body, path: str) -> Iterator[Problem]:
        properties: Json = dict(kind.get("properties") or kind.get("baseProperties") or {})
        if kind["$type"] == "DiscriminatedObjectType":
            chosen = kind["elements"].get(value.get(kind["discriminator"]))
            if chosen is None:
                yield Problem("not-in-enum", f"{path}.{kind['discriminator']}", str(value.get(kind["discriminator"])))
                return
            properties |= self.types[_index(chosen)]["properties"]
        top = path == body.kind
        for name, entry in properties.items():
            needed = entry["flags"] & _REQUIRED and not (top and name in _ADDRESS) and not body.partial
            hidden = body.side == "response" and (
                entry["flags"] & _WRITE_ONLY or self._is_secret(_index(entry["type"]))
            )
            if needed and not hidden and value.get(name) is None:
                yield Problem("required-missing", f"{path}.{name}")
        for name, each in value.items():
            inner = f"{path}.{name}"
            entry = properties.get(name)
            if entry is None:
                if "additionalProperties" not in kind:
                    yield Problem("unknown-key", inner)
                else:
                    yield from self._of_type(_index(kind["additionalProperties"]), each, body, f"{path}.*")
                continue
            if body.side == "request" and entry["flags"] & _READ_ONLY and each is not None:
                yield Problem("read-only-sent", inner)
            # The type's own name is written in whatever case ARM likes.
            if not (top and name in _ADDRESS):
                yield from self._of_type(_index(entry["type"]), each, body, inner)

    def _of_union(self, kind: Json, value: Any, path: str) -> Iterator[Problem]:
        """One of the literals, also where the union is open to strings: a value that no literal names is a deviation."""
        elements = [self.types[_index(each)] for each in kind["elements"]]
        literals = [each["value"] for each in elements if each["$type"] == "StringLiteralType"]
        others = [each["$type"] for each in elements if each["$type"] not in ("StringLiteralType", "StringType")]
        if others:
            raise ValueError(f"types.json has a union of {others} at {path}, which this reader does not know")
        if not isinstance(value, str):
            yield Problem("wrong-type", path, f"{type(value).__name__} for {' | '.join(literals)}")
        elif value not in literals:
            yield Problem("not-in-enum", path, value)

    def _is_secret(self, index: int) -> bool:
        return bool(self.types[index].get("sensitive"))


def bodies_of(pair: Json) -> list[Body]:
    """The bodies of a recorded pair that say what a resource is: accepted requests, answers, the items of a list."""
    path = urlsplit(pair["url"]).path.rstrip("/")
    before, found, last = path.rpartition("/providers/")
    parts = last.split("/")
    if not found or pair["status"] >= 300 or not before.lower().startswith("/subscriptions/"):
        return []
    names = parts[1:]
    kind = "/".join([parts[0], *names[::2]])
    bodies: list[Body] = []
    if len(names) % 2 == 0:
        if pair["method"] in ("PUT", "PATCH") and pair["body"] is not None:
            bodies.append(Body("request", kind, pair["body"], pair["method"] == "PATCH"))
        if pair["method"] in ("PUT", "PATCH", "GET") and pair["answer"] is not None:
            bodies.append(Body("response", kind, pair["answer"]))
    elif pair["method"] == "GET" and isinstance(pair["answer"], dict):
        bodies += [Body("response", kind, each) for each in pair["answer"].get("value") or []]
    elif pair["method"] == "POST":
        action = f"{'/'.join([parts[0], *names[:-1:2]])} {names[-1]}"
        if pair["body"] is not None:
            bodies.append(Body("request", action, pair["body"]))
        if pair["answer"] is not None:
            bodies.append(Body("response", action, pair["answer"]))
    return bodies


def _index(reference: Json) -> int:
    return int(reference["$ref"].removeprefix("#/"))
