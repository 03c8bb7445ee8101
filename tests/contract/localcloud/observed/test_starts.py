"""How real Azure was seen to start a replica, to fail at it and to try again: crash loops, probes, images, mounts.

Each test names the numbers of the facts that it reproduces; where there is a capture, its shape or words are compared.
"""

import functools
import itertools
import re
from typing import Any

import httpx
import pytest

from tests.contract.localcloud.conftest import World, code_of, eventually
from tests.contract.localcloud.observed.reading import (
    PASSWORD,
    TIMES,
    container_of,
    events,
    latest,
    python,
    raw,
    revision_of,
    said,
    written,
)
from tests.contract.localcloud.test_apps import SERVING, app_body, deployed, replicas, state_of
from tests.support.evidence import evidence, same_shape

# Crash loops


@pytest.mark.fact(8, 11, 16, 22, 57, 58, 59, 60, 62, 70, 71, 77, 89, 107, 111)
def test_a_container_that_ends_again_and_again(cloud: World, environment: str):
    written(cloud, "crash", python(app_body(environment), "import sys; print('Traceback: it broke'); sys.exit(3)"))
    failed = eventually(lambda: (r := revision_of(cloud, "crash"))["runningState"] == "Failed" and r)
    captured = evidence("revision-provisioning-failure/01-revision-list.json")
    theirs = next(each["properties"] for each in captured if each["properties"]["provisioningState"] == "Failed")
    for key in ("provisioningState", "runningState", "healthState", "active", "replicas", "trafficWeight"):
        assert failed[key] == theirs[key], key
    assert failed["provisioningError"] == "Container crashing: main"
    assert failed["runningStateDetails"] == "1/1 Container crashing: main"
    assert failed["fqdn"] != raw(cloud, "crash")["properties"]["configuration"]["ingress"]["fqdn"]
    app = raw(cloud, "crash")["properties"]
    assert (app["provisioningState"], app["runningStatus"]) == ("Succeeded", "Running"), "the app says nothing of it"

    replica = eventually(
        lambda: next(
            (
                each
                for each in raw(cloud, f"crash/revisions/{latest(cloud, 'crash')}/replicas")["value"]
                if each["properties"]["containers"][0]["runningState"] == "Waiting"
                and "CrashLoopBackOff" in each["properties"]["containers"][0]["runningStateDetails"]
            ),
            None,
        )
    )
    theirs = evidence("revision-provisioning-failure/05-replicas-failed.json")[0]
    same_shape(theirs["properties"], replica["properties"])
    assert replica["type"] == theirs["type"]
    container = replica["properties"]["containers"][0]
    assert container["runningStateDetails"] == theirs["properties"]["containers"][0]["runningStateDetails"]
    assert replica["properties"]["runningStateDetails"] == ""
    assert container["execEndpoint"].startswith("wss://")
    assert container["logStreamEndpoint"].startswith("https://")

    found = said(cloud, "crash")
    assert (
        "ContainerTerminated",
        "Container 'main' was terminated with exit code '3' and reason 'ProcessExited'",
    ) in found
    assert ("ProcessExited", "Container 'main' was terminated with exit code '3'") in found
    assert not {reason for reason, _ in found} & NEVER_SEEN
    token = cloud.apps.container_apps.get_auth_token("g", "crash").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        console = http.get(container["logStreamEndpoint"], params={"follow": "false"}).text
    assert "F Traceback: it broke" in console, "the last instance's lines stay readable while it waits"


NEVER_SEEN = {
    "BackOff",
    "ReplicaCreated",
    "ReplicaRemoved",
    "RevisionFailed",
    "RevisionRestarted",
    "ContainerUnhealthy",
    "Killing",
    "VolumeMountFailure",
    "ImagePullFailure",
}


@pytest.mark.fact(65, 66)
def test_the_wait_between_two_starts_doubles(cloud: World, environment: str):
    written(cloud, "ladder", python(app_body(environment), "raise SystemExit(1)"))
    starts = eventually(
        lambda: len(found := [e for e in events(cloud, "ladder") if e["Reason"] == "ContainerStarted"]) >= 6 and found
    )
    moments = [seconds_of(each["TimeStamp"]) for each in starts]
    waits = [later - sooner for sooner, later in itertools.pairwise(moments)]
    ladder = [10 * TIMES["scale"] * 2**step for step in range(len(waits))]
    for wait, least in zip(waits, ladder, strict=True):
        assert wait >= least
    assert waits[-1] > waits[0], "what a start itself takes is less than the last wait"


