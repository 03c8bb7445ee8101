"""Workflow *Deploy*: sync the code, restart or wake the replica, wait until the new one answers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.core.sync import Release, generation_numbers, next_generation, pack
from sidecar.core.workspace import Workspace, target_of
from sidecar.decisions.serving import (
    TOLERATED_RESTARTS,
    Address,
    address_of,
    crash_text,
    elsewhere_note,
    is_ours,
    serving_revision,
)
from sidecar.gateway import apps
from sidecar.gateway.endpoint import NOT_ASKED, Endpoint, Readiness, Refused, Version, status_without_key
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.place import AppPlace, GroupPlace
from sidecar.gateway.session import Session
from sidecar.words.errors import Conflict, EndpointError
from sidecar.words.names import Phase
from sidecar.words.text import Text
from sidecar.workflows.mirror import mirror

POLL_SECONDS = 1.0
READY_SECONDS = 1800
"""The template's probe budget (20 minutes) and a margin: nothing is waited for without an end."""
RESTART_SECONDS = 120
"""After this, a restart that left every old replica running is asked for once more."""

PHASES: dict[Phase, str] = {
    "waiting-for-first-deploy": "The replica waits for its first release…",
    "dependencies": "Installing dependencies…",
    "checking": "Checking the model's files…",
    "loading-base": "Loading the base model{percent}…",
    "loading-adapters": "Loading the adapters…",
    "warming-up": "Warming up…",
    "ready": "The model answers.",
    "failed": "The model could not be loaded.",
}
"""What each phase of the server is called in progress messages."""


@dataclass(frozen=True)
class Result:
    """`verified`: the release answers, and with it every adapter that the server found. `base`, `adapters` and `refused` are
    what it serves and what it does not; None and empty where the server is not ours."""

    endpoint: str
    url: str
    release: str
    generation: int
    code_changed: bool
    verified: bool
    replicas: tuple[str, ...]
    base: str | None
    adapters: tuple[str, ...]
    refused: tuple[Refused, ...]
    notes: tuple[Text, ...]


@dataclass(frozen=True)
class Published:
    """What the share holds now. `release` and `generation` are empty and 0 for a plain tree."""

    release: str
    generation: int
    changed: bool


def deploy(workspace: Workspace, session: Session, journal: Journal) -> Result:
    """The whole of *Deploy*. Without a change in the code it still reloads the model."""
    target = target_of(workspace)
    around = GroupPlace(session, target.subscription_id, target.resource_group)
    place = around.app(target.app)

    journal.step("look", Text("Looking at {app}…", app=target.app), increment=5)
    app = apps.app(place)
    revisions = apps.revisions(place)
    revision = serving_revision(app, revisions)
    address = address_of(target.endpoint, session.profile.scheme, app, revisions, revision)
    before = {each.name for each in apps.replicas(place, revision)}

    journal.step("sync", Text("Syncing the code in {folder}…", folder=workspace.code.name), increment=10)
    with open_share(around, target.storage_account, target.file_share) as share:
        if is_ours(app):
            published = publish(pack(workspace.code), share, target.app, journal)
        else:
            journal.log(
                Text("{app} was not made by Slipway: its code is synced as a plain tree, file by file.", app=target.app)
            )
            changes = mirror(workspace.code, share, journal)
            published = Published("", 0, bool(changes.upload or changes.delete))

    with Endpoint(address.url, api_key_of(place, app)) as endpoint:
        if before:
            journal.step("restart", Text("Restarting {revision}…", revision=revision), increment=10, revision=revision)
            apps.restart(place, revision)
        else:
            journal.step(
                "wake", Text("No replica is running: waking {app} by a request…", app=target.app), increment=10
            )
        if is_ours(app):
            replicas, version = await_release(place, revision, endpoint, before, published, journal)
            journal.step("ask", Text("Asking the model…"), increment=5)
            endpoint.ask(endpoint.models()[-1], "Hello", max_tokens=1)
        else:
            replicas, version = await_replicas(place, revision, endpoint, before, journal), None
    notes = outcome_notes(version)
    refused = () if version is None else version.refused or ()
    for each in refused:
        journal.log(
            Text("The server refuses the adapter {name}: {reason}", name=each.name, reason=each.reason), "warning"
        )
    notes += asked_elsewhere(address, app)
    for note in notes:
        journal.log(note, "warning")
    journal.log(Text("The inference endpoint is available at {url}", url=address.url))
    journal.done(release=published.release, generation=str(published.generation))
    return Result(
        endpoint=target.endpoint,
        url=address.url,
        release=published.release,
        generation=published.generation,
        code_changed=published.changed,
        verified=version is not None and not refused,
        replicas=tuple(replicas),
        base=None if version is None else version.base,
        adapters=() if version is None else version.adapters,
        refused=refused,
        notes=tuple(notes),
    )


def asked_elsewhere(address: Address, app: apps.App) -> list[Text]:
    """What came of one look, without the key, at another host that the workspace names."""
    if address.elsewhere is None:
        return []
    answered = None if address.another_revision else status_without_key(address.elsewhere)
    note = elsewhere_note(address, app, answered, asked=True)
    return [] if note is None else [note]


def outcome_notes(version: Version | None) -> list[Text]:
    """What a person should know of a release that answers, beside what it refuses."""
    if version is None or version.refused is None or version.adapters or version.refused:
        return []
    return [Text("No adapter was found on the share: the base model {base} alone answers.", base=version.base or "?")]


def api_key_of(place: AppPlace, app: apps.App) -> str | None:
    """The key from the app's own secret; None for an app that has none."""
    secret = app.secret_env.get("SLIPWAY_API_KEY")
    return None if secret is None else apps.secrets(place).get(secret) or None


