"""What this machine remembers of a share: only what is unchanged, only small files, and never at the price of a run."""

from __future__ import annotations

from pathlib import Path

from sidecar.gateway.kept import MOST_BYTES, MOST_FILES, Kept, kept_for


def test_what_was_read_is_known_by_its_stamp_alone_also_to_another_process(tmp_path: Path) -> None:
    first = kept_for(tmp_path, "https://a.file.core.windows.net", "models")
    first.put("1.json", "0x1 then", b"one")
    first.put("large", "0x1 then", b"x" * (MOST_BYTES + 1))
    first.put("untold", "", b"x")
    first.save()
    second = kept_for(tmp_path, "https://A.file.core.windows.net", "Models")
    assert second.get("1.json", "0x1 then") == b"one"
    assert second.get("1.json", "0x2 now") is None
    assert second.get("large", "0x1 then") is second.get("untold", "") is None
    assert kept_for(tmp_path, "https://b.file.core.windows.net", "models").get("1.json", "0x1 then") is None


def test_a_memory_that_is_damaged_is_none(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    for content in (b"{", b"[1]", b'{"1.json": ["a"], "2.json": ["s", "no base64!"], "3.json": 4}', b"\xff"):
        file.write_bytes(content)
        kept = Kept(file)
        assert [kept.get(name, "s") for name in ("1.json", "2.json", "3.json")] == [None] * 3
        kept.put("1.json", "s", b"one")
        kept.save()
        assert Kept(file).get("1.json", "s") == b"one"


def test_the_oldest_is_forgotten_first(tmp_path: Path) -> None:
    kept = Kept(None)
    for number in range(MOST_FILES + 1):
        kept.put(str(number), "s", b"x")
    assert kept.get("0", "s") is None
    assert kept.get("1", "s") == b"x"
