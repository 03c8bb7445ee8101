"""Releases: the same content is the same bundle; what is bundled is what was read."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.sync import MAX_BUNDLE, Entry, Generation, bundle_of, diff, next_generation, pack, scan
from sidecar.words.errors import WorkspaceError

paths = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
entries = st.dictionaries(paths, st.tuples(st.binary(max_size=64), st.booleans()), max_size=8)


@given(entries)
def test_a_bundle_holds_exactly_its_entries_and_is_the_same_every_time(files: dict[str, tuple[bytes, bool]]) -> None:
    listed = [Entry(path, "file", content, executable) for path, (content, executable) in sorted(files.items())]
    bundle = bundle_of(listed, "code")
    assert bundle == bundle_of(listed, "code")
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        found = {each.name: (archive.extractfile(each).read(), bool(each.mode & 0o100)) for each in archive}  # type: ignore[union-attr]
    assert found == {f"code/{path}": each for path, each in files.items()}


def test_times_and_folders_do_not_change_the_digest_but_content_and_the_exec_bit_do(tmp_path: Path) -> None:
    code = tmp_path / "inference"
    (code / "sub").mkdir(parents=True)
    file = code / "sub" / "a.py"
    file.write_text("1")
    first = pack(code)
    os.utime(file, (1, 1))
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert pack(code).digest == first.digest
    file.chmod(0o755)
    second = pack(code)
    assert second.digest != first.digest
    file.write_text("2")
    assert pack(code).digest not in (first.digest, second.digest)
    assert first.files == 1


def test_links_inside_travel_and_links_out_are_refused(tmp_path: Path) -> None:
    code = tmp_path / "inference"
    code.mkdir()
    (code / "a.py").write_text("1")
    (code / "b.py").symlink_to("a.py")
    assert [(each.path, each.kind) for each in scan(code)] == [("a.py", "file"), ("b.py", "link")]
    with tarfile.open(fileobj=io.BytesIO(pack(code).bundle)) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert (tmp_path / "out" / "inference" / "b.py").read_text() == "1"
    (code / "c.py").symlink_to("../../etc/passwd")
    with pytest.raises(WorkspaceError, match=r"c\.py"):
        pack(code)


def test_weights_beside_the_code_are_told_before_they_are_read(tmp_path: Path) -> None:
    """The sidecar used to hold all of them in memory first."""
    (tmp_path / "main.py").write_text("x")
    size = 2 * MAX_BUNDLE
    with (tmp_path / "model.safetensors").open("wb") as sparse:
        sparse.truncate(size)
    tracemalloc.start()
    try:
        with pytest.raises(WorkspaceError, match=f"holds {size // 2**20} MiB, more than a release may have"):
            pack(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_an_empty_folder_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no code"):
        pack(tmp_path)


def test_generations_count_on_from_the_highest_and_ignore_other_names() -> None:
    assert next_generation(["1.json", "12.json", ".13.json.part", "x.json"], "r") == Generation(13, "r")
    assert next_generation([], "r").number == 1


manifests = st.dictionaries(paths, st.sampled_from(["1", "2", "3"]), max_size=8)


@given(manifests, manifests)
def test_applying_a_diff_makes_the_remote_equal_the_local(local: dict[str, str], remote: dict[str, str]) -> None:
    changes = diff(local, remote)
    applied = {path: digest for path, digest in remote.items() if path not in changes.delete}
    applied |= {path: local[path] for path in changes.upload}
    assert applied == local
    assert all(remote.get(path) != local[path] for path in changes.upload)
