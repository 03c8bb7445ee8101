"""Locks: which wheels a requirements file asks for on a platform, by version and sha256, and what of it no lock says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sidecar.core.platforms import Platform, of_torch

NAME = "requirements.lock"
"""Beside a requirements file `requirements.txt`; of another, its own name with this ending."""

_LINE = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\]\s*)?(?P<version>[^;]*?)\s*(?:;\s*(?P<marker>.+))?")
_HASH = re.compile(r"--hash[=\s]sha256:([0-9a-f]{64})")
_TOKEN = re.compile(r"\s*(\(|\)|and\b|or\b|not\s+in\b|in\b|===|~=|==|!=|<=|>=|<|>|'[^']*'|\"[^\"]*\"|\w+)")


class NotUnderstood(Exception):
    """A marker that is not read here."""


@dataclass(frozen=True)
class Pin:
    """One line: `name==version`, with the hashes that its file may have. `version` empty: something else than one version is
    asked for."""

    name: str
    version: str
    marker: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return f"{self.name}=={self.version} " + " ".join(f"--hash=sha256:{each}" for each in sorted(self.hashes))


@dataclass(frozen=True)
class Requirements:
    """What a file asks for. `unread`: lines that are no package's name."""

    pins: tuple[Pin, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Covered:
    """`lines`: what is to be fetched, by version and hash. `left`: what pip has to look for at the start."""

    lines: tuple[str, ...]
    left: tuple[str, ...] = field(default=())
    torch: bool = True
    """Whether the image's PyTorch is the one that is asked for."""


def read(text: str) -> Requirements:
    pins: list[Pin] = []
    unread: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        hashes = tuple(_HASH.findall(line))
        plain = re.sub(r"(?:^|\s)#.*", "", _HASH.sub("", line)).strip()
        found = _LINE.fullmatch(plain)
        if not plain:
            continue
        if found is None:
            unread.append(plain)
            continue
        version = found["version"].strip()
        exact = version.removeprefix("==").strip() if re.fullmatch(r"==\s*[\w.+!-]+", version) else ""
        pins.append(Pin(plain_name(found["name"]), exact, found["marker"] or "", hashes))
    return Requirements(tuple(pins), tuple(unread))


def plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def covered(requirements: str, lock: str, platform: Platform, *, own: bool) -> Covered:
    """What of a requirements file a lock says. `own`: the lock lies beside it, and names what its packages bring along too; of
    another one only what is asked for counts. A requirements file with hashes is a lock itself."""
    asked = read(requirements)
    known = {pin.name: pin for text in (lock, requirements) for pin in read(text).pins if pin.hashes and pin.version}
    taken: dict[str, Pin] = {}
    left = list(asked.unread)
    torch = True
    wanted = [pin for pin in asked.pins if (holds := _holds(pin, platform)) or holds is None]
    for pin in wanted:
        if of_torch(pin.name):
            torch = torch and (pin.name != "torch" or pin.version in ("", platform.torch))
            continue
        found = known.get(pin.name)
        if found is None or pin.version not in ("", found.version) or _holds(pin, platform) is None:
            left.append(f"{pin.name}=={pin.version}" if pin.version else pin.name)
            continue
        taken[pin.name] = found
        left += [] if pin.version else [pin.name]  # a range, or any version: pip knows whether that one fits
    refused = {pin.name for pin in wanted if pin.name not in taken}
    more = (pin for pin in known.values() if own and pin.name not in refused and not of_torch(pin.name))
    taken |= {pin.name: pin for pin in more if _holds(pin, platform)}
    return Covered(tuple(taken[name].line for name in sorted(taken)), tuple(left), torch)


def _holds(pin: Pin, platform: Platform) -> bool | None:
    """Whether a line counts on the platform; None where its marker can't be read."""
    if not pin.marker:
        return True
    try:
        return holds(pin.marker, platform.markers)
    except NotUnderstood:
        return None


def holds(marker: str, values: Mapping[str, str]) -> bool:
    tokens = _tokens(marker)
    result, rest = _any(tokens, values)
    if rest:
        raise NotUnderstood(marker)
    return result


def _tokens(marker: str) -> list[str]:
    tokens, at = list[str](), 0
    while at < len(marker.rstrip()):
        found = _TOKEN.match(marker, at)
        if found is None:
            raise NotUnderstood(marker)
        tokens.append(found[1])
        at = found.end()
    return tokens


def _any(tokens: list[str], values: Mapping[str, str]) -> tuple[bool, list[str]]:
    result, rest = _all(tokens, values)
    while rest and rest[0] == "or":
        other, rest = _all(rest[1:], values)
        result = result or other
    return result, rest


def _all(tokens: list[str], values: Mapping[str, str]) -> tuple[bool, list[str]]:
    result, rest = _one(tokens, values)
    while rest and rest[0] == "and":
        other, rest = _one(rest[1:], values)
        result = result and other
    return result, rest


def _one(tokens: list[str], values: Mapping[str, str]) -> tuple[bool, list[str]]:
    if tokens[:1] == ["("]:
        result, rest = _any(tokens[1:], values)
        if rest[:1] != [")"]:
            raise NotUnderstood(" ".join(tokens))
        return result, rest[1:]
    if len(tokens) < 3:
        raise NotUnderstood(" ".join(tokens))
    left, operator, right = _value(tokens[0], values), tokens[1], _value(tokens[2], values)
    return _compared(left, " ".join(operator.split()), right, tokens[0], tokens[2]), tokens[3:]


def _value(token: str, values: Mapping[str, str]) -> str:
    if token[:1] in "'\"":
        return token[1:-1]
    if token not in values:
        raise NotUnderstood(token)
    return values[token]


def _compared(left: str, operator: str, right: str, *names: str) -> bool:
    if operator in ("in", "not in"):
        return (left in right) == (operator == "in")
    if not any("version" in each for each in names):
        if operator not in ("==", "!="):
            raise NotUnderstood(operator)
        return (left == right) == (operator == "==")
    if operator not in ("==", "!=", "<", "<=", ">", ">=") or not all(_is_version(each) for each in (left, right)):
        raise NotUnderstood(operator)
    one, other = _padded(left, right)
    order = (one > other) - (one < other)
    return {"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[
        operator
    ]


def _is_version(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)*", text) is not None


def _padded(*versions: str) -> Iterator[list[int]]:
    numbers = [[int(each) for each in version.split(".")] for version in versions]
    longest = max(map(len, numbers))
    return ([*each, *[0] * (longest - len(each))] for each in numbers)
