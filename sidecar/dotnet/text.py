"""Texts as .NET has them: UTF-16, character by character changed in case; and the text of a floating number.

A text's half of a surrogate pair is kept as such until the text is written out."""

import base64
import math
import re

from sidecar.dotnet.errors import Malformed

LARGEST = 2**63 - 1
_HALVES = re.compile("[\ud800-\udfff]")
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
SPACE = re.compile(f"[{_SPACES}]")


def upper(text: str) -> str:
    """.NET's: character by character, ß and ı stay."""
    return text.upper() if text.isascii() else "".join(_one(each, each.upper(), each.title()) for each in text)


def lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join(_one(each, each.lower(), each) for each in text)


def _one(character: str, changed: str, otherwise: str) -> str:
    if character == "ı":
        return character
    return changed if len(changed) == 1 else otherwise if len(otherwise) == 1 else character


def trim(text: str) -> str:
    return text.strip(_SPACES)


def units(text: str) -> bytes:
    """The text as UTF-16, two bytes a unit."""
    return text.encode("utf-16-le", "surrogatepass")


def from_units(data: bytes) -> str:
    return data.decode("utf-16-le", "surrogatepass")


def length(text: str) -> int:
    return len(text) if text.isascii() else len(units(text)) // 2


def cut(text: str, start: int, end: int | None = None) -> str:
    """Part of a text, counted in UTF-16 units."""
    if text.isascii():
        return text[start:end]
    return from_units(units(text)[2 * start : None if end is None else 2 * end])


def paired(text: str) -> str:
    """The text with halves of a pair that have come together made one character."""
    return from_units(units(text)) if _HALVES.search(text) else text


def written(text: str) -> str:
    """The text as UTF-8 can hold it: a lone half of a pair becomes U+FFFD."""
    return units(text).decode("utf-16-le", "replace") if _HALVES.search(text) else text


def utf8(text: str) -> bytes:
    return written(text).encode()


def base64_text(text: str) -> str:
    return base64.b64encode(utf8(text)).decode()


def of_base64(text: str) -> str:
    try:
        return base64.b64decode(re.sub(r"[ \t\r\n]", "", text), validate=True).decode(errors="replace")
    except ValueError as problem:  # binascii.Error, and a character that is not ASCII
        raise Malformed(str(problem)) from problem


def float_text(value: float) -> str:
    """The shortest text that reads back as this number, as .NET writes it (`1E-05`, `1000`)."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    sign, numbers, exponent = _digits(value)
    point = len(numbers) + exponent
    if value and not -3 <= point <= 17:
        rest = f".{numbers[1:]}" if len(numbers) > 1 else ""
        return f"{sign}{numbers[0]}{rest}E{point - 1:+03d}"
    if point <= 0:
        return f"{sign}0" if numbers == "0" else f"{sign}0.{'0' * -point}{numbers}"
    whole, rest = numbers[:point].ljust(point, "0"), numbers[point:]
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


def _digits(value: float) -> tuple[str, str, int]:
    mantissa, _, exponent = repr(value).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, rest = mantissa.lstrip("-").partition(".")
    rest = "" if rest == "0" else rest
    numbers = (whole + rest).lstrip("0") or "0"
    kept = numbers.rstrip("0") or "0"
    return sign, kept, int(exponent or 0) - len(rest) + len(numbers) - len(kept)