def publish(release: Release, share: Share, app: str, journal: Journal) -> Published:
    """Puts the release on the share and makes it current; the generation's name is taken once, by one deployer."""
    home = f".slipway/{app}"
    bundle = f"{home}/releases/{release.digest}"
    if share.exists(bundle):
        journal.log(
            Text(
                "Release {digest} ({files} files) is on the share already.",
                digest=release.digest[:12],
                files=release.files,
            )
        )
    else:
        journal.log(
            Text("Uploading release {digest} ({files} files)…", digest=release.digest[:12], files=release.files)
        )
        share.create(bundle, release.bundle)
    names = [each.name for each in share.list(f"{home}/generations")]
    current = generation_numbers(names)
    if current and _release_of(share, home, current[-1]) == release.digest:
        journal.log(Text("The code has not changed; the model is reloaded."))
        return Published(release.digest, current[-1], changed=False)
    generation = next_generation(names, release.digest)
    try:
        share.create(f"{home}/generations/{generation.number}.json", generation.to_json())
    except Conflict as error:
        raise Conflict(
            Text("Somebody else deployed at the same moment (generation {number}).", number=generation.number),
            Text("Run Deploy again if yours is the code that should run."),
            code="DeployedMeanwhile",
        ) from error
    journal.log(Text("Generation {number} is release {digest}.", number=generation.number, digest=release.digest[:12]))
    return Published(release.digest, generation.number, changed=True)


def await_release(
    place: AppPlace, revision: str, endpoint: Endpoint, before: set[str], published: Published, journal: Journal
) -> tuple[list[str], Version]:
    """Waits until a replica that did not run before serves exactly this release; returns the replicas' names and what it says
    of itself.

    A restart that Azure accepted but did not carry out is asked for once more."""
    began = time.monotonic()
    again = bool(before)
    shown: str | None = None
    while time.monotonic() - began < READY_SECONDS:
        replicas = apps.replicas(place, revision)
        version = endpoint.version()
        phase = endpoint.phase()
        fresh = version is not None and version.replica not in before and version.release == published.release
        # Our server names its base once everything is loaded: before that it has not looked at every adapter, and `ready` may
        # be the old replica's word.
        loaded = version is not None and (version.base is not None or version.refused is None)
        if version is not None and fresh and loaded and phase.ready:
            return [each.name for each in replicas], version
        refuse_failed(replicas, before, phase, revision)
        text = waiting_for(replicas, before, phase)
        if str(text) != shown:
            shown = str(text)
            journal.progress(text)
            journal.log(text)
        old_only = {each.name for each in replicas} <= before and bool(replicas)
        if again and old_only and time.monotonic() - began > RESTART_SECONDS:
            again = False
            journal.step("restart-again", Text("Nothing restarted: asking once more…"), revision=revision)
            apps.restart(place, revision)
        journal.wait(POLL_SECONDS)
    raise not_ready(revision)


def await_replicas(place: AppPlace, revision: str, endpoint: Endpoint, before: set[str], journal: Journal) -> list[str]:
    """For a server without our health routes: new replicas run and `/` answers. Reported as unverified."""
    began = time.monotonic()
    while time.monotonic() - began < READY_SECONDS:
        answers = endpoint.root_answers()
        replicas = apps.replicas(place, revision)
        refuse_failed(replicas, before, NOT_ASKED, revision)
        fresh = [each for each in replicas if each.name not in before]
        if fresh and answers and all(each.state == "Running" for each in fresh) and len(fresh) == len(replicas):
            journal.log(
                Text(
                    "The replica runs and / answers; this server has no health routes, so the model itself is unverified."
                ),
                "warning",
            )
            return [each.name for each in replicas]
        journal.progress(Text("Waiting for the new replica…"))
        journal.wait(POLL_SECONDS)
    raise not_ready(revision)


def refuse_failed(replicas: list[apps.Replica], before: set[str], phase: Readiness, revision: str) -> None:
    """Stops waiting for what can't become ready: the server says so, or its container dies again and again."""
    if phase.known and phase.phase == "failed":
        raise EndpointError(
            Text("The model could not be loaded: {detail}", detail=phase.detail or "the server gives no reason"),
            Text("Correct the cause and run Deploy again; the log of {revision} holds more.", revision=revision),
            code="ModelLoadFailed",
        )
    for each in replicas:
        if each.name not in before and each.restarts >= TOLERATED_RESTARTS:
            raise EndpointError(
                crash_text(each),
                Text("Look at its log: a start command fails, or a dependency is missing."),
                code="ContainerCrashed",
            )


def waiting_for(replicas: list[apps.Replica], before: set[str], phase: Readiness) -> Text:
    """What the wait is for, as exactly as can be told."""
    fresh = [each for each in replicas if each.name not in before]
    if not fresh and replicas:
        return Text("Waiting for the old replica to end…")
    if not fresh:
        return Text("Waiting for a replica to be assigned…")
    if phase.phase is not None and not phase.ready:
        percent = "" if phase.progress is None else f" ({round(phase.progress * 100)} %)"
        return Text(PHASES[phase.phase], percent=percent)
    return Text("Replica {name}: {state}…", name=fresh[0].name, state=fresh[0].state)


def not_ready(revision: str) -> EndpointError:
    return EndpointError(
        Text(
            "{revision} did not become ready within {minutes} minutes.", revision=revision, minutes=READY_SECONDS // 60
        ),
        Text("Look at the log, correct the cause and run Deploy again."),
        code="NotReady",
    )


def _release_of(share: Share, home: str, number: int) -> str:
    return str(json.loads(share.read(f"{home}/generations/{number}.json")).get("release", ""))
