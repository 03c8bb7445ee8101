"""The verb of the terminal door that evaluates."""

from __future__ import annotations

import argparse
from typing import Any, cast

from sidecar.doors.terminal import facts, spoken
from sidecar.doors.verb import Params, Verb, in_folder, operation_of
from sidecar.wire import protocol as wire


def for_evaluation(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="FILE",
        help="a line of JSON for each question, in the project's folder (default: infra/evaluation.jsonl, else what the "
        "project was fine-tuned with, else infra/smoke.json); may be repeated",
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="default: base and adapters; may be repeated"
    )
    parser.add_argument(
        "--against", metavar="NAME", help="which of them the others are compared with; default: the base"
    )
    parser.add_argument(
        "--run", metavar="RUN", help="an earlier run to compare with; default: the last over these rows"
    )
    parser.add_argument("--most", type=_rows, metavar="N", help="only the first N rows")
    parser.add_argument("--anew", action="store_true", help="do not go on with a run that was cut off")


def _rows(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return count


def evaluation_of(options: argparse.Namespace) -> Params:
    asked = {name: getattr(options, name) for name in ("against", "run", "most", "anew")}
    return {**operation_of(options), **asked, "datasets": options.dataset, "models": options.model, "only": []}


def evaluated(done: wire.Evaluated) -> str:
    marks = {True: "met", False: "missed", None: "unverified"}
    rows = [
        *[("verdict", spoken(each.sentence)) for each in done.verdicts],
        *[(marks[each.met], spoken(each.sentence)) for each in done.outcomes],
        *[("note", spoken(each)) for each in done.notes],
        ("answers", f"{done.asked} asked" + (f", {done.stored} were stored already" if done.stored else "")),
        ("report", done.report),
    ]
    return facts(f"Evaluated: {done.rows} rows, {', '.join(each.name for each in done.models)}", rows)


EVALUATING: dict[str, Verb[Any]] = {
    "evaluate": Verb(
        what="ask base and adapters the rows of a data set, and say which is better; ends with 1 where a threshold of "
        "infra/evaluation.json is missed",
        method="slipway/evaluate",
        hears_cancel=True,
        result=wire.Evaluated,
        title="AI Toolkit: Evaluate inference endpoint",
        arguments=for_evaluation,
        place=evaluation_of,
        render=evaluated,
        failed=lambda done: not cast("wire.Evaluated", done).met,
    ),
}
