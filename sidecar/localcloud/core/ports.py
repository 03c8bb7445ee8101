"""Ports that are promised before anybody listens on them: to a replica that is still to start, to an app, to the cloud itself.

They lie below those that the system gives to whoever asks for any (Linux from 32768 on, macOS from 49152): such a one goes to
somebody else, now and then, in the seconds until who was promised it has begun.
"""

import errno
import random
import socket
from collections.abc import Container

FIRST, END = 20_000, 32_768


class Promise:
    """A port of a host that is promised to nobody else on this machine until the promise ends, or its process does.

    What tells the others is a socket of UDP that is bound to the same number, on which nothing ever comes.
    """

    def __init__(self, host: str, taken: Container[int] = ()) -> None:
        """OSError where every port is taken."""
        for port in random.sample(range(FIRST, END), END - FIRST):
            if port in taken or (claim := _bound(host, port, socket.SOCK_DGRAM)) is None:
                continue
            if (listener := _bound(host, port, socket.SOCK_STREAM)) is not None:
                listener.close()
                self.port, self._claim = port, claim
                return
            claim.close()
        raise OSError(errno.EADDRINUSE, f"no port of {host} from {FIRST} to {END - 1} is free")

    def end(self) -> None:
        self._claim.close()


def free_port(host: str, taken: Container[int] = ()) -> int:
    """One for who listens at once: nobody does now, and it is promised to nobody."""
    promise = Promise(host, taken)
    promise.end()
    return promise.port


def _bound(host: str, port: int, kind: socket.SocketKind) -> socket.socket | None:
    """None where somebody has it."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    try:
        made.bind((host, port))
    except OSError as problem:
        made.close()
        if problem.errno == errno.EADDRINUSE:
            return None
        raise
    return made
