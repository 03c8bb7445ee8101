"""What the terminal says of an app that was started, stopped, taken away or looked into."""

from __future__ import annotations

from sidecar.doors.terminal import spoken
from sidecar.wire import protocol as wire


def switched(done: wire.Switched) -> str:
    return spoken(done.sentence)
