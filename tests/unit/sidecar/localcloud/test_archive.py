"""The local cloud's Log Analytics: what is kept of an app's lines, from when on it is found, and that it outlives the app."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidecar.localcloud.core.settings import Times
from sidecar.localcloud.core.state import Resource, Store
from sidecar.localcloud.runtime.archive import Archive, rows_of
from sidecar.localcloud.runtime.logs import Event, Events, Line, Log, console_time

GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App"
APP, ENVIRONMENT = f"{GROUP}/containerApps/my-app", f"{GROUP}/managedEnvironments/env"
WORKSPACE = "0c5e3f5e-0000-4000-8000-000000000000"
CONSOLE, SYSTEM = "ContainerAppConsoleLogs_CL", "ContainerAppSystemLogs_CL"
LOGS: dict[str, Any] = {"destination": "log-analytics", "logAnalyticsConfiguration": {"customerId": WORKSPACE}}


def archive(folder: Path, logs: dict[str, Any], times: Times) -> Archive:
    store = Store(folder)
    environment: dict[str, Any] = {"id": ENVIRONMENT, "properties": {"appLogsConfiguration": logs}}
    store.put(Resource(ENVIRONMENT, "Microsoft.App/managedEnvironments", environment))
    app: dict[str, Any] = {"id": APP, "properties": {"managedEnvironmentId": ENVIRONMENT}}
    store.put(Resource(APP, "Microsoft.App/containerApps", app))
    return Archive(folder, store, APP, times)


def test_lines_and_events_are_found_under_the_columns_that_azure_has(tmp_path: Path) -> None:
    kept = archive(tmp_path, LOGS, Times(scale=0))
    Log(tmp_path / "c.log", kept.console("my-app--1", "my-app--1-x", "app")).write("stderr", "it's ü\r")
    Events("my-app", tmp_path / "s.log", kept.system).report(Event("PulledImage", "Pulled", "my-app--1", "my-app--1-x"))
    (line,), (event,) = rows_of(tmp_path, WORKSPACE, CONSOLE), rows_of(tmp_path, WORKSPACE.upper(), SYSTEM)
    assert (line["Log_s"], line["Stream_s"], line["ContainerGroupName_s"]) == ("it's ü\r", "stderr", "my-app--1-x")
    assert isinstance(line["_timestamp_d"], float)
    assert (event["Log_s"], event["Reason_s"], event["ReplicaName_s"]) == ("Pulled", "PulledImage", "my-app--1-x")
    assert {line["ContainerAppName_s"], event["ContainerAppName_s"]} == {"my-app"}
    assert "_timestamp_d" not in event


def test_a_line_is_not_found_at_once(tmp_path: Path) -> None:
    """Two minutes after its writing a query finds nothing of it, on Azure."""
    kept = archive(tmp_path, LOGS, Times(scale=1))
    kept.console("my-app--1", "r", "app")(Line(console_time(), "stdout", "said"))
    assert rows_of(tmp_path, WORKSPACE, CONSOLE) == []


def test_what_is_kept_outlives_the_app_and_nothing_is_kept_for_who_has_no_workspace(tmp_path: Path) -> None:
    kept = archive(tmp_path, LOGS, Times(scale=0))
    kept.console("my-app--1", "r", "app")(Line(console_time(), "stdout", "said"))
    kept.store.delete(APP)
    kept.console("my-app--1", "r", "app")(Line(console_time(), "stdout", "after its end"))
    assert [each["Log_s"] for each in rows_of(tmp_path, WORKSPACE, CONSOLE)] == ["said"]
    for number, logs in enumerate(
        ({"destination": "azure-monitor"}, {"destination": None}, LOGS | {"destination": ""})
    ):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        archive(folder, logs, Times(scale=0)).console("a", "r", "app")(Line(console_time(), "stdout", "said"))
        assert not (folder / "archive").exists(), json.dumps(logs)
