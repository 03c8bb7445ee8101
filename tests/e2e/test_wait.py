"""The wait of *Deploy* and the look of *Status*, which see inside a replica that does not answer yet."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

import pytest
from azure.mgmt.storage import StorageManagementClient

from sidecar.core.journal import Event, Journal
from sidecar.core.workspace import open_workspace
from sidecar.gateway import revisions
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.workflows.deploy import deploy
from sidecar.workflows.restart import Patience

from .conftest import Place, Sample, until
from .rollouts import UNREADABLE, Told, empty_base, faults, look, run

WITHIN = 90
"""Seconds from a cause until it is told, on a machine that may be busy; without it the half hour of a start would pass."""


BROKEN = "print('the code speaks', flush=True)\n__import__('no_such_module_anywhere')\n"
"""Deploy follows imports, and can't follow this one."""


@pytest.mark.fact(42, 111, 128)
def test_a_model_that_cannot_be_loaded_is_named_within_seconds_and_status_says_the_same(place: Place) -> None:
    """It was waited for, for half an hour, and never told."""
    empty_base(place)
    until(lambda: look(place).state == "waiting-for-first-deploy", 240, "the replica to wait for its first deploy")
    told = Told()
    with pytest.raises(EndpointError) as error:
        run(place, told)
    ended = time.monotonic()
    assert error.value.code == "ModelLoadFailed"
    assert UNREADABLE in str(error.value.message)
    assert error.value.detail is not None
    assert "slipway: failed: " in error.value.detail
    assert ended - told.at("Installing dependencies") < WITHIN
    assert "nobody is cut off" in told.text
    found = look(place)
    assert found.state == "failed"
    assert UNREADABLE in str(found.reason)


@pytest.mark.long
@pytest.mark.fact(65, 66, 109, 111)
def test_code_that_dies_at_import_ends_the_wait_with_the_end_of_its_log(place: Place) -> None:
    empty_base(place)
    (place.workspace / "inference" / "__main__.py").write_text(BROKEN)
    with pytest.raises(EndpointError) as error:
        run(place, Told())
    assert error.value.code == "ContainerCrashed"
    assert error.value.detail is not None
    assert "the code speaks" in error.value.detail
    assert "No module named 'no_such_module_anywhere'" in error.value.detail
    shown = place.home.cli("deploy", str(place.workspace), expect=1)["error"]
    assert "no_such_module_anywhere" in shown["detail"]
    assert look(place).state == "failed"


@pytest.mark.long
@pytest.mark.fact(119, 120)
def test_a_share_whose_key_was_changed_is_named(place: Place, sample: Sample) -> None:
    place.upload_models(sample[0])
    run(place, Told())
    session = place.home.session()
    with StorageManagementClient(session.credential, place.subscription, **session.arm_options()) as client:
        for key in ("key1", "key2"):
            body: Any = {"keyName": key}
            client.storage_accounts.regenerate_key(place.group, place.config["STORAGE_ACCOUNT_NAME"], body)
    began = time.monotonic()
    with pytest.raises(EndpointError) as error:
        run(place, Told())
    assert error.value.code == "MountFailed"
    assert "mount error(13)" in str(error.value.message)
    assert "run Provision again" in str(error.value.suggestion)
    assert time.monotonic() - began < 120


@pytest.mark.long
@pytest.mark.fact(68)
def test_a_container_that_is_killed_without_an_order_lacked_memory(place: Place) -> None:
    empty_base(place)
    (place.workspace / "inference" / "__main__.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(EndpointError) as error:
        run(place, Told())
    assert error.value.code == "OutOfMemory"


@pytest.mark.long
def test_a_log_stream_that_breaks_off_or_wants_a_newer_token_is_taken_up_again(place: Place) -> None:
    """It says nothing of it: streams end when they like."""
    empty_base(place)
    (place.workspace / "inference" / "__main__.py").write_text(
        "import sys, time\n"
        "for number in range(12):\n"
        "    print('line', number, flush=True)\n"
        "    time.sleep(0.5)\n"
        "sys.exit(3)\n"
    )
    console: dict[str, Any] = {"part": "data", "path": "logstream"}
    faults(place, {**console, "kind": "reset-before", "times": 2}, {**console, "kind": "status", "status": 401})
    try:
        told = Told()
        with pytest.raises(EndpointError) as error:
            run(place, told)
    finally:
        hits = faults(place)
    assert error.value.code == "ContainerCrashed"
    assert [each["hits"] for each in hits] == [2, 1]
    told_lines = (error.value.detail or "").splitlines()
    numbers = [int(line.removeprefix("line ")) for line in told_lines if line.startswith("line ")]
    assert len(numbers) >= 12
    follows = [(number + 1) % 12 for number in numbers[:-1]]  # the container begins anew after each end
    assert numbers[1:] == follows
    assert "broke off" not in told.text


@pytest.mark.long
def test_the_logs_token_follows_no_redirect_to_another_host(place: Place) -> None:
    heard: list[bytes] = []
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = stranger.accept()
                    heard.append(connection.recv(65536))

        listening = threading.Thread(target=listen)
        listening.start()
        where = f"https://127.0.0.1:{stranger.getsockname()[1]}/stolen"
        rule: dict[str, Any] = {
            "part": "data",
            "kind": "status",
            "status": 302,
            "headers": {"Location": where},
            "times": None,
        }
        faults(place, rule)
        try:
            with pytest.raises(EndpointError):
                run(place, told, Patience(whole=20))
        finally:
            hits = faults(place)
            ended.set()
            listening.join()
    assert hits[0]["hits"] > 0
    assert "leads to another address" in told.text
    assert heard == []


@pytest.mark.parametrize("moment", ["Ending the replica", "Installing dependencies"])
def test_a_cancel_is_heard_at_once_and_leaves_the_revision_active(place: Place, moment: str) -> None:
    """Also between the end of the old replica and the start of the new one, where nothing is active. Nothing more is waited for:
    what comes next in a start is never said."""
    empty_base(place)
    until(lambda: look(place).state == "waiting-for-first-deploy", 240, "the replica to wait for its first deploy")
    stop = threading.Event()
    said: list[str] = []

    def listen(event: Event) -> None:
        if stop.is_set() and moment not in str(event.text):
            said.append(str(event.text))
        if moment in str(event.text):
            stop.set()

    journal = Journal(place.home.folder / "journal", "test", listen, stop)
    with pytest.raises(Cancelled):
        deploy(open_workspace(place.workspace), place.home.session(), journal)
    assert not [each for each in said if each.startswith(("Installing", "Loading", "Asking"))], said
    found = revisions.revisions(place.around.app(place.config["ACA_APP_NAME"]))
    assert [each.active for each in found] == [True]
