"""Runtime: every container app of the cloud at work. GPUs are counted over all of them."""

import asyncio

import psutil

from sidecar.localcloud.runtime.app_runtime import AppRuntime
from sidecar.localcloud.runtime.assembly import Surroundings


class Runtime:
    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self._apps: dict[str, AppRuntime] = {}

    def app(self, app_id: str) -> AppRuntime:
        """The runtime of an app, started if it was not."""
        key = app_id.lower()
        if key not in self._apps:
            self._apps[key] = AppRuntime(app_id, self.around, self.gpus_in_use)
            self._apps[key].start()
        return self._apps[key]

    async def remove(self, app_id: str) -> None:
        if found := self._apps.pop(app_id.lower(), None):
            await found.stop()

    def gpus_in_use(self, location: str, row: str) -> int:
        return sum(app.gpus(location, row) for app in self._apps.values())

    def processes(self) -> list[int]:
        """Ids of every process of every replica."""
        if not any(app.replicas for app in self._apps.values()):
            return []
        return [process.pid for process in psutil.Process().children(recursive=True)]

    @property
    def busy_at(self) -> float:
        """When (time.monotonic) the ingress of any app was last used."""
        return max((app.busy_at for app in self._apps.values()), default=0.0)

    async def stop(self) -> None:
        running, self._apps = list(self._apps.values()), {}
        await asyncio.gather(*(app.stop() for app in running))
