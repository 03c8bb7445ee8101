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
        "e1de00d6a3fac947c22d7de91fb23a01b3ee73eb6acbae43c9c95d91c9b00fd7",
        "95805890118905e227499e7518b59798436ae59b4b477da4e4d9d5c4b274c497",
        "014a7a54aafb64beae068c63ba3afa2e637801fb6f80627266fd9bc8a744595a",
        "87c63f4b59c2f7f77bcd66b24ffd1845f42aaa169dfe718f60b9456554b48d63",
        "a5bdbf4900a99b081b97215e6e7eb40043e63c48bf0a59133fb2a1958e53dd9e",
        "d2b1cd29c1db8c93d03cbb69d85edbef31ef77d3e15d868ab8c71e51ca8fbbbc",
        "62e48db2b40a9d6c1a357b26d8e1e7268b5b723ad2d91972de8b7edc3b0e5982",
        "21c85a37f9275809f46241f6776e913ef2234e8827118332d939ad8514379813",
        "a83fc28ac30d2268c512c4e8c730077202435f1e42e9ee4ff60f4a652340e913",
        "669e48af60a6e9e4292666c20dcfee82fd2a85c2e27685c74886fddaff1748e4",
        "ae20662d088ee012071f1aba6c1138e35575836aaed55708688d40e449e1c5d3",
        "9ad82e6bcd4badd526b6b48acc630214b7b476021dbd8c12503f752a11b3bdb1",
        "f833db53d6d874cea2fc3362a27f9b5606f6442127795f7e7d4a7cddfbd5e922",
        "d8c6fa0a60ecd71a54be8655d9d2c8bc4e44211e53b456ca380426c5969bf130",
        "70ea5deda00a3c0dcc7238175b6d0ec09704c23c6992ab2565449e520412ece4",
        "7a76026fada3dd8f7a656518054131e6e354eb297e94e45a9ed396b399e25188",
        "434743670f2bda4cbf3d9870c6ed8bcf0221eaaa84dda1934683a1a36aa2b4d7",
        "c17960c3968404a778cb92c3ef7aae3c74e29abaf79a729878e6ee1089125d1e",
        "5abcfb4b16f04d67ee49cc5739e18571e7bd43261bc357c09a9aaa38d4e73b1d",
        "98470f4bd4ad4e7e70810f6bf35083fdcb9db3a52fb762104cb89920de83848f",
    }
)
"""SHA-256 of every bootstrap that a template of ours has held before. Another one was written by hand and is left alone."""

PRESENT_START = "3931363f2131662a85bbeed0a95507634d2b00913ed791e78033f8550f2277f9"
"""SHA-256 of the bootstrap that the template holds now. When it is changed, `npm run fix` moves this into OLDER_STARTS."""

DEPLOY_KEY = "SLIPWAY_DEPLOY_KEY"

OF_THE_START = (DEPLOY_KEY, "SLIPWAY_PROBE_PORT")
"""Variables that the start reads and the person's code does not: they come and go with it."""

BOOTSTRAP_AT = 2
"""`python3 -c <bootstrap>`."""


def has_older_start(app: App) -> bool:
    return is_ours(app) and len(app.command) > BOOTSTRAP_AT and digest_of(app.command[BOOTSTRAP_AT]) in OLDER_STARTS


def has_present_start(app: App) -> bool:
    return is_ours(app) and len(app.command) > BOOTSTRAP_AT and digest_of(app.command[BOOTSTRAP_AT]) == PRESENT_START


def digest_of(bootstrap: str) -> str:
    return hashlib.sha256(bootstrap.encode()).hexdigest()


def with_present_start(actual: Mapping[str, Any], shipped: Mapping[str, Any]) -> dict[str, Any]:
    """The app's template with the start of the shipped one, its probes, and the variables that it needs; commands, other
    variables, image and scale stay."""
    bootstrap, probes = shipped["variables"]["bootstrap"], _probes(shipped)
    changed = copy.deepcopy(dict(actual))
    first = changed["containers"][0]
    first["command"] = [*first["command"][:BOOTSTRAP_AT], bootstrap]
    first["probes"] = probes
    first["env"] = [*_others(first.get("env")), *_variables(shipped)]
    return changed


def deploy_secret(template: Mapping[str, Any]) -> str | None:
    """The secret that a start takes its deploy key from; None for one that takes none."""
    containers: list[Mapping[str, Any]] = template.get("containers") or []
    variables: list[Mapping[str, Any]] = (containers[0].get("env") or []) if containers else []
    found = next((each.get("secretRef") for each in variables if each.get("name") == DEPLOY_KEY), None)
    return None if found is None else str(found)


def differ_in_start_alone(former: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    """Whether one template is the other with another start: then nobody has changed anything else since."""
    return _start(former) != _start(present) and _without_start(former) == _without_start(present)


def _start(template: Mapping[str, Any]) -> Any:
    containers: list[Mapping[str, Any]] = template.get("containers") or []
    return containers[0].get("command") if containers else None


def _without_start(template: Mapping[str, Any]) -> dict[str, Any]:
    containers: list[Mapping[str, Any]] = template.get("containers") or []
    kept = [
        {**{key: each[key] for key in each if key not in ("command", "probes")}, "env": _others(each.get("env"))}
        for each in containers
    ]
    rest = {key: value for key, value in template.items() if key != "revisionSuffix"}
    return {**rest, "containers": kept}


def _others(variables: list[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    return [each for each in variables or [] if each.get("name") not in OF_THE_START]


def _variables(shipped: Mapping[str, Any]) -> list[Any]:
    """One that depends on a parameter as a whole stands there as an expression, and is none of the start's."""
    env: list[Any] = _first(shipped)["env"]
    return [each for each in env if not isinstance(each, str) and each["name"] in OF_THE_START]


def _probes(shipped: Mapping[str, Any]) -> Any:
    return _first(shipped)["probes"]


def _first(shipped: Mapping[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(shipped["resources"]["app"]["properties"]["template"]["containers"][0])
