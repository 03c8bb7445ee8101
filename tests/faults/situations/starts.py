"""Failures of a release's start: it ends, is killed, answers no probe, finds no model, has no program, no share or no image."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.localcloud.conftest import eventually
from tests.faults.situations.row import Came, Situation, came, same, shape, word
from tests.faults.situations.stage import PASSWORD, REGISTRY, Stage


def crash_loop(stage: Stage) -> Came:
    stage.released()
    caller = stage.calling()

    def waiting() -> dict[str, Any] | None:
        return next((each for each in stage.replicas() if "CrashLoop" in _container(each)["runningStateDetails"]), None)

    with stage.watching(waiting) as sign:
        told = stage.deploy("crash")
        ours = sign().shown["properties"]

    def compare(capture: Any) -> list[str]:
        theirs = capture[0]["properties"]
        read = ("name", "runningState", "runningStateDetails", "ready", "started")
        container = {**ours["containers"][0], "name": theirs["containers"][0]["name"]}
        return shape(theirs, ours) + same(theirs["containers"][0], container, *read)

    return came(told, sign(), compare, caller)


def startup_probe(stage: Stage) -> Came:
    stage.template(("failureThreshold: 240", "failureThreshold: 3"))
    stage.released()
    caller = stage.calling()
    with stage.watching(lambda: stage.event("failed startup probe")) as sign:
        told = stage.deploy("no-route")
        answered = eventually(lambda: stage.event("Probe of StartUp failed with status code: 404"))
        ended = eventually(lambda: stage.event("reason 'ProbeFailure'"))
    texts = [each["Msg"].replace("inference", "app") for each in (sign().shown, answered, ended)]

    def compare(capture: Any) -> list[str]:
        known = {each["Msg"] for each in capture}
        unlike = [f"{each!r} is not in the capture" for each in texts if each not in known]
        return unlike + shape(next(each for each in capture if each["Msg"] == texts[0]), sign().shown)

    return came(told, sign(), compare, caller)


def out_of_memory(stage: Stage) -> Came:
    stage.released()
    caller = stage.calling()
    with stage.watching(lambda: stage.event("exit code '137' and reason")) as sign:
        told = stage.deploy("killed")
        ours = sign().shown["Msg"]

    def compare(capture: Any) -> list[str]:
        return word(capture, "was terminated with exit code '137' and reason 'ProcessExited'", ours)

    return came(told, sign(), compare, caller)


def missing_program(stage: Stage) -> Came:
    """Somebody gave the app a command that its image does not have, and then deploys."""
    stage.released()
    caller = stage.calling()
    with stage.watching(lambda: stage.event("ContainerCreateFailure")) as sign:
        stage.new_revision(command=["no-such-program"])
        ours = sign().shown
        told = stage.deploy("serve")

    def compare(capture: Any) -> list[str]:
        theirs = next(each for each in capture if "ContainerCreateFailure" in each["Msg"])
        unlike = shape(theirs, ours) + same(theirs, ours, "Type", "Reason", "EventSource")
        for part in ("exit code '1' and reason 'ContainerCreateFailure'", "executable file not found in $PATH"):
            unlike += word(theirs["Msg"], part, ours["Msg"])
        return unlike

    return came(told, sign(), compare, caller)


def mount_refused(stage: Stage) -> Came:
    stage.released()
    caller = stage.calling()
    name = json.loads(stage.project.workspace.config_file.read_text(encoding="utf-8"))["STORAGE_ACCOUNT_NAME"]
    for key in ("key1", "key2"):
        stage.world.storage.storage_accounts.regenerate_key(stage.name, name, {"keyName": key})
    with stage.watching(lambda: stage.event("VolumeMountFailure")) as sign:
        told = stage.deploy("serve")
        ours = sign().shown

    def compare(capture: Any) -> list[str]:
        named = {**ours, "Msg": ours["Msg"].replace("'inference'", "'ca-azfiles-bad'")}
        return same(capture["systemLog"][0], named, "Reason", "Msg")

    return came(told, sign(), compare, caller)


def no_model(stage: Stage) -> Came:
    """The server says it in its log, which is read in the form that Azure gives it."""
    stage.released()
    caller = stage.calling()

    def said() -> list[dict[str, Any]] | None:
        logs = (stage.console(each) for each in stage.replicas())
        return next((lines for lines in logs if any("slipway: failed:" in each["Log"] for each in lines)), None)

    with stage.watching(said) as sign:
        told = stage.deploy("no-model")
        ours = sign().shown

    def compare(capture: Any) -> list[str]:
        unlike = shape(capture[:3], ours)
        unlike += word(capture[0]["Log"].replace("'app'", "'inference'"), ours[0]["Log"], ours[0]["Log"])
        return unlike + [f"{each!r} has no tag" for each in (capture[2], ours[2]) if not each["Log"].startswith("F ")]

    return came(told, sign(), compare, caller)


def liveness_kill(stage: Stage) -> Came:
    """The server stops answering after its start, before its model is there."""
    stage.template(("periodSeconds: 30", "periodSeconds: 5"), ("failureThreshold: 5", "failureThreshold: 3"))
    stage.released()
    caller = stage.calling()
    with stage.watching(lambda: stage.event("failed liveness probe")) as sign:
        told = stage.deploy("hangs")
        timeout = eventually(lambda: stage.event("Probe of Liveness failed with timeout"))
        ended = eventually(lambda: stage.event("reason 'ProbeFailure'"))

    def compare(capture: Any) -> list[str]:
        text = " ".join(capture["timeout"])
        unlike = word(text, "Probe of Liveness failed with timeout in", timeout["Msg"])
        unlike += word(text, "failed liveness probe, will be restarted", sign().shown["Msg"])
        return unlike + word(text, "reason 'ProbeFailure'", ended["Msg"])

    return came(told, sign(), compare, caller)


def port_of_a_release(stage: Stage) -> Came:
    """The new replica listens on another port than the app's, beside the old one that is ready."""
    stage.released()
    caller = stage.calling()
    with stage.watching(lambda: stage.event("does not match the listening port")) as sign:
        told = stage.deploy("elsewhere")
        ours = sign().shown

    def compare(capture: Any) -> list[str]:
        unlike = word(capture, '"Reason_s": "Pending:PortMismatch"', f'"Reason_s": "{ours["Reason"]}"')
        unlike += word(capture, '"Type_s": "Normal"', f'"Type_s": "{ours["Type"]}"')
        for part in ("The TargetPort ", " does not match the listening port "):
            unlike += word(capture, part, ours["Msg"])
        return unlike + ([] if ours["ReplicaName"] else ["no replica is named"])

    return came(told, sign(), compare, caller)


