"""Bundles: the same content is the same bytes; what is bundled is what was read, and is never in memory as a whole."""

from __future__ import annotations

import os
import tarfile
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.codefiles import Entry, Tree, read_tree
from sidecar.core.releases import manifest_json
from sidecar.core.sync import FIRST, MANIFEST, MAX_BUNDLE, Release, diff, manifest_of, manifest_within, pack
from sidecar.words.errors import WorkspaceError

paths = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
entries = st.dictionaries(paths, st.tuples(st.binary(max_size=64), st.booleans()), max_size=8, min_size=1)


def packed(code: Path) -> Release:
    return pack(read_tree(code), code.parent / "bundle.tar")


@given(entries)
def test_a_bundle_holds_exactly_its_entries_and_is_the_same_every_time(files: dict[str, tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        listed: list[Entry] = []
        for number, (path, (content, executable)) in enumerate(sorted(files.items())):
            source = folder / str(number)
            source.write_bytes(content)
            listed.append(Entry(path, "file", source, len(content), executable))
        tree = Tree("code", tuple(listed))
        first, again = pack(tree, folder / "first.tar"), pack(tree, folder / "again.tar")
        assert first.file.read_bytes() == again.file.read_bytes()
        assert (first.digest, first.manifest) == (again.digest, again.manifest)
        with tarfile.open(first.file) as archive:
            found = {each.name: (archive.extractfile(each).read(), bool(each.mode & 0o100)) for each in archive}  # type: ignore[union-attr]
    assert found.pop(MANIFEST)[0] == manifest_json(first.manifest)
    assert found == {f"code/{path}": each for path, each in files.items()}
    assert first.manifest.keys() == files.keys()


def test_times_modes_and_folders_do_not_change_the_digest_but_content_does(tmp_path: Path) -> None:
    code = tmp_path / "inference"
    (code / "sub").mkdir(parents=True)
    file = code / "sub" / "a.py"
    file.write_text("1")
    first = packed(code)
    os.utime(file, (1, 1))
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert packed(code).digest == first.digest
    file.chmod(0o755)
    assert packed(code).digest == first.digest, "Windows, and some mounts, tell no exec bit"
    file.write_text("#!/usr/bin/env python3")
    second = packed(code)
    assert second.digest != first.digest
    file.write_text("2")
    assert packed(code).digest not in (first.digest, second.digest)
    assert list(first.manifest) == ["sub/a.py"]


def test_a_script_runs_wherever_its_release_was_made(tmp_path: Path) -> None:
    """Windows has no exec bit: what begins with `#!` has one in every release."""
    code = tmp_path / "inference"
    code.mkdir()
    (code / "start.sh").write_text("#!/bin/bash\n")
    plain = packed(code)
    (code / "start.sh").chmod(0o755)
    assert packed(code).digest == plain.digest
    with tarfile.open(plain.file) as archive:
        assert archive.getmember("inference/start.sh").mode == 0o755


def test_links_inside_travel_and_links_out_are_refused(tmp_path: Path) -> None:
    code = tmp_path / "inference"
    code.mkdir()
    (code / "a.py").write_text("1")
    (code / "b.py").symlink_to("a.py")
    assert [(each.path, each.kind) for each in read_tree(code).entries] == [("a.py", "file"), ("b.py", "link")]
    with tarfile.open(packed(code).file) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out" / "inference" / "b.py").read_text() == "1"
    (code / "c.py").symlink_to("../../etc/passwd")
    with pytest.raises(WorkspaceError, match=r"c\.py"):
        packed(code)


def test_much_data_beside_the_code_is_told_before_it_is_read(tmp_path: Path) -> None:
    """The sidecar used to hold all of it in memory first."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("x")
    size = 2 * MAX_BUNDLE
    with (code / "data.parquet").open("wb") as sparse:
        sparse.truncate(size)
    tracemalloc.start()
    try:
        with pytest.raises(WorkspaceError, match=f"holds {size // 2**20} MiB, more than a release may have"):
            packed(code)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_large_bundle_is_written_with_bounded_memory(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    with (code / "data.parquet").open("wb") as sparse:
        sparse.truncate(64 * 2**20)
    tracemalloc.start()
    try:
        release = packed(code)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert release.size > 64 * 2**20


def test_a_file_that_goes_on_changing_while_it_is_read_is_given_up(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    file = code / "log.txt"
    with file.open("wb") as sparse:
        sparse.truncate(64 * 2**20)
    ended = threading.Event()

    def write() -> None:
        with file.open("ab", buffering=0) as stream:
            while not ended.is_set():
                stream.write(b"x")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        with pytest.raises(WorkspaceError) as refused:
            packed(code)
    finally:
        ended.set()
        writing.join()
    assert refused.value.code == "ChangesMeanwhile"
    assert str(file) in str(refused.value)
    assert packed(code).manifest.keys() == {"log.txt"}


def test_an_empty_folder_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no code"):
        packed(tmp_path)


manifests = st.dictionaries(paths, st.sampled_from(["1", "2", "3"]), max_size=8)


@given(manifests, manifests)
def test_applying_a_diff_makes_the_remote_equal_the_local(local: dict[str, str], remote: dict[str, str]) -> None:
    changes = diff(local, remote)
    applied = {path: digest for path, digest in remote.items() if path not in changes.delete}
    applied |= {path: local[path] for path in changes.upload}
    assert applied == local
    assert all(remote.get(path) != local[path] for path in changes.upload)


def test_the_manifest_of_a_tree_is_that_of_its_release(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "a.py").write_text("1")
    (code / "b.py").symlink_to("a.py")
    assert manifest_of(read_tree(code)) == packed(code).manifest


@pytest.mark.parametrize("files", [1, 4000])
def test_what_lies_in_a_bundle_is_told_by_where_it_begins(tmp_path: Path, files: int) -> None:
    code = tmp_path / "code"
    code.mkdir()
    for number in range(files):
        (code / f"a module with a long name {number:05}.py").write_text(str(number))
    release = packed(code)
    content = release.file.read_bytes()
    asked: list[tuple[int, int]] = []

    def part(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return content[offset : offset + length]

    assert manifest_within(part) == release.manifest
    assert asked[0] == (0, FIRST)
    assert len(asked) == (1 if files == 1 else 2)


@given(st.binary(max_size=2000))
def test_what_is_no_bundle_of_ours_tells_nothing(content: bytes) -> None:
    assert manifest_within(lambda offset, length: content[offset : offset + length]) is None
