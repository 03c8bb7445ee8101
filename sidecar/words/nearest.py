"""The name that somebody may have meant."""

import difflib
from collections.abc import Collection

_MANY = 1000


def nearest(name: str, known: Collection[str], alike: float = 0.75) -> str | None:
    """The known name that this one is likely to be, whatever its case; None: it is like none, or there are too many."""
    if len(known) > _MANY:
        return None
    folded = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), folded, 1, alike)
    return folded[near[0]] if near else None
