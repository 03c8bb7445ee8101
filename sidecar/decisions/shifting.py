"""Where requests go while a release rolls out beside the one that serves: pinned, moved, and given back. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.gateway.traffic import Entry, Routing

WHOLE = 100
MULTIPLE = "Multiple"


def pinned(was: Routing, serving: str) -> Routing:
    """As it was, with the revision that serves called by its name: another one that is made then gets nothing."""
    if was.mode == "Single":
        return Routing(MULTIPLE, (Entry(serving, WHOLE),))
    entries = was.entries or (Entry(None, WHOLE),)
    return Routing(was.mode, _merged([Entry(each.revision or serving, each.weight, each.label) for each in entries]))


def shifted(held: Routing, old: str, new: str, percent: int) -> Routing:
    """`held` with so much of the old revision's part at the new one; what others get, and every label, stays where it is."""
    entries: list[Entry] = []
    for each in held.entries:
        moved = each.weight * percent // WHOLE if each.revision == old else 0
        kept = Entry(each.revision, each.weight - moved, each.label)
        entries += [kept] if kept.weight or kept.label or each.revision != old else []
        entries += [Entry(new, moved)] if moved else []
    return Routing(held.mode, _merged(entries))


def given_back(was: Routing, old: str, new: str, latest: str | None) -> Routing:
    """As it was before, with the new revision in the place of the old one. What followed the latest follows it again, unless yet
    another revision has been made meanwhile: nobody has looked at that one."""
    if latest != new:
        return handed_over(was, old, new)
    if was.mode == "Single":
        return Routing("Single", (Entry(None, WHOLE),))
    return shifted(was, old, new, WHOLE)


def handed_over(was: Routing, old: str, new: str) -> Routing:
    """Everything that the old revision got goes to the new one, by its name; a label that followed the latest with it. The mode
    is the one of the roll-out."""
    return pinned(given_back(was, old, new, new), new)


def labelled(was: Routing, revision: str) -> str | None:
    """A label that names the revision: somebody asks it at an address of its own."""
    return next((each.label for each in was.entries if each.revision == revision and each.label), None)


def weight_of(routing: Routing, revision: str) -> int:
    return sum(each.weight for each in routing.entries if each.revision == revision)


def _merged(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """One entry a revision and label: Azure takes no revision twice without a label to tell them apart."""
    found: dict[tuple[str | None, str | None], Entry] = {}
    for each in entries:
        key = (each.revision, each.label)
        known = found.get(key)
        found[key] = each if known is None else Entry(each.revision, known.weight + each.weight, each.label)
    return tuple(found.values())
