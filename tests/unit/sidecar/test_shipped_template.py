"""The shipped template beside what Microsoft's compiler and engine made of an older one: what differs was meant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.armlang.bicep import made_of
from sidecar.core.bicep_files import Folder
from tests.support.bicep_corpus import corpus
from tests.support.bicep_measures import shipped
from tests.support.bicep_snapshots import Refused, by_id, same_refusal, snapshot

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "infra" / "provision"
APP = "Microsoft.App/containerApps"
CHANGED = {
    rf"{APP} properties\.template\.containers\.0\.(command|args|env|probes)\..*": "the container's start is another",
    rf"{APP} properties\.configuration\.secrets\.[123]\..*": "the deploy key, a registry's password, a hub's token",
    rf"{APP} properties\.configuration\.registries.*": "registries that want a login",
    rf"{APP} identity.*": "an identity that pulls the image",
    r"Microsoft.OperationalInsights/workspaces (?!properties).*": "a workspace that is there is not made again",
    r"Microsoft.OperationalInsights/workspaces properties\..*": "the same",
}
"""What later orders changed of the template that Microsoft's engine evaluated, by the place in a resource."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            yield from leaves(each, f"{path}.{key}" if path else str(key))
        if not value:
            yield path, value
    else:
        yield path, value


def places(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in by_id(made).items():
        kind = value["type"] if key.startswith("resource") else key
        found |= {f"{kind} {path}": each for path, each in leaves(value)}
    return found


def cases() -> list[dict[str, Any]]:
    return json.loads((corpus() / "templates" / "shipped.json").read_text(encoding="utf-8"))["evaluations"]


def test_what_it_makes_differs_only_in_what_was_changed_on_purpose() -> None:
    template = json.loads((FOLDER / "inference.json").read_text(encoding="utf-8"))
    differing: set[str] = set()
    keys = 0
    for case in cases():
        if "error" in case:
            with pytest.raises(Refused) as refused:
                snapshot(template, case["parameters"])
            assert same_refusal(str(refused.value), case["error"])
            continue
        ours = places(snapshot(template, case["parameters"]))
        theirs = places(case["snapshot"])
        differing |= {each for each in ours.keys() | theirs.keys() if ours.get(each) != theirs.get(each)}
        key = "Microsoft.App/managedEnvironments/storages properties.azureFile.accountKey"
        keys += key in ours and ours[key] == theirs[key]
    assert sorted(each for each in differing if not any(re.fullmatch(one, each) for one in CHANGED)) == []
    assert [one for one in CHANGED if not any(re.fullmatch(one, each) for each in differing)] == []
    assert keys > 25  # the share's key is asked of the same account, in other words


@pytest.mark.parametrize("account", [True, False])
@pytest.mark.parametrize("environment", [True, False])
def test_the_share_is_mounted_whatever_is_there_already(account: bool, environment: bool) -> None:
    template = json.loads((FOLDER / "inference.json").read_text(encoding="utf-8"))
    stated = {"createStorageAccount": account, "createEnvironment": environment, "createFileShare": False}
    names = {"storageAccountName": "theirs", "acaEnvironmentName": "env", "acaEnvironmentStorageName": "mount"}
    made = by_id(snapshot(template, {**stated, **names, "apiKey": "k", "deployKey": "d"}))
    resources = [each for key, each in made.items() if key.startswith("resource")]
    (mount,) = [each for each in resources if each["type"].endswith("/storages")]
    assert mount["name"] == "env/mount"
    assert "/storageAccounts/theirs'" in mount["properties"]["azureFile"]["accountKey"]
    assert mount["properties"]["azureFile"]["accountKey"].lower().startswith("[listkeys(")
    assert any(each["type"] == "Microsoft.Storage/storageAccounts" for each in resources) is account


def test_the_linter_s_two_warnings_are_told_of_the_older_one_and_no_longer() -> None:
    """At 2b04a2e the official linter tells these two places."""
    old = made_of("inference.bicep", shipped(), Folder(FOLDER, FOLDER)).warnings
    places = [(each.line, each.column, each.code, each.kind) for each in old]
    assert places == [
        (237, 9, "use-parent-property", "warning"),
        (241, 19, "use-resource-symbol-reference", "warning"),
    ]
    now = made_of("inference.bicep", (FOLDER / "inference.bicep").read_text(encoding="utf-8"), Folder(FOLDER, FOLDER))
    assert now.warnings == ()
