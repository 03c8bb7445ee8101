"""`npm run contract -- fuzz`: generated requests for every Swagger operation that the local cloud covers; no 500, no hang."""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.contract.localcloud.conftest import QUICK, World, start_cloud
from tests.contract.localcloud.replay import SPECS

FILES = (
    "app/resource-manager/Microsoft.App/stable/2024-03-01/ContainerApps.json",
    "app/resource-manager/Microsoft.App/stable/2024-03-01/ContainerAppsRevisions.json",
    "app/resource-manager/Microsoft.App/stable/2024-03-01/ManagedEnvironments.json",
    "app/resource-manager/Microsoft.App/stable/2024-03-01/ManagedEnvironmentsStorages.json",
    "app/resource-manager/Microsoft.App/stable/2024-03-01/Usages.json",
    "app/resource-manager/Microsoft.App/stable/2024-03-01/AvailableWorkloadProfiles.json",
    "resources/resource-manager/Microsoft.Resources/stable/2024-07-01/resources.json",
    "resources/resource-manager/Microsoft.Resources/stable/2022-12-01/subscriptions.json",
    "storage/resource-manager/Microsoft.Storage/stable/2023-05-01/storage.json",
    "storage/resource-manager/Microsoft.Storage/stable/2023-05-01/file.json",
    "operationalinsights/resource-manager/Microsoft.OperationalInsights/stable/2023-09-01/Workspaces.json",
    "operationalinsights/resource-manager/Microsoft.OperationalInsights/stable/2023-09-01/SharedKeys.json",
)
SLOWEST = 10


@dataclass
class Outcome:
    operations: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def main() -> int:
    try:
        import schemathesis  # pyright: ignore[reportMissingImports]  # noqa: PLC0415  (installed for this command alone)
    except ImportError:
        print("pip install schemathesis==4.32.5 into .venv first: it is used for this only")
        return 1

    if not SPECS.exists():
        print("the Swagger files are not beside the project (../shared/azure-specs)")
        return 1
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        world = start_cloud(Path(folder), settings=QUICK)
        world.register()
        world.groups.resource_groups.create_or_update("fuzz", {"location": "westus3"})
        with world.http() as http:
            for name in FILES:
                for found in schemathesis.openapi.from_path(SPECS / "specification" / name).get_all_operations():
                    operation: Any = found.ok()
                    outcome.operations += 1
                    _fuzz(
                        operation,
                        examples,
                        lambda case, operation=operation: _send(world, http, operation, case, outcome),
                    )
        alive = world.process.poll() is None
        log = (world.state / "logs" / "localcloud.log").read_text()
        world.stop()
    by_status = dict(sorted(outcome.counts.items()))
    print(f"{outcome.operations} operations, {sum(by_status.values())} requests, by status {by_status}")
    for problem in outcome.problems[:20]:
        print(problem)
    if outcome.problems:
        print(log[-4000:])
    return 0 if alive and not outcome.problems and outcome.operations else 1


def _fuzz(operation: Any, examples: int, send: Callable[[Any], None]) -> None:
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415  (it came with schemathesis)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        send(case)

    ask()


def _send(world: World, http: httpx.Client, operation: Any, case: Any, outcome: Outcome) -> None:
    path = operation.path
    ours = {"subscriptionId": world.subscription, "resourceGroupName": "fuzz"}
    for parameter, value in (case.path_parameters or {}).items():
        path = path.replace("{" + parameter + "}", _quoted(ours.get(parameter, str(value))))
    query = {key: str(value) for key, value in (case.query or {}).items()} | {"api-version": "2024-03-01"}
    body = case.body if isinstance(case.body, dict | list | str | int | float | bool) else None
    method, began = operation.method.upper(), time.monotonic()
    answer = http.request(method, path, params=query, json=body)
    seconds = time.monotonic() - began
    outcome.counts[answer.status_code] = outcome.counts.get(answer.status_code, 0) + 1
    if answer.status_code >= 500 or seconds > SLOWEST:
        outcome.problems.append(f"{method} {path}: {answer.status_code} in {seconds:.1f} s; {body!r:.300}")


def _quoted(text: str) -> str:
    return quote(text, safe="") or "x"


if __name__ == "__main__":
    sys.exit(main())
