"""The start command of the container, run as it is deployed: `python3 -c <bootstrap> <script>` over a folder as mount."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.codefiles import read_tree
from sidecar.core.releases import Generation
from sidecar.core.sync import pack
from sidecar.localcloud.core.ports import Promise
from tests.support.contained import start_command

SHOW = "cat inference/a.txt; echo $SLIPWAY_GENERATION $SLIPWAY_RELEASE_DIGEST; pwd"
SHOW_PIP = 'echo "pip: [$PIP_BREAK_SYSTEM_PACKAGES] [$PIP_ROOT_USER_ACTION]"'


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    (tmp_path / "mount").mkdir()
    return tmp_path / "mount"


def publish(mount: Path, text: str, number: int) -> str:
    code = mount.parent / f"code{number}" / "inference"
    code.mkdir(parents=True)
    (code / "a.txt").write_text(text)
    release = pack(read_tree(code), code.parent / "bundle.tar")
    home = mount / ".slipway" / "app"
    for folder in ("releases", "generations"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "releases" / release.digest).write_bytes(release.file.read_bytes())
    (home / "generations" / f"{number}.json").write_bytes(Generation(number, release.digest).to_json())
    return release.digest


def environment(mount: Path, **more: str) -> dict[str, str]:
    """As a container's: without what this machine's pip is told."""
    machine = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**machine, "SLIPWAY_MOUNT": str(mount), "SLIPWAY_APP": "app", "SLIPWAY_RELEASE": "current", **more}


def start(mount: Path, *commands: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        start_command(*commands),
        env=environment(mount, **more),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_highest_generation_runs_from_local_disk(mount: Path) -> None:
    publish(mount, "old ", 9)
    digest = publish(mount, "new ", 10)
    done = start(mount, SHOW)
    assert done.returncode == 0, done.stderr
    assert f"new 10 {digest}" in done.stdout
    assert str(mount) not in done.stdout.splitlines()[-1]


def test_a_failing_command_stops_the_start(mount: Path) -> None:
    publish(mount, "x", 1)
    done = start(mount, "echo first", "false", "echo never")
    assert done.returncode == 1
    assert "first" in done.stdout
    assert "never" not in done.stdout


def test_a_release_that_does_not_match_its_digest_is_refused_and_the_one_before_runs(mount: Path) -> None:
    old = publish(mount, "old ", 1)
    new = publish(mount, "new ", 2)
    stored = mount / ".slipway" / "app" / "releases" / new
    stored.write_bytes(stored.read_bytes().replace(b"new ", b"bad "))
    done = start(mount, SHOW)
    assert f"release {new[:12]} on the share does not match its digest" in done.stdout
    assert f"old 1 {old}" in done.stdout
    (mount / ".slipway" / "app" / "releases" / old).unlink()
    done = start(mount, SHOW)
    assert done.returncode == 1
    assert "no release on the share is intact" in done.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.json", "{}"),
        ("9 - Copy.json", '{"generation": 9, "release": "x"}'),
        ("²7.json", "{}"),
        ("1.json", '{"generation": 1, "rel'),
        ("9.json", ""),
        ("9.json", "[]"),
        ("9.json", '{"release": 7}'),
        ("9.json", '{"release": "../../models/x"}'),
        ("9.json", "\x00\x01"),
    ],
)
def test_a_stray_or_damaged_generation_is_skipped_and_the_newest_that_can_be_read_runs(
    mount: Path, name: str, content: str
) -> None:
    digest = publish(mount, "good ", 2)
    (mount / ".slipway" / "app" / "generations" / name).write_text(content)
    done = start(mount, SHOW)
    assert done.returncode == 0, done.stderr
    assert f"good 2 {digest}" in done.stdout
    if name == "9.json":
        assert "slipway: generation 9" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_it_does_is_said_in_lines_that_are_meant_to_be_read(mount: Path) -> None:
    publish(mount, "x", 1)
    assert "slipway: phase dependencies" in start(mount, "true").stdout.splitlines()


def test_a_pinned_release_runs_whatever_is_current(mount: Path) -> None:
    old = publish(mount, "old ", 1)
    publish(mount, "new ", 2)
    assert "old" in start(mount, SHOW, SLIPWAY_RELEASE=old).stdout


def test_a_revision_starts_what_it_was_made_for_until_the_share_knows_its_generation(mount: Path) -> None:
    old = publish(mount, "old ", 4)
    made_for = publish(mount, "made for ", 5)
    generation = mount / ".slipway" / "app" / "generations" / "5.json"
    current = generation.read_bytes()
    generation.unlink()
    candidate = f"5:{made_for}:1a2b"
    ahead = start(mount, SHOW, SLIPWAY_CANDIDATE=candidate).stdout
    assert f"made for 5 {made_for}" in ahead
    assert f"old 4 {old}" in start(mount, SHOW).stdout, "another revision starts what is current"
    generation.write_bytes(current)
    assert f"made for 5 {made_for}" in start(mount, SHOW, SLIPWAY_CANDIDATE=candidate).stdout
    newer = publish(mount, "newer ", 6)
    assert f"newer 6 {newer}" in start(mount, SHOW, SLIPWAY_CANDIDATE=candidate).stdout
    assert f"newer 6 {newer}" in start(mount, SHOW, SLIPWAY_CANDIDATE="5:nonsense").stdout


def test_commands_that_change_into_the_mount_run_from_the_plain_tree(mount: Path) -> None:
    (mount / "inference").mkdir()
    (mount / "inference" / "b.txt").write_text("plain tree")
    done = start(mount, f"cd {mount}/inference", "cat b.txt")
    assert done.returncode == 0
    assert "plain tree" in done.stdout


def test_pip_may_install_into_a_python_that_is_managed_by_its_system(mount: Path) -> None:
    publish(mount, "x", 1)
    assert "pip: [1] [ignore]" in start(mount, SHOW_PIP).stdout


def test_it_may_so_where_the_commands_change_into_the_mount(mount: Path) -> None:
    assert "pip: [1] [ignore]" in start(mount, f"cd {mount}", SHOW_PIP).stdout


@pytest.mark.parametrize("own", ["0", ""])
def test_what_a_person_tells_pip_wins(mount: Path, own: str) -> None:
    publish(mount, "x", 1)
    told = {"PIP_BREAK_SYSTEM_PACKAGES": own, "PIP_ROOT_USER_ACTION": "warn"}
    assert f"pip: [{own}] [warn]" in start(mount, SHOW_PIP, **told).stdout
    assert f"pip: [{own}] [warn]" in start(mount, f"cd {mount}", SHOW_PIP, **told).stdout


@pytest.fixture
def waiting(mount: Path) -> Iterator[int]:
    promise = Promise("127.0.0.1")
    port = promise.port
    more = {"CONTAINER_APP_PORT": str(port), "SLIPWAY_BIND_HOST": "127.0.0.1", "SLIPWAY_API_KEY": "k3y"}
    process = subprocess.Popen(
        start_command("echo never"), env=environment(mount, **more), stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if ask(port, "/health/live")[0] == 200:
                break
        except OSError:
            time.sleep(0.05)  # sleeps: between two looks
    yield port
    process.terminate()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "waiting for the first deploy" in said
    assert "slipway: phase waiting-for-first-deploy" in said.splitlines()
    assert "never" not in said
    promise.end()


def ask(port: int, path: str, key: str | None = None) -> tuple[int, str]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_until_the_first_deploy_only_the_probes_are_answered_and_the_phase_needs_the_key(waiting: int) -> None:
    assert ask(waiting, "/health/live") == (200, "")
    assert ask(waiting, "/health/ready") == (503, "")
    assert ask(waiting, "/health/ready", "wrong") == (503, "")
    status, body = ask(waiting, "/health/ready", "k3y")
    assert status == 503
    assert json.loads(body)["phase"] == "waiting-for-first-deploy"
    assert ask(waiting, "/v1/models", "k3y")[0] == 503


def test_a_release_is_unpacked_by_a_python_that_knows_no_filters(mount: Path, tmp_path: Path) -> None:
    """Python 3.11.2 is Debian 12's own; `filter` came with 3.11.4."""
    publish(mount, "one", 1)
    older = tmp_path / "older"
    older.mkdir()
    (older / "sitecustomize.py").write_text(
        "import tarfile\n"
        "unpack = tarfile.TarFile.extractall\n"
        "def extractall(self, path='.', members=None, *, numeric_owner=False):\n"
        "    unpack(self, path, members, numeric_owner=numeric_owner)\n"
        "tarfile.TarFile.extractall = extractall\n"
        "vars(tarfile).pop('data_filter', None)\n"
    )
    done = start(mount, SHOW, PYTHONPATH=str(older))
    assert done.returncode == 0, done.stderr
    assert "one" in done.stdout
