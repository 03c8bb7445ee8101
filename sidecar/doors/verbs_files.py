"""The verbs of the terminal door on the files that a project has got from Slipway."""

from __future__ import annotations

import argparse
from typing import Any, cast

from sidecar.doors import terminal
from sidecar.doors.verb import Params, Verb, folder_of, in_folder, never
from sidecar.wire import protocol as wire


def for_init(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument(
        "--beside", action="store_true", help="put Slipway's server into inference/ also beside one of your own"
    )


def init_of(options: argparse.Namespace) -> Params:
    return {**folder_of(options), "beside": getattr(options, "beside", False)}


def for_update(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--plan", action="store_true", help="only tell what would become of which file")
    for name, what in (("mine", "keep your version of it"), ("theirs", "take Slipway's in place of yours")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="FILE", help=f"in conflict: {what}")


def update_of(options: argparse.Namespace) -> Params:
    return {**folder_of(options), "plan": options.plan, "mine": options.mine, "theirs": options.theirs}


def for_ci(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("init",), help="write the workflow, unless an edited one is there")
    in_folder(parser)
    parser.add_argument("--branch", default="main", help="whose pushes deploy (default: main)")


FILES: dict[str, Verb[Any]] = {
    "init": Verb(
        what="create infra/ and inference/ where they are missing",
        method="slipway/init",
        hears_cancel=False,
        result=wire.Created,
        title="AI Toolkit: Create project files",
        arguments=for_init,
        place=init_of,
        render=terminal.created,
        failed=never,
    ),
    "ci": Verb(
        what="ci init: write a workflow of GitHub Actions that deploys and evaluates, and say what it needs",
        method="slipway/ciInit",
        hears_cancel=False,
        result=wire.CiInit,
        title=None,
        arguments=for_ci,
        place=lambda options: {**folder_of(options), "branch": options.branch},
        render=terminal.ci_written,
        failed=never,
    ),
    "update": Verb(
        what="bring a newer Slipway's project files into infra/ and inference/; your edits are kept, conflicts named",
        method="slipway/updateFiles",
        hears_cancel=False,
        result=wire.FilesUpdate,
        title="AI Toolkit: Update project files",
        arguments=for_update,
        place=update_of,
        render=terminal.files_updated,
        failed=lambda found: any(each.kind == "conflict" for each in cast("wire.FilesUpdate", found).files),
    ),
}
