"""Networks in CIDR notation as .NET reads them: octal and short forms of addresses too, and those without a prefix."""

import ipaddress
import re

from sidecar.dotnet.errors import Malformed, NotKnown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PART = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*")


def read_network(text: str) -> Network:
    address, _, prefix = text.partition("/")
    # Python reads more than .NET does: host masks, signs, spaces.
    if not re.fullmatch(r"[0-9]{0,3}|0(?:\.0){3}|(?:128|192|224|240|248|252|254|255)(?:\.[0-9]{1,3}){3}", prefix):
        raise Malformed("it has no prefix")
    try:
        if ":" in address:
            return ipaddress.IPv6Network((address, int(prefix or "64")), strict=False)
        number = _number(address)
        if number is None:
            raise Malformed("it is no address")
        if "." in prefix:
            return ipaddress.IPv4Network((number, prefix), strict=False)
        return ipaddress.IPv4Network((number, int(prefix or _of_class(number))), strict=False)
    except ValueError as problem:
        raise Malformed(str(problem)) from problem


def _of_class(number: int) -> int:
    """The prefix that an address without one has by its class."""
    for start, prefix in ((0, 8), (128, 16), (192, 24)):
        if start <= number >> 24 < start + (128 >> (prefix // 8 - 1)):
            return prefix
    raise NotKnown("the class of a network of the addresses from 224.0.0.0 on")


def _number(text: str) -> int | None:
    """An IPv4 address as inet_aton reads it: 1 to 4 parts, the last one fills the rest."""
    parts = text.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(each) for each in parts):
        return None
    numbers = [int(each, 16 if each[:2].lower() == "0x" else 8 if each[0] == "0" else 10) for each in parts]
    *front, last = numbers
    if any(each > 255 for each in front) or last >= 1 << (8 * (5 - len(parts))):
        return None
    return sum(each << (8 * (3 - at)) for at, each in enumerate(front)) + last


def address_text(network: Network, number: int) -> str:
    if network.version == 4:
        return str(ipaddress.IPv4Address(number))
    groups = [(number >> (16 * at)) & 0xFFFF for at in range(7, -1, -1)]
    dotted = not any(groups[:4]) and groups[6] and tuple(groups[4:6]) in ((0, 0), (0, 0xFFFF), (0xFFFF, 0), (0, 0x5EFE))
    if not dotted:
        return str(ipaddress.IPv6Address(number)) if number >> 32 != 0xFFFF else f"::ffff:0:{number & 0xFFFF:x}"
    front = str(ipaddress.IPv6Address(number >> 32 << 32 | 0x10001)).removesuffix("1:1")
    return front + str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
