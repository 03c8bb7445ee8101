"""Puts a release into service by the strategy that loses the least, of what is possible; which one that is, is said before."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sidecar.core.journal import Journal
from sidecar.core.sync import Release
from sidecar.decisions.restart import Plan
from sidecar.decisions.server_start import starts_our_server
from sidecar.decisions.serving import is_ours, script_of
from sidecar.decisions.strategy import (
    CHANNEL,
    PACKAGES,
    UNDISTURBING,
    Choice,
    Container,
    Facts,
    Packages,
    in_place,
    obstacle,
    otherwise,
    packages_of,
    refusal,
    torch_of,
)
from sidecar.decisions.upgrade import DEPLOY_KEY
from sidecar.gateway import apps
from sidecar.gateway.exchange import Exchange, Supervisor
from sidecar.gateway.files import Share
from sidecar.words.errors import EndpointError
from sidecar.words.names import Strategy, StrategyWish
from sidecar.words.text import Text
from sidecar.workflows.beside import can_be_revised, revised
from sidecar.workflows.by_restart import restarted
from sidecar.workflows.in_place import Running, exchanged
from sidecar.workflows.outcome import Served
from sidecar.workflows.placing import plan_of
from sidecar.workflows.records import manifest_on
from sidecar.workflows.restart import answered, version_of
from sidecar.workflows.stage import Rollout, Stage, aim_of
from sidecar.workflows.watch import replicas_of

BY_STRATEGY: dict[Strategy, Callable[[Rollout], Served]] = {"restart": restarted, "revision": revised}
"""Ways that need no more than the release. `in place` needs the container that runs."""

OFFERED: frozenset[Strategy] = frozenset({"in-place", *BY_STRATEGY})


@dataclass(frozen=True)
class New:
    """The release that is to come. `manifest`: its files, where they are known. `compare`: what it changes of the packages
    against another one, by that one's digest."""

    manifest: Mapping[str, str] | None
    compare: Callable[[str], Packages]
    equipped: bool = False
    """Whether it brings all its packages along."""
    gated: bool = False
    """Whether thresholds judge it before it takes over."""


@dataclass(frozen=True)
class Weighed:
    """`running`: the container whose server would be exchanged. `plan`: of a restart, where that was looked at."""

    choice: Choice
    facts: Facts
    running: Running | None
    plan: Plan | None


def rolled_out(rollout: Rollout, wish: StrategyWish) -> Served:
    journal, stage = rollout.journal, rollout.stage
    found = weigh(stage, _new(rollout), wish, journal)
    refused = refusal(wish, found.facts, found.choice)
    if refused is not None:
        raise EndpointError(
            refused,
            Text("Let slipway.rollout be auto, or leave out --strategy: then what is possible is done."),
            code="StrategyNotPossible",
        )
    choice = found.choice
    if choice.why is not None and found.facts.supervised and found.facts.ready:
        journal.log(Text("Not exchanged in place: {reason}", reason=choice.why))
    if choice.strategy != "restart":  # a restart tells of itself, once it knows what it ends
        journal.log(choice.sentence)
    rollout.upload_packages()
    if choice.form != "beside":
        rollout.upload()
    if choice.strategy == "in-place":
        assert found.running is not None, "chosen for it"
        assert choice.form is not None, "it has one"
        return exchanged(rollout, found.running, choice.form)
    return BY_STRATEGY[choice.strategy](rollout)


def weigh(stage: Stage, new: New, wish: StrategyWish, journal: Journal) -> Weighed:
    """Looks, and changes nothing. Nothing is asked of an endpoint that has no replica which is ready."""
    facts, running = _facts(stage, new, wish, journal)
    why = obstacle(facts)
    if wish in ("auto", "in-place") and why is None:
        return Weighed(in_place(facts), facts, running, None)
    plan = plan_of(stage.place, stage.app, stage.revision)
    told = why if wish in ("auto", "in-place") else None
    possible = OFFERED if can_be_revised(stage.app, wish) else OFFERED - {"revision"}
    return Weighed(otherwise(wish, facts, plan, told, offered=possible), facts, None, plan)


