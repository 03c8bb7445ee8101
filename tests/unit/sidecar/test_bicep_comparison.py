"""The comparison of templates by meaning: what is written otherwise is the same, and every change of what is done is seen."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.bicep_corpus import corpus
from tests.support.bicep_meaning import differences

Template = dict[str, Any]
Change = Callable[[Template], Iterator[Template]]


def official() -> dict[str, Template]:
    files = sorted((corpus() / "golden").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def resources(template: Template) -> list[Template]:
    stated = template["resources"]
    return list(stated.values()) if isinstance(stated, dict) else stated


def of_resources(change: Callable[[Template], bool]) -> Change:
    """The template once for each resource that can be changed so, an existing one apart: nothing is done with it."""

    def changed(template: Template) -> Iterator[Template]:
        for place in range(len(resources(template))):
            other = copy.deepcopy(template)
            entry = resources(other)[place]
            if not entry.get("existing") and change(entry):
                yield other

    return changed


def another_version(entry: Template) -> bool:
    entry["apiVersion"] = "2001-01-01"
    return entry["type"] != "Microsoft.Resources/deployments"


def never_made(entry: Template) -> bool:
    entry["condition"] = "[equals(1, 2)]"
    return "copy" not in entry and entry["type"] != "Microsoft.Resources/deployments"


def another_name(entry: Template) -> bool:
    entry["name"] = f"[concat({entry['name'][1:-1]}, 'x')]" if entry["name"].startswith("[") else f"{entry['name']}x"
    return True


def no_wait(entry: Template) -> bool:
    # What a resource reads it waits for, whether it says so or not.
    return bool(entry.pop("dependsOn", None)) and not any(mark in str(entry) for mark in ("reference(", "list"))


def another_value(entry: Template) -> bool:
    return changed_leaf(entry.get("properties")) if entry["type"] != "Microsoft.Resources/deployments" else False


def another_loop(entry: Template) -> bool:
    if "copy" not in entry:
        return False
    count = entry["copy"]["count"]
    entry["copy"]["count"] = f"[add({count[1:-1]}, 1)]" if isinstance(count, str) else count + 1
    return True


def changed_leaf(value: Any) -> bool:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, each in list(pairs):
        if isinstance(each, str) and not each.startswith("["):
            value[key] = f"{each}x"
            return True
        if isinstance(each, bool) or changed_leaf(each):
            value[key] = (not each) if isinstance(each, bool) else each
            return True
    return False


def of_sections(section: str, change: Callable[[Template], bool]) -> Change:
    def changed(template: Template) -> Iterator[Template]:
        for name in template.get(section, {}):
            other = copy.deepcopy(template)
            if change(other[section][name]):
                yield other

    return changed


def another_default(entry: Template) -> bool:
    default = entry.get("defaultValue")
    entry["defaultValue"] = f"{default}x" if isinstance(default, str) else [default]
    return default is not None and not (isinstance(default, str) and default.startswith("["))


def without(name: str) -> Callable[[Template], bool]:
    return lambda entry: entry.pop(name, None) is not None


def another_output(entry: Template) -> bool:
    value = entry.get("value")
    if not isinstance(value, str) or entry.get("type") != "string":
        return False
    entry["value"] = f"[concat({value[1:-1]}, 'x')]" if value.startswith("[") else f"{value}x"
    return True


CHANGES: dict[str, Change] = {
    "another api version": of_resources(another_version),
    "never made": of_resources(never_made),
    "another name": of_resources(another_name),
    "nothing waited for": of_resources(no_wait),
    "another value": of_resources(another_value),
    "one copy more": of_resources(another_loop),
    "another default": of_sections("parameters", another_default),
    "no limit": of_sections("parameters", without("maxLength")),
    "no allowed values": of_sections("parameters", without("allowedValues")),
    "no description": of_sections(
        "parameters", lambda entry: entry.get("metadata", {}).pop("description", None) is not None
    ),
    "another output": of_sections("outputs", another_output),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_what_a_template_does_is_seen(change: str):
    seen = 0
    for name, template in official().items():
        for number, changed in enumerate(CHANGES[change](template)):
            seen += 1
            assert differences(changed, template), f"{name} {number}"
    assert seen > 0


def test_the_order_of_keys_and_the_generator_do_not_count():
    for name, template in official().items():
        other = json.loads(json.dumps({**template, "metadata": {}}))
        assert differences({key: other[key] for key in reversed(other)}, template) == [], name


def test_another_way_of_writing_what_is_read_is_the_same():
    template = official()["01-minimal-app"]
    other = json.loads(
        json.dumps(template).replace("[format('https://{0}', reference", "[concat('https://', reference")
    )
    assert other != template
    assert differences(other, template) == []
