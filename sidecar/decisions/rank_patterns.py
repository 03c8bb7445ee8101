"""Whether a pattern of an adapter's configuration may be tried on names of modules, as the model server judges it. Pure."""

from __future__ import annotations

import math
import re

MOST_WAYS = 10**8

LONGEST = 64
"""Characters of a module's name."""


def ways(pattern: str) -> float:
    """In how many ways it may be tried on a module's name, at most; nothing else runs meanwhile. What repeats a group has no
    bound."""
    parted = re.search(r"\(\?(#|[a-zA-Z-]*x)", pattern)  # by comments or blanks, what belongs together
    if len(pattern) > LONGEST * 16 or parted:
        return math.inf
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "c", pattern)
    if re.search(r"\)[*+{]", bare):
        return math.inf
    found, branches = 1, [1]
    for each in bare:
        if each == "(":
            branches.append(1)
        elif each == ")" and len(branches) > 1:
            found *= branches.pop()
        elif each == "|":
            branches[-1] += 1
        elif each in "*+{":
            found *= LONGEST
        elif each == "?":
            found *= 2
    return found * math.prod(branches)
