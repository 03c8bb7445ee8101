"""Apps that an older Slipway provisioned: known by the start that its template put into them. Pure."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

from sidecar.decisions.serving import is_ours
from sidecar.gateway.apps import App

OLDER_STARTS = frozenset(
    {
        "6f07fd585bb463cc4ec04efe3d1f3ad586d16262cc73a6ec90ed6bc7ccf566f3",
        "4902a23d840b3fd14250d7df28e650d20bebdcbdd3778bafd93d3e6c2b1bc96d",
        "7f3459229f616a9548659621467b729a7c4321f491bee5c3650c3322db450ebc",
        "f754f8aa4f17656899917fbb8f178d7fe1c3e2a049557a899116ca0726e3a562",
    }
)
"""SHA-256 of every bootstrap that a template of ours has held before. Another one was written by hand and is left alone."""

PRESENT_START = "e1de00d6a3fac947c22d7de91fb23a01b3ee73eb6acbae43c9c95d91c9b00fd7"
"""SHA-256 of the bootstrap that the template holds now. When it is changed, `npm run fix` moves this into OLDER_STARTS."""

BOOTSTRAP_AT = 2
"""`python3 -c <bootstrap>`."""


def has_older_start(app: App) -> bool:
    return is_ours(app) and len(app.command) > BOOTSTRAP_AT and digest_of(app.command[BOOTSTRAP_AT]) in OLDER_STARTS


def digest_of(bootstrap: str) -> str:
    return hashlib.sha256(bootstrap.encode()).hexdigest()


def with_present_start(actual: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, Any]:
    """The app's template with the start and the probes of the shipped one; commands, variables, image and scale stay."""
    bootstrap, probes = shipped["variables"]["bootstrap"], _probes(shipped)
    changed = copy.deepcopy(dict(actual))
    first = changed["containers"][0]
    first["command"] = [*first["command"][:BOOTSTRAP_AT], bootstrap]
    first["probes"] = probes
    return changed


def differ_in_start_alone(former: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """Whether one template is the other with another start: then nobody has changed anything else since."""
    return _start(former) != _start(present) and _without_start(former) == _without_start(present)


def _start(template: Mapping[str, Any]) -> Any:
    containers: list[Mapping[str, Any]] = template.get("containers") or []
    return containers[0].get("command") if containers else None


def _without_start(template: Mapping[str, Any]) -> dict[str, Any]:
    containers: list[Mapping[str, Any]] = template.get("containers") or []
    kept = [{key: value for key, value in each.items() if key not in ("command", "probes")} for each in containers]
    rest = {key: value for key, value in template.items() if key != "revisionSuffix"}
    return {**rest, "containers": kept}


def _probes(shipped: Mapping[str, Any]) -> Any:
    return copy.deepcopy(shipped["resources"]["app"]["properties"]["template"]["containers"][0]["probes"])
