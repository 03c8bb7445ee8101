"""Causes for which an endpoint is not ready: how each is played, what *Why is it not ready?* must say, and what then helps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from sidecar.words.names import Remedy, State
from sidecar.workflows.diagnose import Diagnosis
from tests.contract.localcloud.conftest import eventually
from tests.faults.situations.stage import IMAGE, PASSWORD, REGISTRY, Stage

Do = Callable[[Stage], None]
Check = Callable[[Stage, Diagnosis], None]
RESTARTS = re.compile(r"^Replica (?P<name>[^:]+): .* restarts: (?P<count>\d+)$")


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
    check: Check = lambda stage, told: None
    """What else must hold, before it is mended."""


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
    eventually(lambda: stage.event("VolumeMountFailure"), 180)


def advised(*parts: str) -> Check:
    """The advice names each of these."""

    def check(_: Stage, told: Diagnosis) -> None:
        assert told.cause is not None
        missing = [part for part in parts if part not in str(told.cause.advice)]
        assert not missing, f"the advice does not say {missing}: {told.cause.advice}"

    return check


def stuck(stage: Stage) -> None:
    """The first step, a renewed key, is done and does not help."""
    keys_rotated(stage)
    provisioned(stage)
    before = mount_failures(stage)
    eventually(lambda: mount_failures(stage) > before, 180, "another start that can't mount, after the key was renewed")


def mount_failures(stage: Stage) -> int:
    return sum("VolumeMountFailure" in each["Msg"] for each in stage.events())


def another_storage(stage: Stage) -> None:
    stage.project.state(acaEnvironmentStorageName="anotherstorage")
    provisioned_and_deployed(stage)


def keys_off(stage: Stage) -> None:
    stage.released()
    allow_keys(stage, allowed=False)
    restarted(stage)
    eventually(lambda: stage.event("VolumeMountFailure"), 180)


def against_access(stage: Stage) -> None:
    """The key is right all the while: the share is mounted for writing by a storage that is for reading."""
    stage.released()
    environment, storage = stage.storage()
    azure = {**storage["properties"]["azureFile"], "accountKey": stage.account_key(), "accessMode": "ReadOnly"}
    storages = stage.world.apps.managed_environments_storages
    storages.create_or_update(stage.name, environment, "forreading", {"properties": {"azureFile": azure}})
    mount_by(stage, "forreading", "rw")
    eventually(lambda: stage.event("VolumeMountFailure"), 180)


def mount_by(stage: Stage, storage: str, options: str) -> None:
    template = stage.shown()["properties"]["template"]
    template["containers"][0]["resources"].pop("ephemeralStorage", None)
    shares = [each for each in template["volumes"] if each["storageType"] == "AzureFile"]
    others = [each for each in template["volumes"] if each not in shares]
    moved = [{**each, "storageName": storage, "mountOptions": options} for each in shares]
    stage.patch(template=template | {"volumes": [*others, *moved], "revisionSuffix": None})


def storage_stated(stage: Stage) -> None:
    """What *Provision* then mounts by, as the advice has it: the storage that is there, for reading and writing."""
    _, storage = stage.storage()
    stage.project.state(acaEnvironmentStorageName=storage["name"])
    provisioned_and_deployed(stage)


def allow_keys(stage: Stage, *, allowed: bool) -> None:
    name = json.loads(stage.project.workspace.config_file.read_text(encoding="utf-8"))["STORAGE_ACCOUNT_NAME"]
    properties = {"properties": {"allowSharedKeyAccess": allowed}}
    stage.world.storage.storage_accounts.update(stage.name, name, properties)


def keys_on(stage: Stage) -> None:
    allow_keys(stage, allowed=True)
    provisioned_and_deployed(stage)


def worker_lost(stage: Stage) -> None:
    """Nothing of it is an event, and the container is not started again."""
    stage.released()
    httpx.post(f"{stage.url}/worker", timeout=60, trust_env=False)


def no_trace(stage: Stage, _: Diagnosis) -> None:
    found = stage.replicas()
    containers = [each for replica in found for each in replica["properties"]["containers"]]
    read = [(each["runningState"], each["restartCount"]) for each in containers]
    assert read == [("Running", 0)], read
    names = {each["name"] for each in found}
    ends = [each["Msg"] for each in stage.events() if each["ReplicaName"] in names and "with exit code" in each["Msg"]]
    assert not ends, ends


def counted_once(stage: Stage, told: Diagnosis) -> None:
    """An exit is an event at once, and two more seconds later in other words: no more restarts are told than there were ends."""
    said = [found for each in told.seen if (found := RESTARTS.match(str(each)))]
    assert said
    for found in said:
        events = [each for each in stage.events() if each["ReplicaName"] == found["name"]]
        ends = sum(each["Reason"] == "ContainerTerminated" for each in events)
        assert sum(each["Reason"] == "ProcessExited" for each in events) >= ends, "in pairs"
        assert int(found["count"]) <= ends


def image_refused(image: str, password: str = PASSWORD) -> Do:
    """An app is made anew, with an image that the control plane refuses before there is a revision of it."""

    def play(stage: Stage) -> None:
        provisioned(stage)
        stage.world.apps.container_apps.begin_delete(stage.name, stage.app).result()
        stage.template((IMAGE, image), *credential(password))
        told = stage.provision()
        assert told.code == "ContainerAppOperationError", told

    return play


def credential(password: str) -> tuple[tuple[str, str], ...]:
    secret = f"secrets: [\n        {{\n          name: 'registry'\n          value: '{password}'\n        }}"
    login = f"{{ server: '{REGISTRY}', username: 'me', passwordSecretRef: 'registry' }}"
    return (
        ("registries: logins", f"registries: [\n        {login}\n      ]"),
        ("secrets: [", secret),
    )


def image_put_right(image: str, *replaced: tuple[str, str]) -> Do:
    def mend(stage: Stage) -> None:
        stage.template((image, f"{REGISTRY}/app:1"), *replaced)
        provisioned_and_deployed(stage)

    return mend


def restarted(stage: Stage) -> None:
    revision = stage.shown()["properties"]["latestRevisionName"]
    stage.world.apps.container_apps_revisions.restart_revision(stage.name, stage.app, revision)


def provisioned_and_deployed(stage: Stage) -> None:
    provisioned(stage)
    deployed(stage)


def no_such_program(stage: Stage) -> None:
    stage.released()
    stage.new_revision(command=["no-such-program"])
    eventually(lambda: stage.event("ContainerCreateFailure"), 180)


def command_put_right(stage: Stage) -> None:
    oldest = min(stage.shown("/revisions")["value"], key=lambda each: each["properties"]["createdTime"])
    stage.new_revision(command=oldest["properties"]["template"]["containers"][0]["command"])


def credential_rotated(stage: Stage) -> None:
    stage.released()
    credentials = [{"server": REGISTRY, "username": "me", "passwordSecretRef": "registry"}]
    stage.patch(configuration={"secrets": registry_secret(stage, PASSWORD), "registries": credentials})
    revision = stage.new_revision(image=f"{REGISTRY}/app:1")
    eventually(lambda: stage.revision(revision)["healthState"] == "Healthy", 180)
    stage.patch(configuration={"secrets": registry_secret(stage, "rotated")})
    restarted(stage)
    eventually(lambda: stage.event("reason 'ImagePullFailure'"), 180)


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
    eventually(lambda: len(stage.replicas()) == 2, 180, "a replica on the new port, beside the old one")


def port(stage: Stage, number: int) -> None:
    ingress = {"external": True, "targetPort": number, "allowInsecure": False, "transport": "Auto"}
    stage.patch(configuration={"ingress": {**ingress, "traffic": [{"latestRevision": True, "weight": 100}]}})


def unready(stage: Stage) -> None:
    stage.template(("failureThreshold: 48", "failureThreshold: 3"))
    stage.released()
    httpx.post(f"{stage.url}/unready", timeout=60, trust_env=False)
    eventually(lambda: not _first_container(stage)["ready"], 180, "the probe to be believed")


def _first_container(stage: Stage) -> dict[str, object]:
    return stage.replicas()[0]["properties"]["containers"][0]


def one_gpu(stage: Stage) -> None:
    stage.released()
    restarted(stage)
    eventually(lambda: len(stage.replicas()) == 2, 180, "a replica that waits for a GPU")


def stopped(stage: Stage) -> None:
    stage.released()
    revision = stage.shown()["properties"]["latestRevisionName"]
    stage.world.apps.container_apps_revisions.deactivate_revision(stage.name, stage.app, revision)
    eventually(lambda: not stage.revision(revision)["active"], 180)


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
    Row("driver", first_release("old-driver"), "failed", "GpuUnusable", "driver too old", "deploy", deployed),
    Row("gpu-memory", first_release("gpu-memory"), "failed", "GpuOutOfMemory", "GB of GPU memory", "rollback", deployed),
    Row("port-of-release", first_release("elsewhere"), "failed", "PortMismatch", "does not match", "deploy", deployed),
    Row("startup-probe", first_release("no-route", STARTUP), "failed", "ProbeFailed", "its probe", "deploy", deployed),
    Row("liveness", first_release("hangs", *LIVENESS), "failed", "ProbeFailed", "its probe", "deploy", deployed),
    Row("refused-adapter", refused_adapter, "ready", "AdapterRefused", "broken: it is truncated", "logs", deployed),
    Row("mount", keys_rotated, "ready", "MountFailed", "mount error(13)", "provision", provisioned_and_deployed),
    Row(
        "mount-keys-off", keys_off, "ready", "MountFailed", "mount error(13)", "provision", keys_on,
        check=advised("shared-key access is off", "access mode", "key was changed"),
    ),
    Row(
        "mount-access", against_access, "failed", "MountFailed", "mount error(13)", "provision", storage_stated,
        check=advised("mounted against its access mode", "key was changed"),
    ),
    Row(
        "mount-stuck", stuck, "ready", "MountFailed", "mount error(13)", "provision", another_storage,
        check=advised("acaEnvironmentStorageName"),
    ),
    Row(
        "worker", worker_lost, "failed", "ServerFailed", "its worker ended with -9", "deploy", deployed, check=no_trace,
    ),
    Row(
        "exits", first_release("crash"), "failed", "ContainerCrashed", "exit code 3", "deploy", deployed, check=counted_once,
    ),
    *(
        Row(
            f"image-{name}", image_refused(image, password), "failed", "ImageRefused", words, "provision",
            image_put_right(image, *replaced),
        )
        for name, image, password, words, replaced in (
            ("tag", f"{REGISTRY}/app:gone", PASSWORD, "has no such image", ()),
            ("platform", f"{REGISTRY}/app:arm64", PASSWORD, "not made for linux/amd64", ()),
            ("host", "no-such-registry.invalid/fake/image:notexist", PASSWORD, "no host has that name", ()),
            ("private", f"{REGISTRY}/app:1", "wrong", "does not let the app have", (("'wrong'", f"'{PASSWORD}'"),)),
        )
    ),
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
    Row("no-gpu", one_gpu, "ready", "NoGpuFree", "GPUs of the quota in use: 1 of 1", None, deployed, quota=1),
    Row("stopped", stopped, "failed", "NoActiveRevision", "no active revision", "deploy", deployed),
    Row("deleted", app_deleted, "missing", "AppMissing", "not exist", "provision", provisioned_and_deployed),
)  # fmt: skip
