"""Where an app's older log lines are kept, which its streams no longer hold: its environment's Log Analytics workspace."""

from __future__ import annotations

from sidecar.gateway import apps
from sidecar.gateway.place import AppPlace
from sidecar.gateway.translation import translated
from sidecar.words.text import Text

LOG_ANALYTICS = "log-analytics"


def workspace_of(place: AppPlace, environment_id: str) -> str | None:
    """The id by which the workspace is queried; None for an environment that sends its logs elsewhere, or nowhere."""
    parts = environment_id.strip("/").split("/")
    if len(parts) < 8:
        return None
    group, name = parts[3], parts[7]
    with translated(Text("Reading the environment {name}", name=name)), apps.client_of(place) as client:
        found = client.managed_environments.get(group, name)
    logs = None if found.properties is None else found.properties.app_logs_configuration
    if logs is None or logs.destination != LOG_ANALYTICS or logs.log_analytics_configuration is None:
        return None
    return str(logs.log_analytics_configuration.customer_id or "") or None
