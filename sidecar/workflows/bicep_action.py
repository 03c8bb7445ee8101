"""The actions on Bicep files and their compiler."""

from __future__ import annotations

from pathlib import Path

from sidecar.wire import protocol as wire
from sidecar.workflows.bicep_check import Judged, check
from sidecar.workflows.bicep_install import install
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


def bicep_install_action(params: wire.BicepInstallParams, context: Context) -> wire.BicepInstalled:
    done = install(context.settings.environ, params.version, tuple(params.consents), silent(context))
    return wire.BicepInstalled(version=done.version, path=str(done.path), before=done.before)


def _shown(each: Judged) -> wire.BicepCompilation:
    return wire.BicepCompilation(
        compiler=each.compiler,
        version=each.version,
        path=None if each.path is None else str(each.path),
        outcome=each.compilation.outcome,
        sentence=wire.sentence(each.sentence),
        problems=wire.file_problems(each.compilation.problems),
    )
