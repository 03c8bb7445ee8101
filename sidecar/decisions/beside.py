"""A roll-out beside the revision that serves: how it is written down on the share, and what is left of one cut off. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sidecar.decisions.candidate import Candidate, candidate_from
from sidecar.decisions.shifting import pinned, weight_of
from sidecar.gateway.traffic import Entry, Routing


@dataclass(frozen=True)
class Begun:
    """`rollout.json` beside the releases, written before anything is changed and deleted when all is as it was. `old`: the
    revision that served. `candidate` None: it was taken back; the traffic still names `old`, since the newest revision is the one
    that did not work. `was`: mode and traffic to give back. `at`: UTC in ISO 8601. `machine`, `pid`: who is at it."""

    old: str
    candidate: Candidate | None
    was: Routing
    at: str
    by: str
    machine: str
    pid: int

    def to_json(self) -> bytes:
        said = {
            "old": self.old,
            "candidate": None if self.candidate is None else str(self.candidate),
            "mode": self.was.mode,
            "traffic": [
                {"revision": each.revision, "weight": each.weight, "label": each.label} for each in self.was.entries
            ],
            "at": self.at,
            "by": self.by,
            "machine": self.machine,
            "pid": self.pid,
        }
        return (json.dumps(said, ensure_ascii=False) + "\n").encode()


def begun_from(content: bytes) -> Begun | None:
    """None for a file that is damaged: then nobody knows what was before, and what is there now stays."""
    try:
        said = json.loads(content)
        traffic = cast("list[Mapping[str, object]]", said["traffic"])
        entries = tuple(_entry(each) for each in traffic)
        candidate = candidate_from(str(said["candidate"] or ""))
        old, mode, pid = str(said["old"]), str(said["mode"]), int(said["pid"])
    except (ValueError, LookupError, TypeError):
        return None
    told = cast("Mapping[str, object]", said)
    at, by, machine = (str(told.get(key) or "") for key in ("at", "by", "machine"))
    return Begun(old, candidate, Routing(mode, entries), at, by, machine, pid)


Left = Literal["nothing", "unmade", "unserved", "serving"]
"""`unmade`: no revision was made for it. `unserved`: one was, and gets no request. `serving`: it gets some, so it was checked."""


def left_of(begun: Begun, new: str | None, now: Routing, latest: str | None) -> Left:
    """What a roll-out that was cut off has left. `new`: the revision that was made for it, where one was. `latest`: the app's,
    which may get requests without being called by its name: they were given back to it already."""
    if begun.candidate is None:
        return "nothing"
    if new is None:
        return "unmade"
    return "serving" if weight_of(pinned(now, latest or ""), new) else "unserved"


def idle_beside(active: Sequence[tuple[str, int, int]], mode: str, serving: str) -> str | None:
    """An active revision that has replicas and gets no request while another one serves: it is paid for. `active`: name, replicas
    and weight. In Single mode the platform ends such a one by itself."""
    if mode == "Single":
        return None
    return next((name for name, replicas, weight in active if name != serving and replicas and not weight), None)


def _entry(said: Mapping[str, object]) -> Entry:
    revision, weight, label = (said.get(key) for key in ("revision", "weight", "label"))
    if not isinstance(weight, int):
        raise TypeError("a weight is a number")
    return Entry(None if revision is None else str(revision), weight, None if label is None else str(label))
