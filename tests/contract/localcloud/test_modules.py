"""What Bicep's modules compile to, deployed: loops and conditions of them, other groups, secrets that pass between them."""

import json
from typing import Any

import pytest

from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.test_deployments import Json, deploy, failure, outputs, template
from tests.contract.localcloud.test_deployments import thing as bare

VERSION = "2025-04-01"


@pytest.fixture(scope="module")
def place(world: World) -> str:
    for name in ("modules", "modules-far"):
        world.groups.resource_groups.create_or_update(name, {"location": "westus3"})
    return "modules"


def thing(name: str, properties: Json | None = None, **parts: Any) -> Json:
    """One that a list of the group shows."""
    return bare(name, properties, location="westus3", **parts)


def module(name: str, content: Json, parameters: Json | None = None, **parts: Any) -> Json:
    properties = {
        "expressionEvaluationOptions": {"scope": "inner"},
        "mode": "Incremental",
        "parameters": {key: {"value": value} for key, value in (parameters or {}).items()},
        "template": content,
    }
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": VERSION,
        "name": name,
        "properties": properties,
        **parts,
    }


GREETED = template(
    [thing("[format('made-{0}', parameters('name'))]")],
    parameters={"name": {"type": "string"}},
    outputs={
        "id": {
            "type": "string",
            "value": "[resourceId('Microsoft.Portal/dashboards', format('made-{0}', parameters('name')))]",
        },
        "where": {"type": "string", "value": "[resourceGroup().name]"},
    },
)


def made(world: World, group: str) -> set[str]:
    return {str(each.name) for each in world.groups.resources.list_by_resource_group(group)}


def test_a_loop_of_modules_one_after_the_other_and_one_that_is_not_wanted(world: World, place: str):
    off = "[equals(length(parameters('names')), 9)]"
    loop = {"name": "each", "count": "[length(parameters('names'))]", "mode": "serial", "batchSize": 1}
    content = template(
        [
            module(
                "[format('m-{0}', parameters('names')[copyIndex()])]",
                GREETED,
                {"name": "[parameters('names')[copyIndex()]]"},
                copy=loop,
            ),
            module("off", GREETED, {"name": "off"}, condition=off),
            thing("after", dependsOn=["each", "[resourceId('Microsoft.Resources/deployments', 'off')]"]),
        ],
        parameters={"names": {"type": "array"}},
        outputs={
            "ids": {
                "type": "array",
                "copy": {
                    "count": "[length(parameters('names'))]",
                    "input": "[last(split(reference(resourceId('Microsoft.Resources/deployments', format('m-{0}', "
                    f"parameters('names')[copyIndex()])), '{VERSION}').outputs.id.value, '/'))]",
                },
            }
        },
    )
    assert outputs(world, place, "looping", content, {"names": ["a", "b"]}) == {"ids": ["made-a", "made-b"]}
    assert {"made-a", "made-b", "after"} <= made(world, place)
    assert "made-off" not in made(world, place)
    assert outputs(world, place, "looping-none", content, {"names": []}) == {"ids": []}


def test_a_module_of_another_group_and_one_that_waits_for_it(world: World, place: str):
    far = f"/subscriptions/{world.subscription}/resourceGroups/modules-far"
    reference = f"reference(extensionResourceId('{far}', 'Microsoft.Resources/deployments', 'there'), '{VERSION}')"
    content = template(
        {
            "there": module("there", GREETED, {"name": "far"}, resourceGroup="modules-far"),
            "here": module("here", GREETED, {"name": "[reference('there').outputs.where.value]"}, dependsOn=["there"]),
        },
        languageVersion="2.0",
        outputs={"where": {"type": "string", "value": f"[{reference}.outputs.where.value]"}},
    )
    assert outputs(world, place, "scopes", content) == {"where": "modules-far"}
    assert "made-far" in made(world, "modules-far")
    assert "made-modules-far" in made(world, place)


def test_a_secret_output_of_a_module_is_read_by_the_deployment_around_it_alone(world: World, place: str):
    inner = template([], outputs={"secret": {"type": "securestring", "value": "hidden-word"}})
    read = f"listOutputsWithSecureValues(resourceId('Microsoft.Resources/deployments', 'key'), '{VERSION}').secret"
    content = template(
        [
            module("key", inner),
            thing(
                "uses",
                {"length": f"[length({read})]"},
                dependsOn=["[resourceId('Microsoft.Resources/deployments', 'key')]"],
            ),
        ],
        outputs={"length": {"type": "int", "value": "[reference('uses').length]"}},
    )
    assert outputs(world, place, "secrets", content) == {"length": 11}
    shown = world.deployments.deployments.get(place, "key")
    assert "hidden-word" not in json.dumps(shown.as_dict())


def test_a_name_of_nothing_is_refused_before_anything_is_made(world: World, place: str):
    content = template([thing("first-of-two"), thing("[parameters('name')]")], parameters={"name": {"type": "string"}})
    error = failure(world, place, content, {"name": ""})
    assert error.code == "InvalidTemplate"
    assert "The name property cannot be null or empty." in error.message
    assert "first-of-two" not in made(world, place)


def test_a_body_that_cannot_be_evaluated_is_refused_before_anything_is_made(world: World, place: str):
    content = template([thing("before-bad"), thing("bad", {"number": "[json('x')]"})])
    error = failure(world, place, content)
    assert (
        "The template resource 'bad' is not valid: Unable to evaluate the template language function 'json'."
        in error.message
    )
    assert "before-bad" not in made(world, place)


def test_half_a_character_leaves_the_deployment_as_its_replacement(world: World, place: str):
    content = template([], outputs={"half": {"type": "string", "value": "[first('😀')]"}})
    assert deploy(world, place, "half", content).properties.outputs == {"half": {"type": "String", "value": "\ufffd"}}
