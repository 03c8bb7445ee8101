"""Order and search of strings by language, as the engine does it (ICU's root order): `_ 1 a A b B é z Z`.

Only ASCII, letters of it with the usual accents, and a few more are placed. A character that is not is refused where its
place would decide; nothing is guessed."""

import unicodedata
from collections.abc import Callable, Iterable
from functools import cmp_to_key

from sidecar.dotnet.errors import NotKnown
from sidecar.dotnet.text import lower

_PUNCTUATION = "\t\n\v\f\r\x85\u2028\u2029 _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
_PLACES = {each: at for at, each in enumerate(f"{_PUNCTUATION}0123456789abcdefghijklmnopqrstuvwxyz")}
# Accents in their order: acute, grave, breve, circumflex, caron, ring, diaeresis, double acute, tilde, dot, …, macron.
_MARKS = "\u0301\u0300\u0306\u0302\u030c\u030a\u0308\u030b\u0303\u0307\u0327\u0328\u0304"
_ACCENTS = {each: at for at, each in enumerate(_MARKS, 1)}
_LIGATURES = {"ß": "ss", "æ": "ae", "œ": "oe"}
_Weights = tuple[int, tuple[int, ...], int]
"""Of one element: its place, its accents, its case (and form)."""


def compare(left: str, right: str) -> int:
    """-1, 0 or 1: first by letters alone, then by accents, then small letters before capitals."""
    if left == right:
        return 0
    mine, other = _weights(left), _weights(right)
    parts: tuple[Callable[[_Weights], object], ...] = (lambda each: each[0], lambda each: each[1], lambda each: each[2])
    for part in parts:
        ours, theirs = [part(each) for each in mine], [part(each) for each in other]
        if ours != theirs:
            return -1 if ours < theirs else 1  # pyright: ignore[reportOperatorIssue]
    return 0


def _weights(text: str) -> list[_Weights]:
    made: list[_Weights] = []
    for each in unicodedata.normalize("NFD", text):
        small = lower(each)
        if each in _ACCENTS and made:
            place, accents, case = made[-1]
            made[-1] = (place, (*accents, _ACCENTS[each]), case)
        elif small in _LIGATURES:
            made += [(_PLACES[letter], (), 2 + (small != each)) for letter in _LIGATURES[small]]
        elif small in _PLACES:
            made.append((_PLACES[small], (), int(small != each)))
        else:
            raise NotKnown(f"the place of '{each}' (U+{ord(each):04X}) in the order of strings")
    return made


def ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=cmp_to_key(compare))


def find(text: str, part: str, *, last: bool = False) -> int:
    """Where `part` stands, whatever its case and never in the middle of a letter and its accents; in characters, -1: nowhere."""
    if text.isascii() and text.isprintable() and part.isascii() and part.isprintable():
        return text.lower().rfind(part.lower()) if last else text.lower().find(part.lower())
    whole, wanted = _letters(text), _letters(part)
    starts = range(len(whole) - len(wanted), -1, -1) if last else range(len(whole) - len(wanted) + 1)
    for start in starts:
        if whole[start : start + len(wanted)] == wanted:
            return sum(len(each) for each in _split(text)[:start])
    return -1


def starts(text: str, part: str) -> bool:
    wanted = _letters(part)
    return _letters(text)[: len(wanted)] == wanted


def ends(text: str, part: str) -> bool:
    wanted = _letters(part)
    return not wanted or _letters(text)[-len(wanted) :] == wanted


def _letters(text: str) -> list[str]:
    return [unicodedata.normalize("NFD", lower(each)) for each in _split(text)]


def _split(text: str) -> list[str]:
    """Characters, each with its combining marks."""
    if text.isascii() and text.isprintable():
        return list(text)
    made: list[str] = []
    for each in text:
        if unicodedata.category(each) in ("Cf", "Cc") and each not in _PLACES:
            raise NotKnown(f"how U+{ord(each):04X}, which has no place in the order of strings, is searched for")
        if unicodedata.combining(each) and made:
            made[-1] += each
        else:
            made.append(each)
    return made
