"""`npm run contract -- fuzz`: generated requests for every Swagger operation that the local cloud covers; no 500, no hang."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.contract.localcloud.conftest import QUICK, start_cloud
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


def main() -> int:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings

    if not SPECS.exists():
        print("the Swagger files are not beside the project (../shared/azure-specs)")
        return 1
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        world = start_cloud(Path(folder), settings=QUICK)
        world.register()
        world.groups.resource_groups.create_or_update("fuzz", {"location": "westus3"})
        counts: dict[int, int] = {}
        problems: list[str] = []
        operations = 0
        with world.http() as http:
            for name in FILES:
                schema = schemathesis.openapi.from_path(SPECS / "specification" / name)
                for found in schema.get_all_operations():
                    operation: Any = found.ok() if hasattr(found, "ok") else found
                    operations += 1

                    @settings(
                        max_examples=examples,
                        deadline=None,
                        database=None,
                        derandomize=True,
                        phases=[Phase.generate],
                        suppress_health_check=list(HealthCheck),
                    )
                    @given(case=operation.as_strategy())
                    def ask(case: Any, operation: Any = operation) -> None:
                        path = operation.path
                        for parameter, value in (case.path_parameters or {}).items():
                            chosen = {"subscriptionId": world.subscription, "resourceGroupName": "fuzz"}.get(parameter, str(value))
                            path = path.replace("{" + parameter + "}", _quoted(chosen))
                        query = {key: str(value) for key, value in (case.query or {}).items()} | {"api-version": "2024-03-01"}
                        body = case.body if isinstance(case.body, dict | list | str | int | float | bool) else None
                        began = time.monotonic()
                        answer = http.request(operation.method.upper(), path, params=query, json=body)
                        seconds = time.monotonic() - began
                        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
                        if answer.status_code >= 500 or seconds > SLOWEST:
                            problems.append(f"{operation.method.upper()} {path}: {answer.status_code} in {seconds:.1f} s; {body!r:.300}")

                    ask()
        alive = world.process.poll() is None
        log = (world.state / "logs" / "localcloud.log").read_text()
        world.stop()
    print(f"{operations} operations, {sum(counts.values())} requests, by status {dict(sorted(counts.items()))}")
    for problem in problems[:20]:
        print(problem)
    if problems:
        print(log[-4000:])
    return 0 if alive and not problems and operations else 1


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="") or "x"


if __name__ == "__main__":
    sys.exit(main())
