"""How much of a text is in another: token F1, ROUGE-L, chrF and BLEU. Pure.

chrF and BLEU are sacrebleu's with its defaults (chrF2; 13a tokens, exponential smoothing), figure for figure: tests compare
them. Counts and scores are apart, because those of a whole data set are the scores of its summed counts, and no mean."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

Counts = tuple[int, ...]

CHARACTERS = 6
"""Up to which length runs of characters are compared."""

BETA = 2
"""How much more recall counts than precision."""

WORDS = 4
"""Up to which length runs of words are compared."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""Letters and digits in a row; a sign of Chinese or Japanese is a word by itself, as nothing stands between two of them."""


def tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def token_f1(answer: str, expected: str) -> float:
    """Of words, in whatever order."""
    given, wanted = tokens(answer), tokens(expected)
    return _f1((Counter(given) & Counter(wanted)).total(), len(given), len(wanted))


def rouge_l(answer: str, expected: str) -> float:
    """Of the longest row of words that both have in this order, with others between them."""
    given, wanted = tokens(answer), tokens(expected)
    return _f1(_longest_common(given, wanted), len(given), len(wanted))


def _f1(shared: int, given: int, wanted: int) -> float:
    return 2 * shared / (given + wanted) if shared else float(given == wanted == 0)


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Bit by bit in whole numbers of any length (Hyyrö's): a thousand words against a thousand take milliseconds."""
    places, shared = dict[str, int](), set(other)
    for at, word in enumerate(one):
        if word in shared:
            places[word] = places.get(word, 0) | 1 << at
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        met = row & places.get(word, 0)
        row = (row + met | row - met) & every
    return len(one) - row.bit_count()


def summed(every: Iterable[Counts]) -> Counts:
    return tuple(map(sum, zip(*every, strict=True)))


def chrf_counts(answer: str, expected: str) -> Counts:
    """Of each length: runs of characters in the answer, in what is expected, and in both. White space does not count."""
    given, wanted = "".join(answer.split()), "".join(expected.split())
    found: list[int] = []
    for length in range(1, CHARACTERS + 1):
        one, other = _runs(given, length), _runs(wanted, length)
        found += [one.total() if other else 0, other.total(), (one & other).total()]
    return tuple(found)


def _runs(text: str, length: int) -> Counter[str]:
    return Counter(text[at : at + length] for at in range(len(text) - length + 1))


def chrf(counts: Counts) -> float:
    """From 0 to 100. Lengths that one of the two texts is too short for are left out."""
    rows = [counts[at : at + 3] for at in range(0, len(counts), 3)]
    known = [(given, wanted, both) for given, wanted, both in rows if given and wanted]
    if not known:
        return 0.0
    precision = sum(both / given for given, _, both in known) / len(known)
    recall = sum(both / wanted for _, wanted, both in known) / len(known)
    if not precision + recall:
        return 0.0
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def bleu_counts(answer: str, expected: str) -> Counts:
    """Words of the answer and of what is expected; then of each length the runs in the answer, and those in both."""
    given, wanted = _words(answer), _words(expected)
    found = [len(given), len(wanted)]
    for length in range(1, WORDS + 1):
        one, other = _word_runs(given, length), _word_runs(wanted, length)
        found += [one.total(), (one & other).total()]
    return tuple(found)


def _word_runs(words: Sequence[str], length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def bleu(counts: Counts, *, sentence: bool) -> float:
    """From 0 to 100. `sentence`: of one text alone, whose longest runs it may be too short for: they are left out then."""
    given, wanted = counts[:2]
    rows = [counts[at : at + 2] for at in range(2, len(counts), 2)]
    if not any(both for _, both in rows):
        return 0.0
    logarithms: list[float] = []
    halved = 1
    for total, both in rows:
        if total == 0:
            break
        if both == 0:  # a length of which nothing is shared would make all of it nothing
            halved *= 2
        logarithms.append(math.log(both / total if both else 1 / (halved * total)))
    if not sentence and len(logarithms) < len(rows):
        return 0.0
    brevity = math.exp(1 - wanted / given) if given < wanted else 1.0
    return 100 * brevity * math.exp(sum(logarithms) / len(logarithms))


_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_APART = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # a point or a comma, unless it is within a number
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def _words(text: str) -> list[str]:
    """As the WMT's own scorer (13a) takes texts apart."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for written, meant in _ENTITIES:
        text = text.replace(written, meant)
    text = f" {text} "
    for what, with_room in _APART:
        text = what.sub(with_room, text)
    return text.split()
