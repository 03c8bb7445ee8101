"""What a benchmark prints: a JSON line a figure, and at the end which of its fixed goals are met."""

import json
import sys
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Report:
    """Figures as they are measured, and a benchmark's goals, fixed by name beforehand.

    A goal ends as met, as missed, as "not measured" (its peer is not installed: it counts neither way), or, when nothing
    ever judged it, as never attempted, which counts as missing.
    """

    goals: tuple[str, ...]
    _judged: dict[str, tuple[bool | None, str]] = field(default_factory=dict[str, tuple[bool | None, str]])

    def figure(self, name: str, value: float | None, **more: object) -> None:
        """Prints one figure; None where there is none, with the reason in `more`."""
        print(json.dumps({"figure": name, "value": None if value is None else round(value, 3), **more}), flush=True)

    def goal(self, name: str, met: bool | None, text: str = "") -> None:
        """Judges one of the fixed goals; None: its peer is not here."""
        if name not in self.goals:
            raise ValueError(f"{name!r} is none of this benchmark's goals")
        self._judged[name] = (met, text or name)
        if met is None:
            print(json.dumps({"goal": name, "met": "not measured", "why": text}), flush=True)

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
        """The last line; with `strict` the process ends with 1 unless every goal that could be measured is met."""
        counted = [name for name in self.goals if self._judged.get(name, (False, ""))[0] is not None]
        missing = [
            self._judged.get(name, (False, f"{name} (not attempted)"))[1]
            for name in counted
            if not self._judged.get(name, (False, ""))[0]
        ]
        print(f"goals met: {len(counted) - len(missing)} of {len(counted)}; missing: {', '.join(missing) or 'none'}")
        sys.stdout.flush()
        if strict and missing:
            sys.exit(1)