def seconds_of(stamp: str) -> float:
    hours, minutes, seconds = re.split("[:]", stamp.split(" ")[1])
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@pytest.mark.fact(67, 112)
def test_a_program_that_is_not_there_leaves_no_console_log(cloud: World, environment: str):
    body = app_body(environment)
    body["properties"]["template"]["containers"][0]["command"] = ["no-such-program"]
    written(cloud, "missing", body)
    eventually(lambda: revision_of(cloud, "missing")["healthState"] == "Unhealthy")
    text = next(message for reason, message in said(cloud, "missing") if reason == "ContainerTerminated")
    capture = evidence("image-size-startup-delay/system-logs-large.json")
    theirs = next(each["Msg"] for each in capture if "ContainerCreateFailure" in each["Msg"])
    assert text.partition(". ")[0].replace("'main'", "'app'") == theirs.partition(". ")[0]
    assert 'executable file not found in $PATH: unknown")' in text
    token = cloud.apps.container_apps.get_auth_token("g", "missing").properties.token
    with httpx.Client(verify=cloud.known["caFile"], headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        answer = http.get(container_of(cloud, "missing")["logStreamEndpoint"], params={"follow": "false"})
    assert answer.status_code == 404


@pytest.mark.fact(51, 52, 93, 94, 95, 96, 99, 100, 101)
def test_a_startup_probe_that_fails_kills_in_the_captured_words(cloud: World, environment: str):
    body = app_body(environment)
    patience = {
        "initialDelaySeconds": 15,
        "timeoutSeconds": 60,
    }  # it listens by then, on a busy machine too, and answers
    startup = {"type": "Startup", "httpGet": {"path": "/no", "port": 8080}, "periodSeconds": 1, "failureThreshold": 3}
    body["properties"]["template"]["containers"][0]["probes"] = [{**startup, **patience}]
    written(cloud, "badprobe", body)
    eventually(lambda: [r for r, _ in said(cloud, "badprobe")].count("ContainerTerminated") >= 2)
    ours = events(cloud, "badprobe")
    theirs = evidence("revision-provisioning-failure/04-system-logs.json")
    same_shape(theirs[0], ours[0])
    same_shape(theirs[2], next(each for each in ours if each["Reason"] == "PullingImage"))
    assert [each["Reason"] for each in ours[:2]] == [each["Reason"] for each in theirs[:2]]

    def cycle(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
        """One start, from the pull to the end, its names and figures taken out."""
        begin = next(at for at, each in enumerate(found) if each["Reason"] == "ContainerCreated")
        end = next(at for at, each in enumerate(found) if at > begin and each["Reason"] == "ContainerTerminated")
        names = ("'main'", "'app'"), ("Container main", "Container app")
        texts = [functools.reduce(lambda text, pair: text.replace(*pair), names, each["Msg"]) for each in found]
        words = [re.sub("status code: .*", "status code: *", text) for text in texts]
        return [(found[at]["Type"], found[at]["Reason"], words[at]) for at in range(begin, end + 1)]

    assert cycle(ours) == cycle(theirs)
    counts = [each["Count"] for each in ours if each["Msg"] == "Probe of StartUp failed with status code: 404"]
    assert counts == list(range(1, len(counts) + 1)), "cumulative, for the same text of the same replica"
    precise, whole = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{7} \+0000 UTC", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC"
    for each in ours[2:]:
        of_container = each["Reason"] in ("PullingImage", "ContainerStarted", "ProbeFailed", "ContainerTerminated")
        assert re.fullmatch(precise if of_container else whole, each["TimeStamp"]) or not of_container


# Images


@pytest.mark.fact(27, 80, 81)
def test_an_image_that_is_refused_fails_the_write_and_leaves_an_app_without_anything(cloud: World, environment: str):
    body = app_body(environment)
    container = body["properties"]["template"]["containers"][0]
    container["image"] = "no-such-registry.invalid/fake/image:notexist"
    with pytest.raises(Exception, match="no such host") as refused:
        written(cloud, "badimage", body)
    captured = evidence("captured-outputs/image-refused-variants.json")["cases"][0]["message"]
    shared = "Failed to provision revision for container app"
    assert shared in captured
    assert shared in str(refused.value)
    assert code_of(refused.value) == "ContainerAppOperationError"
    app = raw(cloud, "badimage")["properties"]
    theirs = evidence("acr-pull-failure/02-containerapp-show-baseline.json")
    assert app["provisioningState"] == theirs["provisioningState"]
    assert (app["latestRevisionName"], app["latestRevisionFqdn"]) == (None, None)
    for key in ("fqdn", "traffic", "transport", "exposedPort"):
        assert app["configuration"]["ingress"][key] == theirs["ingress"][key], key
    assert "eventStreamEndpoint" not in app
    assert raw(cloud, "badimage/revisions")["value"] == []
    container["image"] = "example/server:1"
    deployed(cloud, "g", "badimage", body)
    repaired = raw(cloud, "badimage")["properties"]
    assert repaired["configuration"]["ingress"]["fqdn"]
    assert repaired["eventStreamEndpoint"]


@pytest.mark.fact(82, 84)
def test_a_registry_that_takes_its_consent_back_is_met_at_the_node_and_recovers_by_itself(
    cloud: World, environment: str
):
    def body(password: str) -> dict[str, Any]:
        made = app_body(environment, secrets=[{"name": "registry", "value": password}])
        made["properties"]["template"]["containers"][0]["image"] = "registry.example/app:1"
        credentials = [{"server": "registry.example", "username": "me", "passwordSecretRef": "registry"}]
        made["properties"]["configuration"]["registries"] = credentials
        return made

    with pytest.raises(Exception, match="UNAUTHORIZED"):
        written(cloud, "private", body("wrong"))
    deployed(cloud, "g", "private", body(PASSWORD))
    revision = latest(cloud, "private")
    before = {each.name for each in replicas(cloud, "g", "private")}
    written(cloud, "private", body("rotated"))
    cloud.apps.container_apps_revisions.restart_revision("g", "private", revision)

    def waits() -> bool:
        containers = [
            c for r in replicas(cloud, "g", "private") if r.name not in before for c in r.properties.containers
        ]
        return any("ImagePullBackOff" in (each["runningStateDetails"] or "") for each in containers)

    eventually(waits)
    found = said(cloud, "private")
    theirs = evidence("acr-network-path-pe-direct/06-system-logs-pre-fix.json")
    for reason in ("ImagePullUnauthorized", "ContainerTerminated"):
        message = next(
            each["Msg"] for each in theirs if each["Reason"] == reason and "ManuallyStopped" not in each["Msg"]
        )
        assert any(
            mine.replace("'main'", "'app'").partition(". GET")[0] == message for why, mine in found if why == reason
        ), reason
    # The revision reads well all the while: it is served by the replica that was there before.
    assert state_of(cloud, "g", "private", revision) in SERVING
    written(cloud, "private", body(PASSWORD))
    eventually(
        lambda: {r.name for r in replicas(cloud, "g", "private")}.isdisjoint(before), what="it went on by itself"
    )


# Mounts


@pytest.mark.fact(119, 120)
def test_a_wrong_key_is_accepted_and_the_mount_fails_at_each_start_until_it_is_right(cloud: World, environment: str):
    body = {"location": "westus3", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    cloud.storage.storage_accounts.begin_create("g", "observedfiles", body).result()
    cloud.storage.file_shares.create("g", "observedfiles", "models", {})

    def storage(key: str) -> None:
        azure = {"accountName": "observedfiles", "accountKey": key, "shareName": "models", "accessMode": "ReadWrite"}
        cloud.apps.managed_environments_storages.create_or_update(
            "g", "env", "observed", {"properties": {"azureFile": azure}}
        )

    storage("d3Jvbmc=")
    app = app_body(environment)
    template = app["properties"]["template"]
    template["volumes"] = [{"name": "share", "storageType": "AzureFile", "storageName": "observed"}]
    template["containers"][0]["volumeMounts"] = [{"volumeName": "share", "mountPath": "/mount"}]
    written(cloud, "mounts", app)
    eventually(lambda: revision_of(cloud, "mounts")["healthState"] == "Unhealthy")
    captured = evidence("captured-outputs/azure-files-wrong-key.json")["systemLog"][0]["Msg"]

    def found() -> list[str]:
        told = [message for _, message in said(cloud, "mounts") if "Mount" in message]
        return [message.replace("'main'", "'ca-azfiles-bad'") for message in told]

    eventually(lambda: len(found()) > 1, what="it is tried again")
    assert captured in found()
    storage(cloud.storage.storage_accounts.list_keys("g", "observedfiles").keys_property[0].value)
    eventually(lambda: state_of(cloud, "g", "mounts", latest(cloud, "mounts")) in SERVING, what="it heals by itself")
