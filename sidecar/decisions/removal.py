"""What *Delete inference resources* takes away and what it leaves: by whose record names it, and by what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from sidecar.words.errors import CloudError, WorkspaceError
from sidecar.words.names import RemovableKind
from sidecar.words.text import Text

Kind = RemovableKind

ORDER: tuple[Kind, ...] = get_args(Kind)
"""In which they go: nothing before what uses it."""

PARTS: dict[Kind, Kind] = {"mount": "environment", "releases": "share", "share": "account"}
"""What goes with what it is a part of."""

NEEDED_BY: dict[Kind, Kind] = {"logs": "environment"}
"""What uses a thing for as long as it is there itself."""


CALLED: dict[Kind, Text] = {
    "app": Text("app"),
    "releases": Text("releases"),
    "mount": Text("mount"),
    "environment": Text("environment"),
    "logs": Text("logs"),
    "share": Text("share"),
    "account": Text("account"),
}
"""What people call a kind; programs and the terminal call it by itself."""


@dataclass(frozen=True)
class Item:
    """One thing that is there. `id`: ARM's; empty for a folder on the share. `ours`: this project's own record names it as made
    by it. `holds`: what is lost with it. `users`: who else uses it."""

    kind: Kind
    name: str
    id: str
    ours: bool
    holds: Text
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class Removal:
    """`storage`: account and share on which the releases lie."""

    goes: tuple[Item, ...]
    stays: tuple[Item, ...]
    storage: tuple[str, str] = ("", "")


def removal(items: Sequence[Item], also: Collection[str]) -> Removal:
    """`also`: kinds, or KIND:NAME for what this project's record does not name. The app goes by itself, and nothing else."""
    asked = {_asked(each) for each in also}
    by_kind: dict[Kind, Item] = {each.kind: each for each in items}
    for kind, name in asked:
        there = by_kind.get(kind)
        if there is not None and name not in (None, there.name):
            raise WorkspaceError(
                Text(
                    "There is no {kind} {name} here: it is called {there}.",
                    kind=CALLED[kind],
                    name=name,
                    there=there.name,
                ),
                Text("Name what is there, as the list shows it."),
                code="NotThere",
            )
    wanted = {kind for kind, _ in asked} | {"app"}
    by_name = {"app", *(kind for kind, name in asked if name is not None)}  # who deletes writes the app's whole name
    goes: list[Item] = []
    stays: list[Item] = []
    for item in sorted(items, key=lambda each: ORDER.index(each.kind)):
        if not _taken(item.kind, wanted):
            stays.append(item)
        elif not item.ours and item.kind not in by_name:  # also where it would go with what it is a part of
            raise _foreign(item)
        elif users := (*item.users, *_needing(item, by_kind, wanted)):
            raise _used(item, users)
        else:
            goes.append(item)
    return Removal(tuple(goes), tuple(stays))


def named(also: Collection[str]) -> dict[Kind, str]:
    """What was asked for by its name. Once an app is gone nothing else may tell where it ran."""
    return {kind: name for kind, name in map(_asked, also) if name is not None}


def _taken(kind: Kind, wanted: Collection[str]) -> bool:
    """Whether it goes, by itself or with something that it is a part of."""
    around = PARTS.get(kind)
    return kind in wanted or (around is not None and _taken(around, wanted))


def _needing(item: Item, there: Mapping[Kind, Item], wanted: Collection[str]) -> tuple[str, ...]:
    needing = NEEDED_BY.get(item.kind)
    user = None if needing is None else there.get(needing)
    return () if user is None or _taken(user.kind, wanted) else (user.name,)


def _asked(given: str) -> tuple[Kind, str | None]:
    word, separator, name = given.strip().partition(":")
    kinds: dict[str, Kind] = {each: each for each in ORDER}
    kind = kinds.get(word.lower())
    if kind is None or (separator and not name):
        raise WorkspaceError(
            Text("{given} is nothing that can be deleted with the app.", given=given),
            Text("Give one of {kinds}, or KIND:NAME.", kinds=", ".join(ORDER)),
            code="UnknownKind",
        )
    return kind, name or None


def _foreign(item: Item) -> WorkspaceError:
    return WorkspaceError(
        Text(
            "The record of this project does not name the {kind} {name} as made by it.",
            kind=CALLED[item.kind],
            name=item.name,
        ),
        Text("If it is to go all the same, name it: {kind}:{name}.", kind=item.kind, name=item.name),
        code="NotOurs",
    )


def _used(item: Item, users: Sequence[str]) -> CloudError:
    return CloudError(
        Text("The {kind} {name} is used by {users}.", kind=CALLED[item.kind], name=item.name, users=", ".join(users)),
        Text("Delete those first, or leave it."),
        code="InUse",
    )
