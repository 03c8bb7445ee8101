"""Failures of what runs or is routed to: ports, readiness, deadlines, weights, GPUs, revisions that nobody left active."""

from __future__ import annotations

import time
from typing import Any

import httpx

from tests.contract.localcloud.conftest import eventually
from tests.faults.situations.row import Came, Situation, came, same, word
from tests.faults.situations.stage import Stage


def wrong_port(stage: Stage) -> Came:
    """A new revision whose server listens elsewhere; a Deploy is to make it answer."""
    stage.released()
    caller = stage.calling()
    revision = stage.new_revision(env={"MODE": "elsewhere"})

    def told_port() -> dict[str, Any] | None:
        read = stage.revision(revision)
        return read if "TargetPort" in (read.get("runningStateDetails") or "") else None

    with stage.watching(told_port) as sign:
        ours = sign().shown
        told = stage.deploy("serve")

    def compare(capture: Any) -> list[str]:
        unlike = same(capture, ours, "provisioningState", "runningState", "healthState", "replicas")
        for part in ("The TargetPort ", " does not match the listening port "):
            unlike += word(capture["runningStateDetails"], part, ours["runningStateDetails"])
        return unlike

    return came(told, sign(), compare, caller)


def port_changed(stage: Stage) -> Came:
    """The port of an app that runs is changed: its replica is asked on it at once, the revision reads well."""
    stage.released()
    caller = stage.calling()
    revision = stage.shown()["properties"]["latestRevisionName"]
    ingress = {"external": True, "targetPort": 7861, "allowInsecure": False, "transport": "Auto"}
    traffic = [{"latestRevision": True, "weight": 100}]
    stage.patch(configuration={"ingress": {**ingress, "traffic": traffic}})

    def refused() -> dict[str, Any] | None:
        answer = httpx.get(f"{stage.url}/version", timeout=60, trust_env=False)
        read = stage.revision(revision)
        return {**read, "name": revision} if answer.status_code == 503 and read["replicas"] == 2 else None

    with stage.watching(refused) as sign:
        ours = sign().shown
        told = eventually(lambda: (said := stage.status()).sentence and said, what="Status says why")

    def compare(capture: Any) -> list[str]:
        return same(capture, ours, "healthState", "runningState", "replicas", "trafficWeight")

    return came(told, sign(), compare, caller)


def deadline(stage: Stage) -> Came:
    """A model that loads for longer than Azure's deadline: a warning, and the release serves in the end."""
    stage.released()
    caller = stage.calling()
    revision = stage.new_revision(env={"MODE": "late", "LATE": "40"})

    def late() -> dict[str, Any] | None:
        read = stage.revision(revision)
        return read if "Deadline Exceeded" in (read.get("runningStateDetails") or "") else None

    with stage.watching(late) as sign:
        ours = sign().shown
        told = stage.deploy("serve")

    def compare(capture: Any) -> list[str]:
        unlike = same(capture, ours, "healthState", "provisioningState", "runningState", "replicas")
        part = "Deployment Progress Deadline Exceeded. 0/1 replicas ready."
        return unlike + word(capture["runningStateDetails"], part, ours["runningStateDetails"])

    return came(told, sign(), compare, caller)


def unready(stage: Stage) -> Came:
    """Readiness alone fails in a server that was ready."""
    stage.template(("failureThreshold: 48", "failureThreshold: 3"))
    stage.released()
    httpx.post(f"{stage.url}/unready", timeout=60, trust_env=False)

    def activating() -> dict[str, Any] | None:
        read = stage.revision()
        return read if read["runningState"] == "Activating" else None

    with stage.watching(activating) as sign:
        ours = sign().shown
        told = eventually(lambda: (said := stage.status()).sentence and said, what="Status says why")
        caller = stage.calling()
        failures = [each for each in stage.events() if "Probe of Readiness failed" in each["Msg"]]
        restarts = [each["properties"]["containers"][0]["restartCount"] for each in stage.replicas()]

    def compare(capture: Any) -> list[str]:
        theirs = capture["apps"][0]
        unlike = same(theirs, {**ours, "restarts": sum(restarts)}, "healthState", "runningState", "restarts")
        return unlike if failures else [*unlike, "no failure of the readiness probe is told"]

    return came(told, sign(), compare, caller)


def nothing_ready(stage: Stage) -> Came:
    """Nobody has deployed yet: requests are held, and Status does not send one."""
    began = time.monotonic()
    stage.project.provision()
    caller = stage.calling()
    eventually(lambda: any(stage.console(each) for each in stage.replicas()), 180)
    told = eventually(lambda: (said := stage.status()).code == "waiting-for-first-deploy" and said, 180)
    calls = caller.end(began)

    def compare(capture: Any) -> list[str]:
        answered = len([each for each in calls if each != "no answer"])
        return same(capture, {"success_count_200": answered}, "success_count_200")

    return Came(told, 0, compare, tuple(calls))


def share_kept(stage: Stage) -> Came:
    """A revision that has failed keeps its share of the requests, and those get no answer."""
    stage.released()
    good = stage.shown()["properties"]["latestRevisionName"]
    bad = stage.new_revision(env={"MODE": "crash"})
    weights = [{"revisionName": good, "weight": 50}, {"revisionName": bad, "weight": 50}]
    ingress = {"external": True, "targetPort": 7860, "allowInsecure": False, "transport": "Auto"}
    stage.patch(configuration={"ingress": {**ingress, "traffic": weights}})
    caller = stage.calling()

    def failed() -> dict[str, Any] | None:
        read = stage.revision(bad)
        return read if read["healthState"] == "Unhealthy" else None

    with stage.watching(failed) as sign:
        sign()
        told = stage.status()
        eventually(lambda: {"200", "no answer"} <= set(caller.since(sign().at)), 180)
    calls = caller.since(sign().at)

    def compare(capture: Any) -> list[str]:
        kinds = {"200" if each == "200" else "000" for each in calls}
        theirs = set(capture["http_codes"])
        return [] if kinds == theirs else [f"requests got {sorted(kinds)}, Azure's {sorted(theirs)}"]

    return came(told, sign(), compare, caller)


