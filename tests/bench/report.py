"""What a benchmark prints: a JSON line a figure, and at the end which of its fixed goals are met."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

Peers = Mapping[str, tuple[str, ...]]
"""What a benchmark compares with, or measures by, and which of its goals need it."""
NO_PEERS: Peers = {}


def goal_arguments(parser: ArgumentParser, peers: Peers = NO_PEERS) -> None:
    """`--goals` and `--without PEER`, the same for every benchmark."""
    parser.add_argument("--goals", action="store_true", help="exit with 1 unless every goal is met")
    if peers:
        told = f"a peer that is not to be had ({', '.join(sorted(peers))}): its goals are left out; else they count as missed"
        parser.add_argument("--without", action="append", default=[], choices=sorted(peers), metavar="PEER", help=told)


def report_for(asked: Namespace, goals: tuple[str, ...], peers: Peers = NO_PEERS) -> "Report":
    left = {goal: peer for peer in getattr(asked, "without", []) for goal in peers[peer]}
    return Report(tuple(goal for goal in goals if goal not in left), left)


@dataclass
class Report:
    """Figures as they are measured, and a benchmark's goals, fixed by name beforehand.

    A goal ends as met or as missed; missed is also what was not measured, since its peer is not installed, and what was never
    attempted. `left_out`: goals that were struck beforehand, each with its peer.
    """

    goals: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    _judged: dict[str, tuple[bool, str]] = field(default_factory=dict[str, tuple[bool, str]])

    def figure(self, name: str, value: float | None, **more: object) -> None:
        """Prints one figure; None where there is none, with the reason in `more`."""
        print(json.dumps({"figure": name, "value": None if value is None else round(value, 3), **more}), flush=True)

    def goal(self, name: str, met: bool | None, text: str = "") -> None:
        """Judges one of the fixed goals; None: its peer is not here."""
        if name in self.left_out:
            return
        if name not in self.goals:
            raise ValueError(f"{name!r} is none of this benchmark's goals")
        if met is None:
            print(json.dumps({"goal": name, "met": "not measured", "why": text}), flush=True)
            text = f"{name} (not measured: {text})"
        self._judged[name] = (bool(met), text or name)

    def ratio(self, name: str, ours: list[float], theirs: list[float], goal: str = "", least: float = 0.0) -> None:
        """Prints the median of the rounds' ratios, and judges `goal` by the `least` that it has to reach."""
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        value = median(ratios)
        self.figure(
            name, value, rounds=[round(ratio, 2) for ratio in ratios], **({"goal": f"≥ {least}"} if goal else {})
        )
        if goal:
            self.goal(goal, value >= least, f"{goal} ({value:.2f} of {least})")

    def end(self, strict: bool) -> None:
        """The last line; with `strict` the process ends with 1 unless every goal is met."""
        judged = {name: self._judged.get(name, (False, f"{name} (not attempted)")) for name in self.goals}
        missing = [text for met, text in judged.values() if not met]
        for goal, peer in self.left_out.items():
            print(json.dumps({"goal": goal, "met": "left out", "why": f"--without {peer}"}))
        print(f"goals met: {len(judged) - len(missing)} of {len(judged)}; missing: {', '.join(missing) or 'none'}")
        sys.stdout.flush()
        if strict and missing:
            sys.exit(1)
