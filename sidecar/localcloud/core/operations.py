"""Long-running operations: what happens after a 201 or 202, and what their status URLs answer."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable

from sidecar.localcloud.core.clock import utc_now
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.state import Resource, Store

log = logging.getLogger(__name__)
_KEPT = 300


class Operations:
    """Runs the rest of a request in the background and remembers how it ended, also across a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._begun: set[asyncio.Future[None]] = set()

    def start(self, resource_id: str, finish: Callable[[], Awaitable[None]]) -> Resource:
        """Begins `finish`; the operation's record is found again by its name."""
        operation = self._record(str(uuid.uuid4()), {"status": "InProgress", "resourceId": resource_id})
        self._tasks[operation.name] = asyncio.create_task(self._run(operation, finish))
        self._forget_old()
        return operation

    async def complete(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Waits for `finish`, which goes on when who waits is cancelled: a provider ends what it has begun."""
        begun = asyncio.ensure_future(finish())
        self._begun.add(begun)
        begun.add_done_callback(self._begun.discard)
        await asyncio.shield(begun)

    def adopt(self, resource_id: str, finish: Callable[[], Awaitable[None]]) -> None:
        """Runs `finish` again after a restart, for the operations on this resource that were cut off."""
        cut_off = [
            operation
            for operation in self._all()
            if operation.body["resourceId"].lower() == resource_id.lower() and operation.body["status"] == "InProgress"
        ]
        operation = cut_off[-1] if cut_off else self._record(str(uuid.uuid4()), {"resourceId": resource_id})
        self._tasks[operation.name] = asyncio.create_task(self._run(operation, finish))

    def end_cut_off(self) -> None:
        """After a restart: what nobody took up again has failed, and says so to who still polls."""
        for operation in self._all():
            if operation.body.get("status") == "InProgress" and operation.name not in self._tasks:
                message = "The local cloud was stopped while this operation ran. Repeat the request."
                error = {"code": "OperationCutOff", "message": message}
                self._record(
                    operation.name, {**operation.body, "status": "Failed", "error": error, "endTime": utc_now()}
                )

    def get(self, name: str) -> Resource | None:
        return self._store.get(f"/operations/{name}")

    @property
    def running(self) -> int:
        return len(self._tasks) + len(self._begun)

    async def stop(self) -> None:
        """Cuts off what runs; it stays InProgress on disk and is adopted by the next start."""
        for task in [*self._tasks.values(), *self._begun]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, operation: Resource, finish: Callable[[], Awaitable[None]]) -> None:
        outcome: Json = {"status": "Succeeded"}
        try:
            await finish()
        except ArmError as error:
            outcome = {"status": "Failed", "error": error.body()}
        except asyncio.CancelledError:
            self._tasks.pop(operation.name, None)
            raise
        except Exception:
            # The boundary of a background task: whatever broke is told to who polls, with its trace in the log.
            log.exception("operation %s failed", operation.name)
            outcome = {
                "status": "Failed",
                "error": {"code": "InternalServerError", "message": "Internal server error."},
            }
        finally:
            self._tasks.pop(operation.name, None)
        self._record(operation.name, {**operation.body, **outcome, "endTime": utc_now()})

    def _record(self, name: str, body: Json) -> Resource:
        record = {"startTime": utc_now(), **body}
        return self._store.put(Resource(f"/operations/{name}", "operation", record))

    def _all(self) -> list[Resource]:
        return self._store.under("/operations", "operation")

    def _forget_old(self) -> None:
        for operation in self._all()[:-_KEPT]:
            if operation.name not in self._tasks:
                self._store.delete(operation.id)
