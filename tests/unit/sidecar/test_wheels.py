"""Archives of packages: the same bytes everywhere, made once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from sidecar.core.platforms import Platform
from sidecar.core.wheels import KEPT, kept, key_of, made
from tests.support.wheels import wheel

AZURE = Platform((3, 12), "x86_64", 39, "2.13.0")


def test_the_same_wheels_make_the_same_archive_whenever_and_wherever(tmp_path: Path):
    for place, when in (("one", 1), ("other", 2_000_000_000)):
        for name in ("b", "a") if place == "one" else ("a", "b"):
            file = wheel(tmp_path / place, name, "1.0", {f"{name}.py": "x = 1\n"})
            os.utime(file, (when, when))
            file.chmod(0o600 if when == 1 else 0o644)
    one, other = (made(tmp_path / f"cache-{place}", "key", tmp_path / place) for place in ("one", "other"))
    assert one.digest == other.digest == hashlib.sha256(one.file.read_bytes()).hexdigest()
    assert one.file.name == one.digest


def test_it_is_found_by_what_it_was_made_of_while_it_is_whole(tmp_path: Path):
    cache = tmp_path / "cache"
    wheel(tmp_path / "wheels", "a", "1.0", {"a.py": ""})
    assert kept(cache, "key") is None
    archive = made(cache, "key", tmp_path / "wheels")
    assert kept(cache, "key") == archive
    assert kept(cache, "another") is None
    archive.file.write_bytes(b"cut")
    assert kept(cache, "key") is None


def test_the_key_is_of_what_is_in_it_and_where_it_runs():
    lines = ["a==1 --hash=sha256:1", "b==1 --hash=sha256:2"]
    keys = {key_of(lines, AZURE), key_of(lines[:1], AZURE), key_of(lines, Platform((3, 13), "x86_64", 39, "2.13.0"))}
    assert len(keys) == 3
    assert key_of(lines[::-1], AZURE) == key_of(lines, AZURE)


def test_old_archives_leave_the_cache(tmp_path: Path):
    cache = tmp_path / "cache"
    for number in range(KEPT + 2):
        wheel(tmp_path / f"wheels{number}", "a", f"{number}.0", {"a.py": ""})
        archive = made(cache, str(number), tmp_path / f"wheels{number}")
        os.utime(archive.file, (number, number))
    assert [kept(cache, str(number)) is not None for number in range(KEPT + 2)] == [False, False, True, True, True]