def _facts(stage: Stage, new: New, wish: StrategyWish, journal: Journal) -> tuple[Facts, Running | None]:
    app = stage.app
    settled = not (stage.stopped or stage.older or stage.upgraded is not None or app.stopped)
    replicas = replicas_of(stage.place, stage.revision.name) if settled else []
    ready = sum(each.ready for each in replicas)
    facts = Facts(
        ours=is_ours(app) and not stage.where.plain,
        supervised=DEPLOY_KEY in app.secret_env,
        spoken=CHANNEL in (new.manifest or {}) and starts_our_server(script_of(app)),
        pinned=app.env.get("SLIPWAY_RELEASE", "current") != "current",
        settled=settled,
        running=len(replicas),
        ready=ready,
        container=None,
        packages="same",
        usual=stage.usual,
        gated=new.gated,
    )
    asked = wish in ("auto", "in-place") and facts.ours and facts.supervised and not facts.pinned
    if not asked or len(replicas) != 1 or not ready:
        return facts, None
    return _with_container(stage, facts, replicas[0].name, new, journal)


def _with_container(
    stage: Stage, facts: Facts, replica: str, new: New, journal: Journal
) -> tuple[Facts, Running | None]:
    known = apps.secrets(stage.place)
    key = known.get(stage.app.secret_env[DEPLOY_KEY])
    aim = aim_of(stage, stage.app, stage.revision, None, known)
    seen = None if not key else _supervised(aim.url, key, journal)
    if seen is None or not key:
        return facts, None
    packages = new.compare(seen.running)
    if packages == "changed" and new.equipped and seen.archives:
        packages = "own"
    usual = facts.usual
    if packages not in UNDISTURBING or not seen.beside:
        version = answered(journal, lambda: version_of(aim))
        usual = usual if version is None or version.ready_after is None else version.ready_after
    container = Container(seen.running, seen.beside, seen.why, seen.asks)
    found = replace(facts, container=container, packages=packages, usual=usual)
    return found, Running(aim, key, replica, seen.running)


def _supervised(url: str, key: str, journal: Journal) -> Exchange | None:
    """None where none answers: then that is what keeps a release from being exchanged there."""
    try:
        with Supervisor(url, key) as supervisor:
            return answered(journal, supervisor.look)
    except EndpointError as error:
        journal.log(error.message, "warning")
        return None


def _new(rollout: Rollout) -> New:
    """Compared with what runs, which need not be what is current on the share."""
    share, home, bundle = rollout.share, rollout.stage.home, rollout.bundle
    manifest = manifest_on(share, home, rollout.release) if bundle is None else bundle.manifest
    compare = partial(compared, share, home, rollout.release, bundle)
    return New(manifest, compare, is_equipped(bundle), gated=rollout.gate is not None)


def is_equipped(bundle: Release | None) -> bool:
    return bundle is not None and bundle.packages is not None and bundle.packages.complete


def compared(share: Share, home: str, release: str, bundle: Release | None, running: str) -> Packages:
    """By the manifests; where the packages have changed, by what either release asks for of torch."""
    if running == release:
        return "same"
    new = manifest_on(share, home, release) if bundle is None else bundle.manifest
    found = "unknown" if new is None else packages_of(new, manifest_on(share, home, running))
    if found != "changed":
        return found
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        files = [_fetched(share, home, running, Path(folder))]
        files.append(_fetched(share, home, release, Path(folder)) if bundle is None else bundle.file)
        before, after = map(_torch_in, files)
    return "changed" if before == after else "torch"


def _fetched(share: Share, home: str, release: str, folder: Path) -> Path:
    file = folder / release
    with file.open("wb") as target:
        target.writelines(share.blocks(f"{home}/releases/{release}"))
    return file


def _torch_in(bundle: Path) -> tuple[str, ...]:
    with tarfile.open(bundle) as archive:
        members = sorted(each.name for each in archive.getmembers() if each.isfile() and each.name.endswith(PACKAGES))
        opened = [archive.extractfile(each) for each in members]
        texts = [each.read().decode("utf-8", errors="replace") for each in opened if each is not None]
    return tuple(asked for text in texts if (asked := torch_of(text)))
