"""Networks in CIDR notation as .NET reads them (octal and short forms of addresses too, and those without a prefix), their
subnets and hosts. Refusals are whole sentences."""

import ipaddress
import re
from typing import Any

from sidecar.dotnet.errors import Malformed, NotKnown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PART = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*")

_MOST_SUBNETS = 2**32


def _read(text: str) -> Network:
    try:
        return _network(text)
    except ValueError as problem:
        raise Malformed(f"The specified CIDR '{text}' is not valid.") from problem


def subnet(text: str, prefix: int, index: int) -> str:
    network = _read(text)
    if not network.prefixlen <= prefix <= network.max_prefixlen:
        raise Malformed(f"Could not generate subnet for network '{text}' and CIDR value '{prefix}'.")
    count = 1 << (prefix - network.prefixlen)
    if count > _MOST_SUBNETS:
        raise NotKnown(f"a network that is cut into {count} subnets")
    if not 0 <= index < count:
        raise Malformed(f"The specified subnetIndex '{index}' is not a valid index of the subnet size '{count}'.")
    step = 1 << (network.max_prefixlen - prefix)
    return f"{_shown(network, int(network.network_address) + index * step)}/{prefix}"


def host(text: str, index: int) -> str:
    """The host after the first usable address; -1 is the network's own."""
    network = _read(text)
    if index < -1:
        raise NotKnown(f"the host {index} of a network")
    if index >= network.num_addresses - 2:
        raise Malformed(f"Could not calculate the CidrHost for network '{text}' and CIDR value '{index}'.")
    return _shown(network, int(network.network_address) + 1 + index)


def parts(text: str) -> dict[str, Any]:
    network = _read(text)
    first, last = int(network.network_address), int(network.network_address) + network.num_addresses - 1
    shown = {"network": _shown(network, first), "netmask": _shown(network, int(network.netmask))}
    usable = (first, last)
    if network.version == 4:
        shown["broadcast"] = _shown(network, last)
        usable = (first + 1, last - 1) if network.prefixlen < 31 else (first, first)
    ends = {"firstUsable": _shown(network, usable[0]), "lastUsable": _shown(network, usable[1])}
    return {**shown, **ends, "cidr": network.prefixlen}


def _network(text: str) -> Network:
    address, _, prefix = text.partition("/")
    # Python reads more than .NET does: host masks, signs, spaces.
    if not re.fullmatch(r"[0-9]{0,3}|0(?:\.0){3}|(?:128|192|224|240|248|252|254|255)(?:\.[0-9]{1,3}){3}", prefix):
        raise Malformed("it has no prefix")
    if ":" in address:
        return ipaddress.IPv6Network((address, int(prefix or "64")), strict=False)
    number = _number(address)
    if number is None:
        raise Malformed("it is no address")
    if "." in prefix:
        return ipaddress.IPv4Network((number, prefix), strict=False)
    return ipaddress.IPv4Network((number, int(prefix or _of_class(number))), strict=False)


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


def _shown(network: Network, number: int) -> str:
    if network.version == 4:
        return str(ipaddress.IPv4Address(number))
    groups = [(number >> (16 * at)) & 0xFFFF for at in range(7, -1, -1)]
    dotted = not any(groups[:4]) and groups[6] and tuple(groups[4:6]) in ((0, 0), (0, 0xFFFF), (0xFFFF, 0), (0, 0x5EFE))
    if not dotted:
        return str(ipaddress.IPv6Address(number)) if number >> 32 != 0xFFFF else f"::ffff:0:{number & 0xFFFF:x}"
    front = str(ipaddress.IPv6Address(number >> 32 << 32 | 0x10001)).removesuffix("1:1")
    return front + str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