def pull_refused(stage: Stage) -> Came:
    """The registry takes its consent back; the restart's new replica can't pull, and the revision reads well all the while."""
    stage.released()
    credentials = [{"server": REGISTRY, "username": "me", "passwordSecretRef": "registry"}]

    def secrets(password: str) -> list[dict[str, str]]:
        held = stage.world.apps.container_apps.list_secrets(stage.name, stage.app).value
        kept = [{"name": each.name, "value": each.value} for each in held if each.name != "registry"]
        return [*kept, {"name": "registry", "value": password}]

    stage.patch(configuration={"secrets": secrets(PASSWORD), "registries": credentials})
    revision = stage.new_revision(image=f"{REGISTRY}/app:1")
    eventually(lambda: stage.revision(revision)["healthState"] == "Healthy", 180)
    assert stage.deploy("serve").code == "ok"
    caller = stage.calling()
    stage.patch(configuration={"secrets": secrets("rotated"), "registries": credentials})

    def refused() -> dict[str, Any] | None:
        found = stage.event("reason 'ImagePullFailure'")
        return found and {"event": found, "said": stage.event("unauthorized error"), "read": stage.revision(revision)}

    with stage.watching(refused) as sign:
        told = stage.deploy("serve")
        shown = sign().shown

    def compare(capture: Any) -> list[str]:
        theirs = next(each for each in capture if each["Reason"] == "ImagePullUnauthorized")
        unlike = shape(theirs, shown["said"]) + same(theirs, shown["said"], "Type", "Reason", "Msg")
        end = next(each for each in capture if "ImagePullFailure" in each["Msg"])
        unlike += same(end, shown["event"], "Type", "Reason")
        unlike += word(end["Msg"], "exit code '' and reason 'ImagePullFailure'", shown["event"]["Msg"])
        # acr-network-path-pe-direct/02, read at the same time
        hung = {"healthState": "Healthy", "runningState": "RunningAtMaxScale", "replicas": 2}
        return unlike + same(hung, shown["read"], *hung)

    return came(told, sign(), compare, caller)


def _container(replica: dict[str, Any]) -> dict[str, Any]:
    return replica["properties"]["containers"][0]


RPF = "revision-provisioning-failure"
STARTS = (
    Situation(
        "crash-loop", "a release ends at its start", f"{RPF}/05-replicas-failed.json", crash_loop,
        "ContainerCrashed", "exit code 3", "kept",
    ),
    Situation(
        "startup-probe", "a release answers 404 to its startup probe", f"{RPF}/04-system-logs.json", startup_probe,
        "ProbeFailed", "did not answer its probe", "kept",
    ),
    Situation(
        "out-of-memory", "a release is killed for its memory",
        "memory-leak-oomkilled/ca-oom-hard/report-20260620T060257Z.txt", out_of_memory,
        "OutOfMemory", "exit code 137", "kept",
    ),
    Situation(
        "missing-program", "the image lacks the start's program", "image-size-startup-delay/system-logs-large.json",
        missing_program, "StartCommandMissing", "executable file not found", "held",
    ),
    Situation(
        "mount-refused", "the storage account's key was changed", "captured-outputs/azure-files-wrong-key.json",
        mount_refused, "MountFailed", "mount error(13)", "kept",
    ),
    Situation(
        "no-model", "a server that finds no model", f"{RPF}/06-console-logs.json", no_model,
        "NoBaseModel", "no base model under", "kept",
    ),
    Situation(
        "liveness-kill", "a server hangs while it loads", "captured-outputs/liveness-kill.json", liveness_kill,
        "ProbeFailed", "did not answer its probe", "kept", within=30,
    ),
    Situation(
        "release-port", "a release listens on another port, beside the old one",
        "ingress-target-port-mismatch/09-kql-after-trigger-portmismatch-sample-raw.txt", port_of_a_release,
        "PortMismatch", "does not match the listening port", "kept",
    ),
    Situation(
        "pull-refused", "the registry's password was changed", "acr-network-path-pe-direct/06-system-logs-pre-fix.json",
        pull_refused, "ImagePullFailed", "can't be pulled", "kept",
    ),
)  # fmt: skip
