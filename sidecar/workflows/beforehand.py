"""Before anything moves: whether the code would start, what of it travels, whether the share holds a model."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import cast

from sidecar.core.codecheck import Start, check, start_of
from sidecar.core.codefiles import Tree
from sidecar.core.journal import Journal
from sidecar.core.scaffold import shipped_packages, shipped_template
from sidecar.core.sync import Changes, Release, diff
from sidecar.decisions.checks import failures
from sidecar.decisions.model_check import model_checks
from sidecar.decisions.model_facts import ModelFacts, Settings, commanded
from sidecar.decisions.models_on_share import Models, is_our_server
from sidecar.decisions.server_start import starts_our_server
from sidecar.decisions.serving import is_ours, script_of
from sidecar.gateway.apps import App
from sidecar.gateway.files import Share
from sidecar.words.errors import WorkspaceError
from sidecar.words.problems import Problem
from sidecar.words.text import Text
from sidecar.workflows.model_files import Files, facts_by_place, model_facts, models_on
from sidecar.workflows.records import Record, manifest_on

SHOWN = 10


@dataclass(frozen=True)
class Difference:
    """Against the current release; None where it is not known what lies in that. `uploads`: whether the bundle has to travel."""

    changes: Changes | None
    added: tuple[str, ...]
    uploads: bool


class BrokenCode(WorkspaceError):
    """The code can't start; `problems` say where."""

    code = "BrokenCode"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        facts = {"file": first.path, "line": first.line, "problem": first.message, "count": len(problems)}
        super().__init__(
            Text("The code would not start: {file}, line {line}: {problem}", **facts)
            if len(problems) == 1
            else Text(
                "The code would not start: {count} problems, the first in {file}, line {line}: {problem}", **facts
            ),
            Text("Correct it and run Deploy again. Nothing was changed: what served goes on serving."),
            detail="\n".join(map(str, problems)),
        )
        self.problems = tuple(problems)


def checking(tree: Tree, app: App) -> Future[list[Problem]]:
    """The check of the code, begun: the share is read meanwhile."""
    found = Future[list[Problem]]()

    def run() -> None:
        try:
            found.set_result(check(tree, start_command(app), shipped_packages()))
        except Exception as error:  # noqa: BLE001  (raised again where it is waited for)
            found.set_exception(error)

    threading.Thread(target=run, name="check", daemon=True).start()
    return found


def checked(begun: Future[list[Problem]], journal: Journal) -> list[Problem]:
    """Problems that are not certain to be any; raises BrokenCode where some are."""
    found = begun.result()
    certain = [each for each in found if each.certain]
    if certain:
        raise BrokenCode(certain)
    for each in found:
        journal.log(
            Text("{file}, line {line}: {problem}", file=each.path, line=each.line, problem=each.message), "warning"
        )
    return found


def start_command(app: App) -> Start:
    """What the app runs of the code. Of another image than ours nobody knows what it holds."""
    start = start_of(app.args[-1] if is_ours(app) and app.args else " ".join((*app.command, *app.args)))
    return start if app.image == _default_image() and "PYTHONPATH" not in app.env else start.unknown()


def tell_left_out(tree: Tree, journal: Journal) -> None:
    """What somebody may miss; that Git's files are left out surprises nobody."""
    for why, text in (
        ("secret", Text("{paths}: files of secrets do not travel.", paths=_paths(tree, "secret"))),
        (
            "model",
            Text("{paths}: weights do not travel with the code; put them on the share.", paths=_paths(tree, "model")),
        ),
    ):
        if any(each.why == why for each in tree.left_out):
            journal.log(text, "warning")
    ignored = [each for each in tree.left_out if each.why == "ignored"]
    if ignored:
        journal.log(Text("Left out: {paths}", paths=_named([f"{each.path} ({each.by})" for each in ignored])))


def _paths(tree: Tree, why: str) -> str:
    return _named([each.path for each in tree.left_out if each.why == why])


def models_checked(tree: Tree, app: App, share: Share, folder: str, kind: str | None, journal: Journal) -> Models:
    """What is there; raises WorkspaceError where our server would not start with it, for then nothing would answer any more.
    `kind`: the type of the app's profile."""
    if not is_our_server(tree):  # another one may read other files, from anywhere
        return models_on(share, folder)
    facts = facts_for(share, folder, app, kind)
    checks = model_checks(facts, needed=True)
    for each in checks:
        if each.verdict == "WARN":
            told = Text("{problem} {remedy}", problem=each.sentence, remedy=each.remedy)
            journal.log(each.sentence if each.remedy is None else told, "warning")
        elif each.verdict == "UNVERIFIED":
            journal.log(Text("Unverified: {problem}", problem=each.sentence), "warning")
    failed = failures(checks)
    if failed:
        others = "\n".join(f"{each.name}: {each.sentence} {each.remedy or ''}".rstrip() for each in failed[1:])
        raise WorkspaceError(failed[0].sentence, failed[0].remedy, code=failed[0].code, detail=others or None)
    return facts.models


def facts_for(share: Files, folder: str, app: App, kind: str | None) -> ModelFacts:
    """As much as what the app starts is known by: with our code in the folder it may still start vLLM."""
    look = model_facts if starts_our_server(script_of(app)) else facts_by_place
    return look(share, folder, settings_of(app), kind)


def settings_of(app: App) -> Settings:
    """The server's, as variables: the app's own, and those that its commands set."""
    return {**app.env, **commanded(script_of(app))}


def difference(release: Release, share: Share, record: Record) -> Difference:
    uploads = record.lacks(release.digest, release.size)
    current = record.current
    if current is None:
        return Difference(Changes(tuple(sorted(release.manifest)), ()), tuple(sorted(release.manifest)), uploads)
    before = release.manifest if current.release == release.digest else manifest_on(share, record.home, current.release)
    if before is None:
        return Difference(None, (), uploads)
    changes = diff(release.manifest, before)
    return Difference(changes, tuple(path for path in changes.upload if path not in before), uploads)


def tell_difference(found: Difference, release: Release, record: Record, journal: Journal) -> None:
    """What of the code is new, before it is uploaded."""
    current = record.current
    if current is None:
        told = {"files": len(release.manifest), "size": release.size // 1024}
        journal.log(Text("This is the first release: {files} files, {size} KiB.", **told))
    elif found.changes is None:
        journal.log(Text("What lies in the current release {digest} is not written down.", digest=current.release[:12]))
    elif found.changes.upload or found.changes.delete:
        changed = tuple(path for path in found.changes.upload if path not in found.added)
        kinds = (
            (found.added, Text("New: {paths}", paths=_named(found.added))),
            (changed, Text("Changed: {paths}", paths=_named(changed))),
            (found.changes.delete, Text("Gone: {paths}", paths=_named(found.changes.delete))),
        )
        for paths, text in kinds:
            if paths:
                journal.log(text)


def _named(paths: Sequence[str]) -> str:
    return ", ".join(paths[:SHOWN]) + (" …" if len(paths) > SHOWN else "")


def _default_image() -> str:
    parameters = cast("dict[str, dict[str, object]]", shipped_template()["parameters"])
    return str(parameters["image"]["defaultValue"])
