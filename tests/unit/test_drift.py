"""What `npm run fix` writes and `npm run check` refuses, where that is more than a file made again."""

from __future__ import annotations

from sidecar.decisions.upgrade import OLDER_STARTS, PRESENT_START, digest_of
from tests.drift import START_FILES, START_FOLDER, UPGRADE, container_start, start_problems, starts_in, with_start

UPGRADES = UPGRADE.read_text(encoding="utf-8")
START = container_start()


def test_the_starts_of_apps_are_read_as_the_product_has_them() -> None:
    present, older = starts_in(UPGRADES)
    assert present == PRESENT_START == digest_of(START)
    assert set(older) == OLDER_STARTS


def test_a_changed_bootstrap_is_refused_until_the_one_before_is_among_the_older() -> None:
    """An app that an older Slipway made would otherwise be taken for one whose start was written by hand."""
    changed = START + "# changed\n"
    assert start_problems(UPGRADES, START) == []
    assert start_problems(UPGRADES, changed) != []
    fixed = with_start(UPGRADES, changed, PRESENT_START)
    assert start_problems(fixed, changed) == []
    assert starts_in(fixed) == (digest_of(changed), [*starts_in(UPGRADES)[1], PRESENT_START])


def test_a_start_that_was_only_tried_and_one_that_comes_back_are_no_older_ones() -> None:
    tried = with_start(UPGRADES, START + "# tried\n", PRESENT_START)
    final = with_start(tried, START + "# final\n", PRESENT_START)
    assert starts_in(final)[1] == [*starts_in(UPGRADES)[1], PRESENT_START]
    assert with_start(tried, START, PRESENT_START) == UPGRADES


def test_nothing_is_written_where_nothing_changed() -> None:
    assert with_start(UPGRADES, START, PRESENT_START) == UPGRADES


def test_the_containers_start_is_all_of_its_files_and_imports_none_of_them() -> None:
    """It is given to `python3 -c` as one text, where there is no folder of ours; one argument may have 128 KiB on Linux."""
    there = {each.stem for each in START_FOLDER.glob("*.py")}
    assert there == set(START_FILES)
    assert "infra." not in START
    assert all(f"# {name}.py: " in START for name in START_FILES[:-1])
    assert len(START.encode()) < 100 << 10
