"""One start of a release's commands: its process, its words, and the channel over which descriptors travel both ways."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from infra.provision.packages import Packages, equipped, without_pip
from infra.provision.streams import Address, Reply, ask, folder_for_sockets, within

MOST_LINES = 20
LONGEST_LINE = 1 << 16  # bytes that are kept back for the rest of their line
MOST_DESCRIPTORS = 100  # in one message; Linux takes 253
NOT_FOR_SERVERS = "SLIPWAY_DEPLOY_KEY"


class Release(NamedTuple):
    """A release on the local disk; an empty digest for what runs from the mount."""

    digest: str
    generation: str
    place: str
    packages: Packages = Packages()


Heard = Callable[["ServerProcess", str, list[int]], None]
"""Which word a server has said, with the descriptors that came along."""


class ServerProcess:
    """A server that is ours says so on its channel; one that says nothing listens by itself, as it likes."""

    def __init__(self, release: Release, port: Address, heard: Heard) -> None:
        self.release = release
        self.announced = False
        self.pid = 0
        self.wants = ("", 0)
        """Where it would listen by itself, and for how long it finishes what it has: its commands may have set both."""
        self.drain = 25.0
        self.ends: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Its exit code as a shell would tell it, once it has ended."""
        self.lines: collections.deque[str] = collections.deque(maxlen=MOST_LINES)
        self.says_as = ""
        """How its own lines begin on the console, while another release serves."""
        self._folder = folder_for_sockets()
        self._port = port
        self._heard = heard
        self.own_pid = 0
        """Of the server itself, once it has announced itself; `pid` is the shell's before it."""
        self._channel: socket.socket | None = None
        self._unread = b""
        self._descriptors: list[int] = []
        self._output = b""
        self._started: subprocess.Popen[bytes] | None = None
        self._words: dict[str, dict[str, object]] = {}
        self._news = asyncio.Event()

    @property
    def address(self) -> Address:
        """Where it can be asked, whether or not it accepts requests yet."""
        return f"{self._folder}/http" if self.announced else self._port

    @property
    def ended(self) -> bool:
        return self.ends.done()

    def start(self, script: str, control: str, *, remembered: bool, held: bool = False) -> None:
        """`remembered`: its last lines are wanted, so they pass through here. `held`: it loads no model before it is told to."""
        ours, theirs = socket.socketpair()
        known = {name: value for name, value in os.environ.items() if name != NOT_FOR_SERVERS}
        known["SLIPWAY_SUPERVISOR_FD"] = str(theirs.fileno())
        known["SLIPWAY_PRIVATE_SOCKET"] = f"{self._folder}/http"
        known["SLIPWAY_CONTROL"] = control
        known["SLIPWAY_HOLD"] = "1" if held else ""
        if self.release.digest:
            known["SLIPWAY_RELEASE_DIGEST"], known["SLIPWAY_GENERATION"] = self.release[:2]
        known = equipped(known, self.release.packages)
        commands = without_pip(script, self.release.packages.requirements)
        output = subprocess.PIPE if remembered else None
        started = subprocess.Popen(  # not waited for by this object: the container reaps all
            ["/bin/bash", "-c", commands],
            cwd=self.release.place or None,
            env=known,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdout=output,
            stderr=output and subprocess.STDOUT,
        )
        theirs.close()
        self.pid, self._channel, self._started = started.pid, ours, started
        ours.settimeout(5)
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, self._receive, ours)
        if started.stdout is not None:
            os.set_blocking(started.stdout.fileno(), False)
            loop.add_reader(started.stdout, self._read_output, started.stdout.fileno())

    def has_ended(self, code: int) -> None:
        """Its process is no more."""
        if not self.ends.done():
            self.ends.set_result(code)
        self._close()
        self._news.set()
        if self._started is not None:
            self._started.returncode = code
            if self._started.stdout is not None:
                self._read_output(self._started.stdout.fileno())
        shutil.rmtree(self._folder, ignore_errors=True)

    async def word(self, word: str, seconds: float) -> dict[str, object]:
        """What it says under this word, from now on or before. EOFError where it ends, TimeoutError where it says nothing."""
        deadline = asyncio.get_running_loop().time() + seconds
        while word not in self._words:
            if self.ended:
                raise EOFError("the server has ended")
            self._news.clear()
            await within(max(deadline - asyncio.get_running_loop().time(), 0.0), self._news.wait())
        return self._words.pop(word)

    def tell(self, order: str, descriptors: Sequence[int] = (), **more: object) -> None:
        """OSError where it does not listen any more."""
        channel = self._channel
        if channel is None:
            raise BrokenPipeError("the server has ended")
        for first in range(0, max(len(descriptors), 1), MOST_DESCRIPTORS):
            some = descriptors[first : first + MOST_DESCRIPTORS]
            message = {"do": order, "descriptors": len(some), **more}
            socket.send_fds(channel, [json.dumps(message).encode() + b"\n"], list(some))

    def terminate(self) -> None:
        """Asks it to end. The server itself where it is known: a shell before it would not wait for it."""
        if self.own_pid and not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.own_pid, signal.SIGTERM)
        else:
            self.signal_group(signal.SIGTERM)

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def has_group(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except OSError:
            return False
        return True

    async def ask(
        self, method: str, path: str, *, body: object = None, seconds: float = 10.0, keyed: bool = True
    ) -> Reply:
        key = os.environ.get("SLIPWAY_API_KEY", "") if keyed else ""
        return await ask(self.address, method, path, key=key, body=body, seconds=seconds)

    def _receive(self, channel: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 253)
        except OSError:
            data, descriptors = b"", []
        self._descriptors += descriptors
        if not data:
            self._close()
            return
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            message = cast("dict[str, object]", json.loads(line))
            number = int(str(message.get("descriptors", 0)))
            carried, self._descriptors = self._descriptors[:number], self._descriptors[number:]
            word = str(message.get("say"))
            if word == "hello":
                self.announced, self.own_pid = True, int(str(message["pid"]))
                self.wants = (str(message["host"]), int(str(message["port"])))
                self.drain = float(str(message["drain"]))
            self._words[word] = message
            self._news.set()
            self._heard(self, word, carried)

    def _close(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._channel = None

    def _read_output(self, descriptor: int) -> None:
        """Line by line, so that two servers' lines do not mix."""
        block = b""
        with contextlib.suppress(BlockingIOError):
            while block := os.read(descriptor, 1 << 16):
                self._output += block
            asyncio.get_running_loop().remove_reader(descriptor)  # its end
        *lines, self._output = self._output.split(b"\n")
        if self._output and (self.ended or len(self._output) > LONGEST_LINE):
            lines, self._output = [*lines, self._output], b""
        for line in lines:
            text = line.decode(errors="replace")
            self.lines.append(text)
            if self.says_as and text.startswith("slipway: "):
                text = f"slipway: {self.says_as}: {text[9:]}"
            sys.stdout.write(text + "\n")
        sys.stdout.flush()
