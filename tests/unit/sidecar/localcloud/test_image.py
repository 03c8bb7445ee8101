"""The image: its folder's name is a digest, and it is whole or absent."""

import http.server
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sidecar.localcloud.image import build, cache_folder, image_for
from tests.support.wheels import wheel


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is to be read beside what pip says."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index of two small packages, as pip asks one."""
    for name in ("first-part", "second"):
        wheel(tmp_path / "index" / name, name.replace("-", "_"), "1.0", {f"{name.replace('-', '_')}.py": "x = 1\n"})
    handler = partial(Quiet, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_folder_changes_with_the_requirements(tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1\n")
    first = image_for(requirements, {"SLIPWAY_CACHE": str(tmp_path)})
    requirements.write_text("a==2\n")
    second = image_for(requirements, {"SLIPWAY_CACHE": str(tmp_path)})
    assert first.folder != second.folder
    assert first.folder.parent == second.folder.parent == tmp_path / "images"


def test_the_cache_folder_follows_its_variables():
    assert cache_folder({"SLIPWAY_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/slipway")


def test_a_built_image_has_a_python_that_runs_and_no_unfinished_folder(tmp_path: Path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n")
    image = image_for(requirements, {"SLIPWAY_CACHE": str(tmp_path)})
    assert not image.built
    build(image)
    assert image.built
    assert not image.folder.with_suffix(".part").exists()
    first_line = (image.folder / "bin" / "pip").read_text().splitlines()[0]
    assert first_line.startswith(f"#!{image.folder}/bin/python"), "scripts name the interpreter where it is now"
    build(image)
    assert sys.version_info >= (3, 11)


def test_what_pip_fetches_is_told_by_package_size_and_percent(
    tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """102 seconds went by under one sentence."""
    for name, value in {"INDEX_URL": index, "CONFIG_FILE": os.devnull, "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)  # patched: the variables by which pip is told of an index
    requirements = tmp_path / "requirements.txt"
    requirements.write_text('# two\nfirst-part==1.0\nsecond==1.0\nelsewhere==1.0 ; sys_platform == "another"\n')
    build(image_for(requirements, {"SLIPWAY_CACHE": str(tmp_path)}))
    told = [line.strip() for line in capfd.readouterr().err.splitlines() if line.startswith("  ")]
    assert told[0] == "first-part (1 of 2, 50 %)"
    assert told[1].startswith("first-part, ")
    assert told[1].endswith("bytes (1 of 2, 50 %)")
    assert "second (2 of 2, 100 %)" in told
    assert "installing the 2 packages" in told
