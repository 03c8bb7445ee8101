"""An app's runtime ends when it is told to, whatever else happens in that moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sidecar.localcloud.core.settings import Settings
from sidecar.localcloud.core.state import Store
from sidecar.localcloud.runtime.app_runtime import AppRuntime
from sidecar.localcloud.runtime.assembly import Surroundings

APP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/app"
TURNS = 8
"""Of the event loop, between the news and the order to stop: more than the news takes to arrive."""


def test_an_order_to_stop_that_meets_news_is_not_lost(tmp_path: Path) -> None:
    """asyncio.wait_for of Python 3.11 takes the news and forgets that it was cancelled: the cloud then never ended."""

    async def stopped(turns: int) -> None:
        around = Surroundings(tmp_path, Settings(), Store(tmp_path), "127.0.0.1", lambda: None)
        app = AppRuntime(APP, around, lambda location, row: 0)
        app.start()
        for _ in range(TURNS):
            await asyncio.sleep(0)  # until it waits
        app.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        _, late = await asyncio.wait([asyncio.create_task(app.stop())], timeout=60)
        assert not late, f"not stopped, {turns} turns after the news"

    for turns in range(TURNS):
        asyncio.run(stopped(turns))
