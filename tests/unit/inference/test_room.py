"""Whether a second server fits beside this one: what is counted, and from where."""

from pathlib import Path

import pytest

from inference.room import GROUPS, free_in_group, on_cpu, on_gpu, second_on_gpu

GB = 10**9
V2 = "0::/box\n"
V1 = "12:cpu,cpuacct:/box\n5:memory:/box\n0::/box\n"


def group(folder: Path, limit: str, used: int, stat: str, *, older: bool = False) -> Path:
    place = folder / "memory" / "box" if older else folder / "box"
    place.mkdir(parents=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if older else ("memory.max", "memory.current")
    (place / names[0]).write_text(f"{limit}\n")
    (place / names[1]).write_text(f"{used}\n")
    (place / "memory.stat").write_text(stat)
    return folder


def own(folder: Path, text: str) -> Path:
    (folder / "cgroup").write_text(text)
    return folder / "cgroup"


def test_a_container_may_have_less_than_its_machine(tmp_path: Path):
    """What is only cached is given back when it is needed."""
    stat = f"anon {3 * GB}\ninactive_file {2 * GB}\n"
    assert free_in_group(group(tmp_path, str(8 * GB), 5 * GB, stat), own(tmp_path, V2)) == 5 * GB


def test_the_older_kind_of_control_groups_is_read_as_well(tmp_path: Path):
    stat = f"inactive_file 1\ntotal_inactive_file {GB}\n"
    assert free_in_group(group(tmp_path, str(8 * GB), 5 * GB, stat, older=True), own(tmp_path, V1)) == 4 * GB


@pytest.mark.parametrize(("limit", "older"), [("max", False), (str(0x7FFFFFFFFFFFF000), True)])
def test_no_limit_is_none(tmp_path: Path, limit: str, older: bool):
    folder = group(tmp_path, limit, GB, "inactive_file 0\n", older=older)
    assert free_in_group(folder, own(tmp_path, V1 if older else V2)) is None


def test_where_there_are_no_control_groups_the_machine_counts(tmp_path: Path):
    assert free_in_group(tmp_path, tmp_path / "cgroup") is None
    assert free_in_group(tmp_path, own(tmp_path, "")) is None


def test_this_process_can_be_looked_at():
    found = free_in_group(GROUPS, Path("/proc/self/cgroup"))
    assert found is None or isinstance(found, int)


def test_the_second_needs_what_the_first_holds_and_a_little():
    assert on_cpu(free=3 * GB, taken=2 * GB).fits is True
    assert on_cpu(free=2 * GB, taken=2 * GB).fits is False
    assert on_cpu(free=2 * GB, taken=2 * GB).why == (
        "a second server needs about 2.5 GB of memory, and 2.0 GB are free"
    )


def test_on_a_gpu_a_cache_without_a_bound_leaves_no_room():
    """It takes what the weights leave; a second one would be smaller for good, and nobody would know."""
    found = on_gpu(kv_bytes=0)
    assert found.fits is False
    assert "SLIPWAY_KV_BYTES" in found.why


def test_on_a_gpu_a_bounded_cache_may_leave_room():
    assert second_on_gpu(free=9 * GB, taken=7 * GB).fits is True
    assert second_on_gpu(free=8 * GB, taken=7 * GB).fits is False
