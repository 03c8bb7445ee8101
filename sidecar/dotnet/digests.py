"""uniqueString and guid: names that a template derives from other names, the same in every deployment."""

import uuid

from sidecar.dotnet.text import utf8, written


def unique_string(*values: str) -> str:
    """ARM's uniqueString(): 13 characters of a 64-bit hash, the same for the same values in every deployment."""
    number = _hash64(utf8("-".join(values)))
    return "".join(_BASE32[(number >> shift) & 31] for shift in range(59, -1, -5)) + _BASE32[(number << 1) & 31]


def guid(*values: str) -> str:
    """ARM's guid(): a name-based UUID, the same for the same values in every deployment."""
    return str(uuid.uuid5(_GUID_NAMESPACE, written("-".join(values))))


_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_GUID_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_WORD = 0xFFFFFFFF


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _WORD


def _scramble(word: int, first: int, bits: int, second: int) -> int:
    return _rotate(word * first & _WORD, bits) * second & _WORD


def _avalanche(word: int) -> int:
    word = (word ^ (word >> 16)) * 0x85EBCA6B & _WORD
    word = (word ^ (word >> 13)) * 0xC2B2AE35 & _WORD
    return word ^ (word >> 16)


def _hash64(data: bytes) -> int:
    """A 64-bit variant of MurmurHash3 in two 32-bit lanes, seed 0."""
    low = high = 0
    whole = len(data) - len(data) % 8
    for start in range(0, whole, 8):
        first, second = (int.from_bytes(data[at : at + 4], "little") for at in (start, start + 4))
        low = (_rotate(low ^ _scramble(first, 0x239B961B, 15, 0xAB0E9789), 19) + high) & _WORD
        low = (low * 5 + 0x561CCD1B) & _WORD
        high = (_rotate(high ^ _scramble(second, 0xAB0E9789, 17, 0x239B961B), 13) + low) & _WORD
        high = (high * 5 + 0x0BCAA747) & _WORD
    rest = data[whole:]
    if rest:
        low ^= _scramble(int.from_bytes(rest[:4], "little"), 0x239B961B, 15, 0xAB0E9789)
    if len(rest) > 4:
        high ^= _scramble(int.from_bytes(rest[4:], "little"), 0xAB0E9789, 17, 0x239B961B)
    low, high = low ^ len(data), high ^ len(data)
    low = (low + high) & _WORD
    high = (high + low) & _WORD
    low, high = _avalanche(low), _avalanche(high)
    low = (low + high) & _WORD
    high = (high + low) & _WORD
    return (high << 32) | low
