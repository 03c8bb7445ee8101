"""Causes for which an endpoint is not ready: how each is played, what *Why is it not ready?* must say, and what then helps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from sidecar.words.names import Remedy, State
from tests.contract.localcloud.conftest import eventually
from tests.faults.situations.stage import PASSWORD, REGISTRY, Stage

Do = Callable[[Stage], None]


@dataclass(frozen=True)
class Row:
    """`mend`: what the advice says, done. `first`: the command that is offered first; None where none helps."""

    name: str
    play: Do
    state: State
    code: str
    words: str
    first: Remedy | None
    mend: Do
    quota: int = 40


def deployed(stage: Stage) -> None:
    told = stage.deploy("serve")
    assert told.code == "ok", told


def provisioned(stage: Stage) -> None:
    told = stage.provision()
    assert told.code == "ok", told


def first_release(mode: str, *template: tuple[str, str]) -> Do:
    """The first release fails, so there is none to go back to."""

    def play(stage: Stage) -> None:
        if template:
            stage.template(*template)
        provisioned(stage)
        told = stage.deploy(mode)
        assert told.code != "ok", told

    return play


def refused_adapter(stage: Stage) -> None:
    provisioned(stage)
    stage.deploy("refused")


def keys_rotated(stage: Stage) -> None:
    stage.released()
    name = json.loads(stage.project.workspace.config_file.read_text(encoding="utf-8"))["STORAGE_ACCOUNT_NAME"]
    for key in ("key1", "key2"):
        stage.world.storage.storage_accounts.regenerate_key(stage.name, name, {"keyName": key})
    restarted(stage)
    eventually(lambda: stage.event("VolumeMountFailure"), 60)


def restarted(stage: Stage) -> None:
    revision = stage.shown()["properties"]["latestRevisionName"]
    stage.world.apps.container_apps_revisions.restart_revision(stage.name, stage.app, revision)


def provisioned_and_deployed(stage: Stage) -> None:
    provisioned(stage)
    deployed(stage)


def no_such_program(stage: Stage) -> None:
    stage.released()
    stage.new_revision(command=["no-such-program"])
    eventually(lambda: stage.event("ContainerCreateFailure"), 60)


def command_put_right(stage: Stage) -> None:
    oldest = min(stage.shown("/revisions")["value"], key=lambda each: each["properties"]["createdTime"])
    stage.new_revision(command=oldest["properties"]["template"]["containers"][0]["command"])


def credential_rotated(stage: Stage) -> None:
    stage.released()
    credentials = [{"server": REGISTRY, "username": "me", "passwordSecretRef": "registry"}]
    stage.patch(configuration={"secrets": registry_secret(stage, PASSWORD), "registries": credentials})
    revision = stage.new_revision(image=f"{REGISTRY}/app:1")
    eventually(lambda: stage.revision(revision)["healthState"] == "Healthy", 60)
    stage.patch(configuration={"secrets": registry_secret(stage, "rotated")})
    restarted(stage)
    eventually(lambda: stage.event("reason 'ImagePullFailure'"), 60)


def credential_put_right(stage: Stage) -> None:
    stage.patch(configuration={"secrets": registry_secret(stage, PASSWORD)})
    restarted(stage)


def registry_secret(stage: Stage, password: str) -> list[dict[str, str]]:
    held = stage.world.apps.container_apps.list_secrets(stage.name, stage.app).value
    kept = [{"name": each.name, "value": each.value} for each in held if each.name != "registry"]
    return [*kept, {"name": "registry", "value": password}]


def port_changed(stage: Stage) -> None:
    stage.released()
    port(stage, 7861)
    eventually(lambda: len(stage.replicas()) == 2, 60, "a replica on the new port, beside the old one")


def port(stage: Stage, number: int) -> None:
    ingress = {"external": True, "targetPort": number, "allowInsecure": False, "transport": "Auto"}
    stage.patch(configuration={"ingress": {**ingress, "traffic": [{"latestRevision": True, "weight": 100}]}})


def unready(stage: Stage) -> None:
    stage.template(("failureThreshold: 48", "failureThreshold: 3"))
    stage.released()
    httpx.post(f"{stage.url}/unready", timeout=5, trust_env=False)
    eventually(lambda: not _first_container(stage)["ready"], 60, "the probe to be believed")


def _first_container(stage: Stage) -> dict[str, object]:
    return stage.replicas()[0]["properties"]["containers"][0]


def one_gpu(stage: Stage) -> None:
    stage.released()
    restarted(stage)
    eventually(lambda: len(stage.replicas()) == 2, 60, "a replica that waits for a GPU")


def stopped(stage: Stage) -> None:
    stage.released()
    revision = stage.shown()["properties"]["latestRevisionName"]
    stage.world.apps.container_apps_revisions.deactivate_revision(stage.name, stage.app, revision)
    eventually(lambda: not stage.revision(revision)["active"], 30)


def app_deleted(stage: Stage) -> None:
    stage.released()
    stage.world.apps.container_apps.begin_delete(stage.name, stage.app).result()


LIVENESS = (("periodSeconds: 30", "periodSeconds: 5"), ("failureThreshold: 5", "failureThreshold: 3"))
STARTUP = ("failureThreshold: 240", "failureThreshold: 3")

ROWS = (
    Row("first-deploy", provisioned, "waiting-for-first-deploy", "WaitingForFirstDeploy", "first release", "deploy", deployed),
    Row(
        "code-error", first_release("raises"), "failed", "ContainerCrashed",
        "RuntimeError: the tokenizer is wrong (inference/__main__.py, line ", "deploy", deployed,
    ),
    Row("packages", first_release("packages"), "failed", "PackagesFailed", "no-such-package-of-anybody", "deploy", deployed),
    Row("disk-full", first_release("full"), "failed", "DiskFull", "No space left on device", "deploy", deployed),
    Row("out-of-memory", first_release("killed"), "failed", "OutOfMemory", "lack of memory", "rollback", deployed),
    Row("no-base", first_release("no-model"), "failed", "NoBaseModel", "no base model under", "deploy", deployed),
    Row("port-of-release", first_release("elsewhere"), "failed", "PortMismatch", "does not match", "deploy", deployed),
    Row("startup-probe", first_release("no-route", STARTUP), "failed", "ProbeFailed", "its probe", "deploy", deployed),
    Row("liveness", first_release("hangs", *LIVENESS), "failed", "ProbeFailed", "its probe", "deploy", deployed),
    Row("refused-adapter", refused_adapter, "ready", "AdapterRefused", "broken: it is truncated", "logs", deployed),
    Row("mount", keys_rotated, "ready", "MountFailed", "mount error(13)", "provision", provisioned_and_deployed),
    Row(
        "command", no_such_program, "failed", "StartCommandMissing", "executable file not found", "systemLogs",
        command_put_right,
    ),
    Row("pull", credential_rotated, "ready", "ImagePullFailed", "can't be pulled", "systemLogs", credential_put_right),
    Row(
        "port-changed", port_changed, "failed", "PortChanged", "port 7861, but its server is probed on port 7860",
        "systemLogs", lambda stage: port(stage, 7860),
    ),
    Row("readiness", unready, "starting", "ProbeFailsLater", "its probe fails", "logs", deployed),
    Row("no-gpu", one_gpu, "ready", "NoGpuFree", "1 of the 1 GPUs of the quota are in use", None, deployed, quota=1),
    Row("stopped", stopped, "failed", "NoActiveRevision", "no active revision", "deploy", deployed),
    Row("deleted", app_deleted, "missing", "AppMissing", "not exist", "provision", provisioned_and_deployed),
)  # fmt: skip
