"""The functions of networks in CIDR notation."""

from typing import Any

from sidecar.armlang.values import ExpressionError, unknown
from sidecar.dotnet.errors import Malformed
from sidecar.dotnet.networks import Network, address_text, read_network

_MOST_SUBNETS = 2**32


def _network(text: str) -> Network:
    try:
        return read_network(text)
    except Malformed as problem:
        raise ExpressionError(f"The specified CIDR '{text}' is not valid.") from problem


def cidr_subnet(text: str, prefix: int, index: int) -> str:
    network = _network(text)
    if not network.prefixlen <= prefix <= network.max_prefixlen:
        raise ExpressionError(f"Could not generate subnet for network '{text}' and CIDR value '{prefix}'.")
    count = 1 << (prefix - network.prefixlen)
    if count > _MOST_SUBNETS:
        raise unknown(f"a network that is cut into {count} subnets")
    if not 0 <= index < count:
        raise ExpressionError(f"The specified subnetIndex '{index}' is not a valid index of the subnet size '{count}'.")
    step = 1 << (network.max_prefixlen - prefix)
    return f"{address_text(network, int(network.network_address) + index * step)}/{prefix}"


def cidr_host(text: str, index: int) -> str:
    """The host after the first usable address; -1 is the network's own, as the engine has it."""
    network = _network(text)
    if index < -1:
        raise unknown(f"the host {index} of a network")
    if index >= network.num_addresses - 2:
        raise ExpressionError(f"Could not calculate the CidrHost for network '{text}' and CIDR value '{index}'.")
    return address_text(network, int(network.network_address) + 1 + index)


def parse_cidr(text: str) -> dict[str, Any]:
    network = _network(text)
    first, last = int(network.network_address), int(network.network_address) + network.num_addresses - 1
    shown: dict[str, Any] = {
        "network": address_text(network, first),
        "netmask": address_text(network, int(network.netmask)),
    }
    usable = (first, last)
    if network.version == 4:
        shown["broadcast"] = address_text(network, last)
        usable = (first + 1, last - 1) if network.prefixlen < 31 else (first, first)
    ends = {"firstUsable": address_text(network, usable[0]), "lastUsable": address_text(network, usable[1])}
    return {**shown, **ends, "cidr": network.prefixlen}
