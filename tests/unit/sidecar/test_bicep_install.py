"""The Bicep CLI installed from a stand-in of its releases: asked, fetched, verified, tried, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sidecar.core.bicep_places import bicep_cli, cache
from sidecar.core.journal import Event, Journal
from sidecar.gateway.bicep_release import asset_name, this_asset
from sidecar.words.errors import Cancelled, CloudError, ConsentNeeded, TemplateError
from sidecar.workflows.bicep_install import CONSENT, Installed, install
from tests.support.bicep_releases import Releases, releases
from tests.support.bicep_standin import standin
from tests.support.inspecting_proxy import InspectingProxy

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Releases]:
    with releases(tmp_path / "released") as made:
        yield made


def environ(tmp_path: Path, source: Releases, **more: str) -> dict[str, str]:
    base = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "SLIPWAY_STATE": str(tmp_path / "state")}
    return {**base, **source.environ, **more}


def installed(
    known: dict[str, str],
    *,
    version: str | None = None,
    stop: threading.Event | None = None,
    heard: list[Event] | None = None,
) -> Installed:
    journal = Journal(None, "", [].append if heard is None else heard.append, stop or threading.Event())
    return install(known, version, [CONSENT], journal)


def left(known: dict[str, str]) -> list[str]:
    return sorted(each.name for each in cache(known).iterdir()) if cache(known).exists() else []


@pytest.mark.parametrize(
    ("system", "machine", "musl", "name"),
    [
        ("linux", "x86_64", False, "bicep-linux-x64"),
        ("linux", "x86_64", True, "bicep-linux-musl-x64"),
        ("linux", "aarch64", False, "bicep-linux-arm64"),
        ("darwin", "arm64", False, "bicep-osx-arm64"),
        ("darwin", "x86_64", False, "bicep-osx-x64"),
        ("win32", "AMD64", False, "bicep-win-x64.exe"),
        ("win32", "ARM64", False, "bicep-win-arm64.exe"),
    ],
)
def test_each_machine_has_its_file(system: str, machine: str, musl: bool, name: str) -> None:
    assert asset_name(system, machine, musl=musl) == name


def test_a_machine_without_one_is_told() -> None:
    with pytest.raises(CloudError, match="no Bicep CLI for this machine"):
        asset_name("freebsd", "riscv64", musl=False)


def test_it_is_asked_for_fetched_and_found_from_then_on(tmp_path: Path, source: Releases) -> None:
    known, heard = environ(tmp_path, source), list[Event]()
    with pytest.raises(
        ConsentNeeded, match=r"The Bicep CLI 0\.49\.2 of Microsoft \(0 MB\) is fetched from 127\.0\.0\.1"
    ) as asked:
        install(known, None, [], Journal(None, "", heard.append, threading.Event()))
    assert (asked.value.consent, left(known)) == (CONSENT, [])
    done = installed(known, heard=heard)
    assert (done.version, done.before, done.path) == ("0.49.2", False, cache(known) / "0.49.2" / "bicep")
    assert done.path.read_bytes() == source.content
    assert os.access(done.path, os.X_OK)
    assert bicep_cli({**known, "PATH": "/nowhere"}) == done.path
    assert str(heard[-1].text).endswith("100 %")
    assert left(known) == ["0.49.2"]
    assert installed(known).before is True
    assert installed(known, version="0.49.2").before is True


def test_what_broke_off_goes_on_where_it_ended(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source)
    source.cut = [70_000]
    with pytest.raises(CloudError, match="could not be fetched") as error:
        installed(known)
    assert error.value.code == "BicepNotFetched"
    begun = (cache(known) / f".0.49.2-{this_asset()}.partial").stat().st_size
    assert 0 < begun <= 70_000
    assert installed(known).path.read_bytes() == source.content
    assert source.seen[-1][1] == f"bytes={begun}-"


def test_a_server_that_goes_on_from_nowhere_begins_anew(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source)
    source.cut, source.no_ranges = [70_000], True
    with pytest.raises(CloudError):
        installed(known)
    assert installed(known).path.read_bytes() == source.content


def test_another_digest_installs_nothing(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source)
    source.digest = "0" * 64
    with pytest.raises(CloudError, match="is not what was released") as error:
        installed(known)
    assert (error.value.code, left(known)) == ("BicepDigest", [])


def test_without_a_digest_nothing_is_fetched_and_the_other_way_is_named(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source)
    source.digest = None
    with pytest.raises(CloudError, match="Nothing states the sha256") as error:
        installed(known)
    assert "az bicep install" in str(error.value.suggestion)
    assert [path for path, _ in source.seen if not path.startswith("/repos/")] == []


def test_a_mirror_has_the_file_and_the_digest_comes_from_elsewhere(tmp_path: Path, source: Releases) -> None:
    mirror = {"SLIPWAY_BICEP_MIRROR": f"{source.url}/mirror/"}
    installed(environ(tmp_path, source, **mirror))
    assert source.seen[-1][0] == f"/mirror/v0.49.2/{this_asset()}"
    stated = {**mirror, "SLIPWAY_BICEP_SHA256": source.sha256, "SLIPWAY_BICEP_RELEASES": "http://127.0.0.1:9/none"}
    other = tmp_path / "other"
    assert installed({**environ(other, source), **stated}, version="0.49.2").path.exists()
    with pytest.raises(CloudError, match="is not what was released"):
        installed({**environ(tmp_path / "third", source), **stated, "SLIPWAY_BICEP_SHA256": "0" * 64}, version="0.49.2")


def test_a_list_that_can_not_be_read_is_told_with_the_other_way(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source, SLIPWAY_BICEP_RELEASES="http://127.0.0.1:9/releases")
    with pytest.raises(CloudError, match="list of Bicep's releases") as error:
        installed(known)
    assert "az bicep install" in str(error.value.suggestion)
    with pytest.raises(CloudError, match="404"):
        installed(environ(tmp_path, source), version="9.9.9")


def test_a_cancel_is_heard_and_the_next_one_goes_on(tmp_path: Path, source: Releases) -> None:
    known, stop = environ(tmp_path, source), threading.Event()
    source.held = threading.Event()

    def hear(event: Event) -> None:
        stop.set()
        if source.held is not None:
            source.held.set()

    with pytest.raises(Cancelled):
        install(known, None, [CONSENT], Journal(None, "", hear, stop))
    assert left(known) == [f".0.49.2-{this_asset()}.partial"]
    source.held = None
    assert installed(known).path.read_bytes() == source.content


def test_of_two_at_once_one_fetches_and_the_other_has_waited(tmp_path: Path, source: Releases) -> None:
    known, heard = environ(tmp_path, source), list[Event]()
    source.held = threading.Event()
    begun, waits, stop = threading.Event(), threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        heard.append(event)
        waits.set()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(
            install, known, None, [CONSENT], Journal(None, "", lambda _: begun.set(), threading.Event())
        )
        assert begun.wait(60)
        second = pool.submit(install, known, None, [CONSENT], Journal(None, "", listen, threading.Event()))
        assert waits.wait(60)
        stop.set()
        with pytest.raises(Cancelled):  # a third one that nobody wants any more
            installed(known, stop=stop)
        assert not first.done()
        source.held.set()
        assert (first.result(60).before, second.result(60).before) == (False, True)
    assert [str(each.text) for each in heard] == ["Another process is installing the Bicep CLI: waiting for it."]
    assert first.result().path.read_bytes() == source.content
    assert len([path for path, _ in source.seen if path.startswith("/objects/")]) == 1
    assert left(known) == ["0.49.2"]


def test_whoever_is_killed_over_it_holds_up_nobody(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source)
    source.held = threading.Event()
    command = [sys.executable, "-m", "sidecar", "bicep", "install", "--yes"]
    env = {**known, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert source.half.wait(60)
        process.kill()
    source.held.set()
    assert installed(known).path.read_bytes() == source.content


def test_one_that_does_not_run_here_is_not_installed(tmp_path: Path) -> None:
    with releases(tmp_path / "released", "another program") as source:
        known = environ(tmp_path, source)
        with pytest.raises(TemplateError, match="is no Bicep CLI, or does not run here"):
            installed(known)
        assert left(known) == []


def test_the_terminal_installs_with_a_yes_and_compiles_then(tmp_path: Path, source: Releases) -> None:
    (tmp_path / "main.bicep").write_text("type own = string\nparam a own\noutput b string = a\n")

    def slipway(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**environ(tmp_path, source), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-m", "sidecar", "bicep", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)

    asked = slipway("install")
    assert (asked.returncode, asked.stdout) == (3, "")
    done = slipway("install", "--yes", "--json")
    assert json.loads(done.stdout)["version"] == "0.49.2", done.stderr
    checked = slipway("check", "main.bicep", "--json", "--compiler", "cli")
    assert json.loads(checked.stdout)["compilations"][0]["outcome"] == "compiled", checked.stdout


def test_a_folder_that_can_not_be_written_is_told_with_its_reason(tmp_path: Path, source: Releases) -> None:
    known = environ(tmp_path, source)
    cache(known).parent.mkdir(parents=True)
    cache(known).write_text("no folder")
    with pytest.raises(CloudError, match=r"could not be put into .*0\.49\.2: File exists") as told:
        installed(known)
    assert told.value.code == "BicepNotInstalled"


@pytest.mark.parametrize("trusted", [True, False])
def test_behind_a_proxy_that_looks_into_tls_the_machine_decides_whom_it_trusts(
    tmp_path: Path, *, trusted: bool
) -> None:
    """Microsoft's own addresses, by the proxy that is set; its authority is in the machine's store, or is not."""
    released = standin(tmp_path / "released").read_bytes()
    api, files = "api.github.com", "github.com"
    url = f"https://{files}/Azure/bicep/releases/download/v0.49.2/{this_asset()}"
    asset = {"name": this_asset(), "size": len(released), "browser_download_url": url}
    listed = {"tag_name": "v0.49.2", "assets": [{**asset, "digest": f"sha256:{hashlib.sha256(released).hexdigest()}"}]}
    with InspectingProxy(tmp_path, [api, files], lambda host, _: listed if host == api else released) as proxy:
        ours = {name: os.environ[name] for name in os.environ if not name.lower().endswith("_proxy")}
        known = {"HOME": str(tmp_path), "SLIPWAY_STATE": str(tmp_path / "state"), "HTTPS_PROXY": proxy.url}
        trust = {"SSL_CERT_FILE": str(proxy.authority)} if trusted else {}
        done = subprocess.run(
            [sys.executable, "-m", "sidecar", "bicep", "install", "--yes", "--json"],
            cwd=ROOT,
            env={**ours, **known, **trust},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        asked = [f"GET {api}/repos/Azure/bicep/releases/latest", f"GET {files}/{url.partition(f'{files}/')[2]}"]
        assert list(dict.fromkeys(proxy.asked)) == (asked if trusted else []), done.stdout + done.stderr
    if trusted:
        assert Path(json.loads(done.stdout)["path"]).read_bytes() == released, done.stderr
    else:
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "BicepReleasesUnread", error
        assert "does not trust the certificate" in error["suggestion"], error
