"""The channel to the container's supervisor: what it orders, what it is told, and the descriptors that travel along."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

MOST_DESCRIPTORS = 100  # in one message; Linux takes 253
SECONDS = 5.0  # for which a word may wait until the supervisor reads it

Order = Callable[[Mapping[str, Any], list[int]], None]


class Channel:
    """One line of JSON a message, each with the number of the descriptors that belong to it."""

    def __init__(self, descriptor: int, orders: Mapping[str, Order], gone: Callable[[], None]) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(SECONDS)
        self._orders = orders
        self._gone = gone
        self._unread = b""
        self._descriptors: list[int] = []
        os.set_inheritable(descriptor, False)  # what this process begins is nothing that the supervisor speaks with
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def say(self, word: str, descriptors: Sequence[int] = (), **more: object) -> None:
        """OSError where the supervisor is gone."""
        for first in range(0, max(len(descriptors), 1), MOST_DESCRIPTORS):
            some = descriptors[first : first + MOST_DESCRIPTORS]
            message = {"say": word, "descriptors": len(some), **more}
            socket.send_fds(self._socket, [json.dumps(message).encode() + b"\n"], list(some))

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, 253)
        except OSError as error:
            log.warning("the channel to the supervisor is broken: %s", error)
            data, descriptors = b"", []
        self._descriptors += descriptors
        if not data:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._gone()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            number: int = message["descriptors"]
            carried, self._descriptors = self._descriptors[:number], self._descriptors[number:]
            self._orders[message["do"]](message, carried)
