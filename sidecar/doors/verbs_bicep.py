"""The verbs of the terminal door on Bicep files, and what they show."""

from __future__ import annotations

import argparse
import os
from typing import Any, cast

from sidecar.doors.terminal import problem, spoken
from sidecar.doors.verb import Params, Verb, never
from sidecar.wire import protocol as wire

COMPILERS = {"cli": "the Bicep CLI", "own": "Slipway's own compiler"}


def for_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a Bicep file")
    parser.add_argument(
        "--compiler",
        choices=("auto", *COMPILERS),
        default="auto",
        help="which one judges it: the Bicep CLI, Slipway's own, or (the default) each that is there, compared",
    )


def check_of(options: argparse.Namespace) -> Params:
    file = os.path.abspath(options.file)
    return {"folder": os.getcwd(), "file": file, "compiler": options.compiler, "operation": ""}


def checked(found: wire.BicepChecked) -> str:
    lines: list[str] = []
    for each in found.compilations:
        version = f" {each.version}" if each.version else ""
        place = f" ({each.path})" if each.path else ""
        lines.append(f"{COMPILERS[each.compiler]}{version}{place}: {each.outcome}")
        if not each.problems and each.outcome != "compiled":
            lines.append(f"  {spoken(each.sentence)}")
        lines += [f"  {'error' if one.certain else 'warning'}: {problem(one)}" for one in each.problems]
    if found.sentence is not None:
        lines.append(spoken(found.sentence))
    return "\n".join(lines)


def for_install(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", metavar="VERSION", help="as 0.49.2 (default: the newest)")


def installed(found: wire.BicepInstalled) -> str:
    return f"The Bicep CLI {found.version} {'was there already' if found.before else 'is installed'}: {found.path}"


BICEP: dict[str, Verb[Any]] = {
    "bicep check": Verb(
        what="what the compilers say of a Bicep file, and whether they agree; asks no cloud",
        method="slipway/bicepCheck",
        hears_cancel=True,
        result=wire.BicepChecked,
        title=None,
        arguments=for_check,
        place=check_of,
        render=checked,
        failed=lambda found: cast("wire.BicepChecked", found).compilations[0].outcome != "compiled",
    ),
    "bicep install": Verb(
        what="fetch Microsoft's Bicep CLI for Slipway, verified by its sha256",
        method="slipway/bicepInstall",
        hears_cancel=True,
        result=wire.BicepInstalled,
        title="AI Toolkit: Install the Bicep CLI",
        arguments=for_install,
        place=lambda options: {"version": options.version, "operation": ""},
        render=installed,
        failed=never,
    ),
}
