"""What a storage account refuses is told by its own code, with what to do about it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sidecar.gateway import apps, revisions
from sidecar.gateway.files import open_share
from sidecar.gateway.logs import last_lines
from sidecar.words.errors import Cancelled, CloudError, NotAuthorized
from tests.contract.localcloud.conftest import eventually
from tests.contract.provision.conftest import Arm, Project, cancelled_when
from tests.contract.provision.test_existing import account


@pytest.fixture
def name(project: Project) -> str:
    made = f"share{project.group}"
    account(project, made)
    project.world.storage.file_shares.create(project.group, made, "models", {})
    return made


def test_a_rotated_key_is_no_question_of_signing_in(project: Project, name: str) -> None:
    with open_share(project.place, name, "models") as share:
        project.world.storage.storage_accounts.regenerate_key(project.group, name, {"keyName": "key1"})
        with pytest.raises(NotAuthorized, match="did not accept its key") as error:
            share.list("")
    assert error.value.code == "AuthenticationFailed"
    with open_share(project.place, name, "models") as share:
        assert share.list("") == [], "the key is read anew"


def test_an_account_that_forbids_its_key_is_named_with_the_fix_and_nothing_else_is_printed(
    project: Project, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change: Any = {"properties": {"allowSharedKeyAccess": False}}
    project.world.storage.storage_accounts.update(project.group, name, change)
    with open_share(project.place, name, "models") as share:
        for call in (lambda: share.list(""), lambda: share.exists("a"), lambda: share.replace("a", b"x")):
            with pytest.raises(NotAuthorized, match="allowSharedKeyAccess is false") as error:
                call()
            assert error.value.code == "KeyBasedAuthenticationNotPermitted"
            assert "az storage account update" in str(error.value.suggestion)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_share_that_holds_its_answer_is_left_at_once_by_who_cancels(project: Project, name: str, faults: Arm) -> None:
    """Reads, and what is uploaded under a name that nobody reads yet. They used to be left when the answer came."""
    held = {"part": "files", "path": "/", "kind": "hold", "seconds": 240, "times": None}
    with open_share(project.place, name, "models") as share:
        share.replace("there", b"x")
        for ask in (
            lambda: share.list(""),
            lambda: share.read("there"),
            lambda: share.part("there", 0, 1),
            lambda: list(share.blocks("there")),
            lambda: share.replace("new", b"x"),
        ):
            project.stop.clear()
            hits = faults(held)
            began = time.monotonic()
            with cancelled_when(project, lambda hits=hits: sum(hits()) == 1), pytest.raises(Cancelled):
                ask()
            assert time.monotonic() - began < 60
            assert sum(hits()) == 1


def test_a_small_file_that_was_written_or_read_here_is_asked_for_again_only_once_it_has_changed(
    project: Project, name: str, faults: Arm
) -> None:
    """The answer to a rename tells the stamp that the next listing gives the file."""

    def read() -> bytes:
        with open_share(project.place, name, "models") as share:
            (found,) = share.list("record")
            return share.read_as("record/1.json", found.stamp)

    reads = {"part": "files", "method": "GET", "path": r"record/1\.json", "kind": "delay", "times": None}
    with open_share(project.place, name, "models") as share:
        share.create("record/1.json", b"one")
    hits = faults(reads)
    assert (read(), hits()) == (b"one", [0])
    with open_share(project.place, name, "models") as share:
        share.replace("record/1.json", b"two")
    assert (read(), hits()) == (b"two", [1])
    assert (read(), hits()) == (b"two", [1])


@pytest.mark.parametrize(
    "refusal",
    [
        {"status": 400, "code": "InvalidHeaderValue"},
        {"kind": "body", "status": 201, "headers": {"ETag": '"0x8"', "Last-Modified": "Sun, 29 Nov 2026 00:00:00 GMT"}},
    ],
    ids=["refused", "taken without a word of it"],
)
def test_a_service_that_takes_no_content_with_a_create_gets_it_range_by_range(
    project: Project, name: str, faults: Arm, refusal: dict[str, Any]
) -> None:
    """One request less for a small file, where the service says that it has those bytes."""
    count = {"part": "files", "method": "PUT", "kind": "delay", "times": None}
    counted = [{**count, "path": r"\.part$"}, {**count, "path": "comp=range"}]
    with open_share(project.place, name, "models") as share:
        hits = faults(*counted)
        share.replace("a", b"at once")
        assert hits() == [1, 0]
        hits = faults({"part": "files", "method": "PUT", "path": r"\.part$", **refusal, "times": 1}, *counted)
        share.replace("a", b"in ranges")
        assert hits()[0] == 1
        assert hits()[2] == 1
        assert share.read("a") == b"in ranges"


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AuthorizationFailure", "network rules"),
        (413, "ShareSizeLimitReached", "is full"),
        (403, "AccountIsDisabled", "is disabled"),
    ],
)
def test_a_refusal_is_told_by_its_code(
    project: Project, name: str, faults: Arm, status: int, code: str, said: str
) -> None:
    with open_share(project.place, name, "models") as share:
        hits = faults({"part": "files", "method": "PUT", "status": status, "code": code})
        with pytest.raises(CloudError, match=said) as error:
            share.replace("a", b"x")
    assert (error.value.code, hits()) == (code, [1])
    assert error.value.suggestion is not None


@pytest.mark.fact(119, 120)
def test_a_key_that_a_mount_failed_with_is_renewed_by_provision(project: Project) -> None:
    """The share stays what it is; an app that can mount is left alone."""
    project.state(cooldownSeconds=3600)  # one that fell asleep meanwhile would try no mount
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    (account,) = project.names("Microsoft.Storage/storageAccounts")
    place = project.place.app(name)
    project.provision()
    assert not any("present key" in each for each in project.said)
    for key in ("key1", "key2"):
        project.world.storage.storage_accounts.regenerate_key(project.group, account, {"keyName": key})
    (revision,) = revisions.revisions(place)
    revisions.deactivate(place, revision.name)
    eventually(lambda: not revisions.replicas(place, revision.name))
    revisions.activate(place, revision.name)
    stream = apps.app(place).event_stream or ""
    eventually(lambda: any("VolumeMountFailure" in line for line in last_lines(place, stream, 300, 5)))
    project.provision()
    assert any("it gets the present key of" in each for each in project.said)
    eventually(
        lambda: any(c.state == "Running" for r in revisions.replicas(place, revision.name) for c in r.containers)
    )


@pytest.mark.fact(121)
def test_an_app_mounts_by_the_storage_that_is_stated_where_that_stands_for_the_same_share(project: Project) -> None:
    """The second step where a renewed key does not come to work: it was advised, and the app stayed with the first storage."""
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    first = {each.storage for each in apps.app(place).mounts}
    project.state(acaEnvironmentStorageName="anotherstorage")
    project.provision()
    assert {each.storage for each in apps.app(place).mounts} == {"anotherstorage"} != first
    assert any("by anotherstorage from now on" in each for each in project.said)


def test_a_share_that_throttles_is_asked_again_within_seconds(project: Project, name: str, faults: Arm) -> None:
    """The SDK repeats a 503 by itself, and no 429."""
    with open_share(project.place, name, "models") as share:
        hits = faults({"part": "files", "method": "PUT", "path": r"\.part$", "status": 429, "code": "TooManyRequests"})
        began = time.monotonic()
        share.replace("a", b"x")
        assert share.read("a") == b"x"
    assert hits() == [1]
    assert time.monotonic() - began < 60
