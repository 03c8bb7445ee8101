""".NET's number formats in the invariant culture: `N2`, `D5`, `X4`, …, and patterns such as `#,##0.00;(0)`."""

import re
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal

from sidecar.dotnet.errors import Malformed, NotKnown
from sidecar.dotnet.text import LARGEST, float_text

_STANDARD = re.compile(r"([A-Za-z])(\d{0,3})")
_PART = re.compile(r"'([^']*)'|\"([^\"]*)\"|\\(.)|([#0.,%])|([eE][+-]?0|.)", re.DOTALL)
_EXACT = Context(prec=1200)


def read_integer(text: str) -> int:
    found = re.fullmatch(r"[\t-\r ]*([+-]?)0*([0-9]{1,19})[\t-\r ]*", text)
    if found and -LARGEST - 1 <= int(found[1] + found[2]) <= LARGEST:
        return int(found[1] + found[2])
    raise Malformed("it is no whole number of 64 bits")


def read_float(text: str) -> float:
    if re.fullmatch(r"[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t]*", text, re.ASCII):
        return float(text)
    raise Malformed("it is no number")


def format_number(value: int | float, form: str) -> str:
    if form == "":
        return str(value) if isinstance(value, int) else float_text(value)
    if isinstance(value, float) and value - value != 0:
        return float_text(value)  # not a number, or infinite: whatever the format
    if isinstance(value, int) and not -LARGEST - 1 <= value <= LARGEST:
        raise NotKnown(f"how the number format '{form}' writes a number of more than 64 bits")
    found = _STANDARD.fullmatch(form)
    if found:
        return _standard(value, found[1], int(found[2]) if found[2] else None)
    if re.fullmatch(r"[A-Za-z]\d+", form):
        raise NotKnown(f"the number format '{form}'")
    return _pattern(value, form)


def _standard(value: int | float, letter: str, digits: int | None) -> str:
    kind = letter.upper()
    if kind in "DXB" and isinstance(value, int):
        return _whole(value, letter, digits or 0)
    if kind in "CFNP":
        return _fixed(value, kind, 2 if digits is None else digits)
    if kind == "E":
        return _scientific(value, letter, 6 if digits is None else digits, "E{:+04d}")
    if (kind == "R" and digits is None) or (kind == "G" and not digits):
        text = str(value) if isinstance(value, int) else float_text(value)
        return text.replace("E", "e") if letter == "g" else text
    if kind == "G":
        return _general(value, letter, digits or 0)
    if kind in "DXB" or kind not in "R":
        raise Malformed("Format specifier was invalid.")
    raise NotKnown(f"the number format '{letter}{digits}'")


def _whole(value: int, letter: str, digits: int) -> str:
    if letter in "dD":
        return ("-" if value < 0 else "") + str(abs(value)).rjust(digits, "0")
    text = format(value & (2**64 - 1), "b" if letter in "bB" else letter)
    return text.rjust(digits, "0")


def _fixed(value: int | float, kind: str, digits: int) -> str:
    exact = Decimal(value).scaleb(2, _EXACT) if kind == "P" else Decimal(value)
    rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, _EXACT)
    text = f"{abs(rounded):f}" if kind == "F" else f"{abs(rounded):,f}"
    negative = rounded.is_signed() and (isinstance(value, float) or value != 0)
    if kind == "C":
        return f"(¤{text})" if negative else f"¤{text}"
    return f"{'-' * negative}{text}{' %' if kind == 'P' else ''}"


def _rounded(value: int | float, significant: int) -> tuple[str, int]:
    """(that many digits, the power of ten of the first)"""
    if value == 0:
        return "0" * significant, 0
    how = ROUND_HALF_UP if isinstance(value, int) else ROUND_HALF_EVEN
    rounded = Context(prec=significant, rounding=how).plus(abs(Decimal(value)))
    return "".join(map(str, rounded.as_tuple().digits)).ljust(significant, "0"), rounded.adjusted()


def _sign(value: int | float) -> str:
    return "-" if Decimal(value).is_signed() else ""


