"""A port that was promised goes to nobody else, in no process, until who was promised it listens."""

import random
import socket
import subprocess
import sys
from collections.abc import Container

import pytest

from sidecar.localcloud.core.ports import END, FIRST, Promise, free_port

HOST = "127.0.0.1"
ANOTHER = """
import sys
from sidecar.localcloud.core.ports import Promise
promise = Promise("127.0.0.1")
print(promise.port, flush=True)
sys.stdin.read()
"""


class AllBut(Container[int]):
    def __init__(self, port: int) -> None:
        self._port = port

    def __contains__(self, port: object) -> bool:
        return port != self._port


def test_a_port_is_promised_once_until_the_promise_ends():
    first = Promise(HOST)
    assert FIRST <= first.port < END
    with pytest.raises(OSError, match=r"no port of 127.0.0.1 from 20000 to 32767 is free"):
        Promise(HOST, AllBut(first.port))
    first.end()
    again = Promise(HOST, AllBut(first.port))
    assert again.port == first.port
    again.end()


def test_a_port_that_another_process_was_promised_is_left_to_it():
    command = [sys.executable, "-c", ANOTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with pytest.raises(OSError, match="is free"):
            free_port(HOST, AllBut(port))
        process.communicate()
    assert free_port(HOST, AllBut(port)) == port, "the promise ends with its process"


def test_a_port_that_somebody_listens_on_is_not_promised():
    port = free_port(HOST)
    with socket.create_server((HOST, port)), pytest.raises(OSError, match="is free"):
        free_port(HOST, AllBut(port))


def test_who_was_promised_a_port_can_listen_on_it():
    promise = Promise(HOST)
    with socket.create_server((HOST, promise.port)) as server, socket.create_connection((HOST, promise.port)):
        assert server.accept()[1][0] == HOST
    promise.end()


def test_ports_that_are_taken_are_passed_over():
    taken = set(range(FIRST, END)) - {port := random.randrange(FIRST, END), port ^ 1}
    assert free_port(HOST, taken | {port}) == port ^ 1
