"""The action of *Check a Bicep file*."""

from __future__ import annotations

from pathlib import Path

from sidecar.wire import protocol as wire
from sidecar.workflows.bicep_check import Judged, check
from sidecar.workflows.context import Context, silent


def bicep_check_action(params: wire.BicepCheckParams, context: Context) -> wire.BicepChecked:
    file = Path(params.file)
    judged, agreed = check(file, Path(params.folder), params.compiler, context.settings.environ, silent(context))
    return wire.BicepChecked(
        file=str(file),
        compilations=[_shown(each) for each in judged],
        agree=None if agreed is None else agreed.agree,
        sentence=None if agreed is None else wire.sentence(agreed.sentence),
    )


def _shown(each: Judged) -> wire.BicepCompilation:
    return wire.BicepCompilation(
        compiler=each.compiler,
        version=each.version,
        path=None if each.path is None else str(each.path),
        outcome=each.compilation.outcome,
        sentence=wire.sentence(each.sentence),
        problems=wire.file_problems(each.compilation.problems),
    )
