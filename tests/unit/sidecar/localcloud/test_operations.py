"""Operations and the store: how they end, what a restart makes of them, what is on disk."""

import asyncio
import json
from pathlib import Path

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.operations import Operations
from sidecar.localcloud.core.state import Resource, StateError, Store


async def _forever() -> None:
    await asyncio.Event().wait()


async def _refused() -> None:
    raise ArmError(409, "InUse", "it is in use")


def test_an_operation_ends_with_its_error(tmp_path: Path):
    async def run() -> Resource | None:
        operations = Operations(Store(tmp_path))
        name = operations.start("/r", _refused).name
        while operations.running:
            await asyncio.sleep(0)
        return operations.get(name)

    ended = asyncio.run(run())
    assert ended
    assert ended.body["status"] == "Failed"
    assert ended.body["error"] == {"code": "InUse", "message": "it is in use"}


def test_an_operation_cut_off_has_failed_after_the_restart(tmp_path: Path):
    async def first() -> str:
        operations = Operations(Store(tmp_path))
        name = operations.start("/r", _forever).name
        await asyncio.sleep(0)
        await operations.stop()
        return name

    async def second(name: str) -> Resource | None:
        operations = Operations(Store(tmp_path))
        found = operations.get(name)
        assert found
        assert found.body["status"] == "InProgress"
        operations.end_cut_off()
        return operations.get(name)

    ended = asyncio.run(second(asyncio.run(first())))
    assert ended
    assert ended.body["error"]["code"] == "OperationCutOff"


def test_a_store_is_read_back_as_it_was_written(tmp_path: Path):
    store = Store(tmp_path)
    kept = store.put(Resource("/A/b", "t", {"properties": {"x": 1}}, {"secret": "s"}))
    store.put(Resource("/a/B/c", "t", {}))
    assert Store(tmp_path).get("/a/B") == kept
    store.delete("/a/b")
    assert list(Store(tmp_path)) == []


def test_a_half_written_file_is_dropped_and_a_strange_one_is_named(tmp_path: Path):
    Store(tmp_path).put(Resource("/a", "t", {}))
    (tmp_path / "resources" / "x.part").write_text("{")
    assert len(list(Store(tmp_path))) == 1
    (tmp_path / "resources" / "y.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(StateError, match=r"y\.json"):
        Store(tmp_path)
