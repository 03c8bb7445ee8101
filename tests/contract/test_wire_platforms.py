"""The JSON-RPC door where the local cloud can't run: what VS Code is told to offer, and what comes of naming it all the same.

A Python without what Windows lacks stands in for one there, as in the unit tests of platforms.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.test_wire import Client
from tests.unit.sidecar.test_platforms import WITHOUT

SERVE = "sys.argv = ['sidecar', 'serve']; runpy.run_module('sidecar', run_name='__main__', alter_sys=True)"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    client = Client(tmp_path / "state", "-c", WITHOUT + SERVE)
    yield client
    client.process.kill()
    client.process.wait()


def test_vs_code_is_offered_azure_alone(client: Client, tmp_path: Path) -> None:
    """The picker asks the clouds that this answer names, and no others."""
    answer = client.ask("slipway/workspace", {"folder": str(tmp_path)})
    assert answer["result"]["clouds"] == ["azure"]


def test_the_setting_that_names_the_local_cloud_is_answered_with_where_it_runs(client: Client) -> None:
    answer = client.ask("slipway/subscriptions", {"cloud": "local"})
    assert "it needs Linux, or macOS on Apple silicon" in str(answer["error"])