def one_gpu(stage: Stage) -> Came:
    """Somebody restarts in the portal: the new replica gets no GPU, for ever. Deploy ends the old one first, and says so."""
    stage.released()
    caller = stage.calling()
    revision = stage.shown()["properties"]["latestRevisionName"]
    stage.world.apps.container_apps_revisions.restart_revision(stage.name, stage.app, revision)

    def stuck() -> dict[str, Any] | None:
        read = stage.revision(revision)
        return read if read["replicas"] == 2 and [e["Count"] for e in _assigned(stage)].count(0) >= 2 else None

    with stage.watching(stuck) as sign:
        ours = sign().shown
        told = stage.deploy("serve")

    def compare(capture: Any) -> list[str]:
        theirs = capture[0]["properties"]
        return same(theirs, ours, "healthState", "runningState", "replicas", "provisioningState", "active")

    return came(told, sign(), compare, caller)


def _assigned(stage: Stage) -> list[dict[str, Any]]:
    return [each for each in stage.events() if each["Reason"] == "AssigningReplica"]


def stopped(stage: Stage) -> Came:
    """Somebody has deactivated the only revision; it reads Healthy all the same."""
    stage.released()
    caller = stage.calling()
    revision = stage.shown()["properties"]["latestRevisionName"]
    stage.world.apps.container_apps_revisions.deactivate_revision(stage.name, stage.app, revision)

    def over() -> dict[str, Any] | None:
        read = stage.shown(f"/revisions/{revision}")
        return read if read["properties"]["runningState"] == "Stopped" else None

    with stage.watching(over) as sign:
        ours = sign().shown
        told = stage.status()
        calls = eventually(lambda: len(found := caller.since(sign().at)) >= 6 and found)
    again = stage.deploy("serve")
    assert again.code == "ok", f"a Deploy does not bring it back: {again}"

    def compare(capture: Any) -> list[str]:
        theirs = capture[0]
        read = ("active", "healthState", "provisioningState", "replicas", "runningState")
        unlike = same(theirs["properties"], ours["properties"], *read)
        keys = [each for each in theirs["properties"] if each != "template" and each not in ours["properties"]]
        return unlike + [f"{each} is missing" for each in keys]

    return Came(told, told.at - sign().at, compare, tuple(calls))


def latest_ready(stage: Stage) -> Came:
    """The newest revision has never been ready, and the app calls it the latest that is."""
    stage.template(("activeRevisionsMode: 'Multiple'", "activeRevisionsMode: 'Single'"))
    stage.released()
    caller = stage.calling()
    bad = stage.new_revision(env={"MODE": "elsewhere"})

    def named() -> dict[str, Any] | None:
        app = stage.shown()["properties"]
        unhealthy = stage.revision(bad)["healthState"] == "Unhealthy"
        return app if unhealthy and app["latestReadyRevisionName"] == bad else None

    with stage.watching(named) as sign:
        ours = sign().shown
        told = stage.status()

    def compare(capture: Any) -> list[str]:
        return same(capture["properties"], ours, "provisioningState", "runningStatus")

    return came(told, sign(), compare, caller)


RUNNING = (
    Situation(
        "wrong-port", "a new revision listens on another port", "traffic-routing-canary/08-revision-show-bad.json",
        wrong_port, "PortMismatch", "does not match the listening port", "held", within=40, same_cause_as="release-port",
    ),
    Situation(
        "port-changed", "the app's port was changed under it",
        "ingress-target-port-mismatch/07-revision-status-after-trigger.json", port_changed,
        "starting", "its probe fails (Probe of StartUp", "503", same_cause_as="release-port",
    ),
    Situation(
        "deadline", "a model loads beyond Azure's deadline", "probe-and-port-mismatch/08-revision-show-failed.json",
        deadline, "ok", "it goes on all the same", "cut", within=90,
    ),
    Situation(
        "readiness-alone", "a server that was ready is not any more", "captured-outputs/readiness-only-failure.json",
        unready, "starting", "its probe fails (", "held",
    ),
    Situation(
        "nothing-ready", "nothing has been deployed yet", "probe-and-port-mismatch/09-curl-probes-failed.json",
        nothing_ready, "waiting-for-first-deploy", "", "held",
    ),
    Situation(
        "share-kept", "weights send requests to a revision that failed",
        "traffic-routing-canary/10-curl-loop-30-requests.json", share_kept, "ready", "does not work", "cut",
    ),
    Situation(
        "one-gpu", "a restart by hand while the quota is used up", "acr-network-path-pe-direct/02-revision-list-pre-fix.json",
        one_gpu, "ok", "ends before the new one starts", "cut", within=60, quota=1,
    ),
    Situation(
        "stopped", "the only revision was deactivated",
        "acr-network-path-firewall-allowlist/02-revision-list-pre-fix.json", stopped,
        "failed", "has no active revision", "404",
    ),
    Situation(
        "latest-ready", "the latest ready revision was never ready", "probe-and-port-mismatch/05-containerapp-update-image.json",
        latest_ready, "ready", "does not work", "kept",
    ),
)  # fmt: skip
