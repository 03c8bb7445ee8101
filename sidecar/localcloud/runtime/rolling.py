"""The rolling replacement of a revision's replicas: one extra at most, none taken away before another is ready. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A replica as the decision sees it."""

    name: str
    current: bool
    """Of the template as it is now; the others are to be replaced."""
    ready: bool
    in_flight: int = 0


@dataclass(frozen=True)
class Step:
    """What is to be done now."""

    add: int
    remove: tuple[str, ...]


def next_step(wanted: int, members: Sequence[Member]) -> Step:
    """Towards `wanted` current replicas. Old ones leave one for each current one that became ready beyond what must serve; a
    new one that never becomes ready therefore leaves the old ones for good, and nothing in the revision says so."""
    current = [member for member in members if member.current]
    old = [member for member in members if not member.current]
    if not old:
        surplus = sorted(current, key=lambda member: (member.ready, member.in_flight))
        return Step(
            max(0, wanted - len(current)), tuple(each.name for each in surplus[: max(0, len(current) - wanted)])
        )
    if wanted == 0:
        return Step(0, tuple(member.name for member in members))
    if len(current) > wanted:
        surplus = sorted(current, key=lambda member: (member.ready, member.in_flight))
        return Step(0, tuple(each.name for each in surplus[: len(current) - wanted]))
    # As many may leave as are more than wanted, and never so many that fewer than wanted are left ready or starting.
    ready = sum(member.ready for member in current)
    leaving = max(0, len(old) - (wanted - ready))
    going = sorted(old, key=lambda member: (member.ready, member.in_flight))[:leaving]
    total = len(members) - len(going)
    add = 1 if total < wanted + 1 and len(current) < wanted else 0
    return Step(add, tuple(member.name for member in going))