def _scientific(value: int | float, letter: str, digits: int, exponent: str) -> str:
    text, power = _rounded(value, digits + 1)
    rest = f".{text[1:]}" if len(text) > 1 else ""
    return f"{_sign(value)}{text[0]}{rest}{exponent.format(power).replace('E', letter)}"


def _general(value: int | float, letter: str, digits: int) -> str:
    text, power = _rounded(value, digits)
    kept = text.rstrip("0") or "0"
    if not -4 <= power < digits:
        return _scientific(value, "e" if letter == "g" else "E", len(kept) - 1, "E{:+03d}")
    plain = Decimal((0, tuple(map(int, kept)), power + 1 - len(kept)))
    return f"{_sign(value)}{plain:f}"


def _pattern(value: int | float, form: str) -> str:
    """A custom pattern: of its sections the one for this sign, its digits rounded half up from fifteen."""
    sections = _sections(form)
    exact = Decimal(value) if isinstance(value, int) else Context(prec=15).create_decimal(value)
    zero = 2 if len(sections) > 2 and sections[2] else 0
    chosen = 1 if exact < 0 and len(sections) > 1 and sections[1] else zero if exact == 0 else 0
    parts = sections[chosen]
    amount = abs(exact) * 100 ** parts.count(("%", True))
    rounded, text = _filled(amount, parts, form)
    if rounded == 0 and chosen != zero:
        return _filled(rounded, sections[zero], form)[1]
    return ("-" if exact < 0 and chosen == 0 and rounded != 0 else "") + text


def _sections(form: str) -> list[list[tuple[str, bool]]]:
    """Each section's pieces: (text, whether it is a mark and not literal text)."""
    sections: list[list[tuple[str, bool]]] = [[]]
    for single, double, escaped, mark, plain in _PART.findall(form):
        if plain == ";":
            sections.append([])
        elif mark:
            sections[-1].append((mark, True))
        elif len(plain) > 1 or (plain and plain in "‰\\'\""):
            raise NotKnown(f"the number format '{form}'")
        elif single or double or escaped or plain:
            sections[-1].append((single or double or escaped or plain, False))
    return sections


def _filled(amount: Decimal, parts: list[tuple[str, bool]], form: str) -> tuple[Decimal, str]:
    marks = [text for text, is_mark in parts if is_mark and text != "%"]
    before, after = marks, list[str]()
    if "." in marks:
        at = marks.index(".")
        before, after = marks[:at], [each for each in marks[at + 1 :] if each in "#0"]
    digits = [each for each in before if each in "#0"]
    if before and before[-1] == "," and digits:
        raise NotKnown(f"the number format '{form}'")  # a comma at the end divides by a thousand
    grouped = "," in "".join(before).strip(",") and len(digits) > 1
    rounded = amount.quantize(Decimal(1).scaleb(-len(after)), ROUND_HALF_UP, _EXACT)
    whole, _, rest = f"{rounded:f}".partition(".")
    least = len(digits) - digits.index("0") if "0" in digits else 0
    whole = ("" if whole == "0" else whole).rjust(least, "0")
    needed = max((index + 1 for index, each in enumerate(after) if each == "0"), default=0)
    rest = rest.rstrip("0").ljust(needed, "0")
    made: list[str] = []
    left, gone, first, seen = len(digits), len(whole), True, False
    for text, is_mark in parts:
        if not is_mark or text == "%":
            made.append(text)
        elif text == "." and not seen:
            if not digits and first:
                made.append(whole)
            seen = True
            made.append("." if rest else "")
        elif text in "#0" and not seen:
            take = max(gone - left + 1, 0) if first else (1 if gone >= left else 0)
            piece, whole = whole[:take], whole[take:]
            for each in piece:
                made.append(each)
                gone -= 1
                if grouped and gone and gone % 3 == 0:
                    made.append(",")
            left, first = left - 1, False
        elif text in "#0":
            made.append(rest[:1])
            rest = rest[1:]
    return rounded, "".join(made)
