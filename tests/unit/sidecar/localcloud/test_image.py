"""The image: its folder's name is a digest, and it is whole or absent."""

import sys
from pathlib import Path

from sidecar.localcloud.image import build, cache_folder, image_for


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
