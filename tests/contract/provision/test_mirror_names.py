"""Property: what the check of names takes can be made on a share as it is, and what a share refuses the check has named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidecar.decisions.share_names import bad_names
from tests.contract.localcloud.conftest import World
from tests.support.plain_tree import Ground, new_account, new_ground

# Letters that meet in their case or nearly, what Windows forbids, what is no text, and ordinary ones.
ODD = 'aAbBäÄßſıİK\u212a.. :*?"<>|\\\x00\x1f\x7f\x81\ue000\udcff\u0301é𝒳~%#&+'
names = st.one_of(
    st.text(st.sampled_from(ODD), min_size=1, max_size=4),
    st.sampled_from(["CON", "con", "nul", "COM1", "com0", "LPT9", "CLOCK$", "CON.txt", "aux."]),
    st.text(st.characters(exclude_characters="/"), min_size=1, max_size=6),
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def ground(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with new_ground(world, new_account(world), tmp_path_factory.mktemp("names"), retry_total=0) as made:
        yield made


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@example({"Notes.md", "NOTES.md"})
@example({"straße", "strasse", "STRASSE1"})
@example({"k", "\u212a"})
@example({"a/b", "A"})
@given(st.sets(paths, min_size=1, max_size=4))
def test_a_set_that_is_taken_can_be_made_on_the_share_and_is_listed_as_it_is(ground: Ground, listed: set[str]) -> None:
    if any({".", ".."} & set(path.split("/")) for path in listed) or any(
        above in listed for path in listed for above in map(str, Path(path).parents)
    ):
        return  # no folder holds such a set
    root = f"n{len(list(ground.disk.iterdir()))}"
    taken = not bad_names(listed, f"{root}/")
    if taken:
        for path in sorted(listed):
            ground.share.create(f"{root}/{path}", path.encode())
        found = {
            str(each.relative_to(ground.disk / root)) for each in (ground.disk / root).rglob("*") if each.is_file()
        }
        assert found == listed
        assert all(ground.share.read(f"{root}/{path}") == path.encode() for path in listed)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(names)
def test_a_name_that_the_share_refuses_was_named_before(ground: Ground, name: str) -> None:
    if name in (".", ".."):
        return
    try:
        ground.client.get_file_client(name).create_file(0)
    except (HttpResponseError, UnicodeEncodeError):
        assert bad_names([name])
