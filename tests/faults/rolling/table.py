"""A table of rows, some groups of them at a time: each group has ground of its own, each row is printed with its seconds."""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import httpx

from sidecar.words.errors import SlipwayError

LANES = 3
"""Groups at a time, on two cores: a row mostly waits for a start, or for a write of Azure's."""

UNPLAYED = (AssertionError, OSError, LookupError, ValueError, SlipwayError, httpx.HTTPError, subprocess.SubprocessError)
"""By what a row can't be played to its end."""


@dataclass(frozen=True)
class Told:
    """What a row came to."""

    expected: str
    seen: str
    held: bool
    name: str = ""
    seconds: float = 0.0


Play = Callable[[str], Told]


@dataclass(frozen=True)
class Group:
    """Rows that share a ground, and are played on it in this order."""

    names: tuple[str, ...]
    opened: Callable[[], AbstractContextManager[Play]]


def chosen_from(arguments: Sequence[str] | None, description: str, groups: Sequence[Group]) -> list[str]:
    names = [name for group in groups for name in group.names]
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names)}; all when none is given")
    asked: list[str] = parser.parse_args(arguments).names
    unknown = set(asked) - set(names)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return asked or names


def main(title: str, groups: Sequence[Group], chosen: Sequence[str], lanes: int = LANES) -> int:
    """The exit code: 0 where every row is as expected."""
    began = time.monotonic()
    wanted = [replace(group, names=mine) for group in groups if (mine := _mine(group, chosen))]
    with ThreadPoolExecutor(lanes) as pool:
        rows = [row for played in pool.map(_played, wanted) for row in played]
    held = sum(row.held for row in rows)
    slowest = max(rows, key=lambda row: row.seconds)
    print(
        f"{title}: {held} of {len(rows)} as expected ({time.monotonic() - began:.0f} s; the longest row: {slowest.name}, "
        f"{slowest.seconds:.0f} s)",
        flush=True,
    )
    return 0 if held == len(rows) else 1


def _mine(group: Group, chosen: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in group.names if name in chosen)


def _played(group: Group) -> list[Told]:
    began, rows = time.monotonic(), list[Told]()
    try:
        with group.opened() as play:
            print(f"{group.names[0]} …: its ground took {time.monotonic() - began:.0f} s", flush=True)
            for name in group.names:
                began = time.monotonic()
                try:
                    told = play(name)
                except UNPLAYED as error:
                    told = _unplayed(error)
                rows.append(shown(replace(told, name=name, seconds=time.monotonic() - began)))
            began = time.monotonic()
    except UNPLAYED as error:  # the ground itself, at its beginning or its end
        left = group.names[len(rows) :] or group.names[-1:]
        rows += [shown(replace(_unplayed(error), name=name)) for name in left]
    return rows


def _unplayed(error: BaseException) -> Told:
    return Told("to be played", f"{type(error).__name__}: {error}", held=False)


def shown(row: Told) -> Told:
    verdict = "as expected" if row.held else "NOT AS EXPECTED"
    print(
        f"{row.name} | expected: {row.expected} | seen: {row.seen} | {row.seconds:.0f} s | {verdict}",
        flush=True,
    )
    return row
