"""What ARM refuses by reading a template alone: validate and PUT say the same, and nothing was made, not even a record."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World
from tests.contract.localcloud.test_deployments import outputs, template, thing

Json = dict[str, Any]


@pytest.fixture(scope="module")
def place(world: World) -> str:
    world.groups.resource_groups.create_or_update("templates", {"location": "westus3"})
    return "templates"


def refused(world: World, group: str, content: Json) -> str:
    """The sentence that validate and PUT both say; nothing of the template is there afterwards."""
    body: Any = {"properties": {"mode": "Incremental", "template": content}}
    said: list[str] = []
    for ask in (
        world.deployments.deployments.begin_validate,
        world.deployments.deployments.begin_create_or_update,
    ):
        with pytest.raises(HttpResponseError) as problem:
            ask(group, "refused", body)
        error: Any = problem.value.error
        assert (problem.value.status_code, error.code) == (400, "InvalidTemplate")
        said.append(error.message)
    assert said[0] == said[1]
    assert not world.deployments.deployments.check_existence(group, "refused")
    assert list(world.groups.resources.list_by_resource_group(group)) == []
    return said[0]


def output(value: str) -> Json:
    return {"outputs": {"x": {"type": "string", "value": value}}}


def nested(content: Json, scope: str) -> Json:
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2025-04-01",
        "name": "nested",
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": scope},
            "template": content,
        },
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resources": [thing("a"), thing("b", tags={"x": "[nosuchfunction('a')]"})]}, "'nosuchfunction' is not valid"),
        ({"resources": [thing("a", {"deep": [{"x": "[if(true(), 'a', any('b'))]"}]})]}, "'any' is not valid"),
        ({"resources": [thing("a", condition=False, tags={"x": "[nosuch()]"})]}, "'nosuch' is not valid"),
        (output("[concat('a')))]"), "expected token 'EndOfData' and actual 'RightParenthesis'"),
        (output("[concat('a'"), ""),
        (output("[concat('a']"), "expected token 'RightParenthesis' and actual 'EndOfData'"),
        (output("[variables.x]"), "expected token 'LeftParenthesis'"),
        (output("[first('a', 'b')]"), "function requires 1 argument(s) while 2 were provided"),
        (output("[parameters()]"), "function requires 1 argument(s) while 0 were provided"),
        (output("[variables('nope')]"), "The template variable 'nope' is not found."),
        (output("[parameters('nope')]"), "The template parameter 'nope' is not found."),
        ({"variables": {"unused": "[listKeys('a', '2024-01-01')]"}}, "'listKeys' is not expected at this location"),
        ({"variables": {"unused": {"k": ["[reference('a').x]"]}}}, "'reference' is not expected at this location"),
        ({"variables": {"unused": "[newGuid()]"}}, "'newGuid' is not expected at this location"),
        ({"resources": [thing("[reference('b').x]")]}, "'reference' is not expected at this location"),
        (
            {"variables": {"v": "x"}, "parameters": {"p": {"type": "string", "defaultValue": "[variables('v')]"}}},
            "'variables' is not expected at this location",
        ),
        (
            {"resources": [nested(template([thing("a", {"x": "[nosuch()]"})]), "inner")]},
            "'nosuch' is not valid",
        ),
        ({"resources": [nested(template([thing("a", {"x": "[nosuch()]"})]), "outer")]}, "'nosuch' is not valid"),
        (
            {"resources": [nested(template([], **output("[variables('v')]")), "inner")], "variables": {"v": "x"}},
            "'v' is",
        ),
    ],
)
def test_an_expression_that_arm_can_not_take_is_refused_before_anything_is_made(
    world: World, place: str, change: Json, words: str
):
    if not words:  # no expression at all: it does not end with a bracket
        assert outputs(world, place, "plain", {**template([]), **change}) == {"x": "[concat('a'"}
        world.deployments.deployments.begin_delete(place, "plain").result()
        return
    assert words in refused(world, place, {**template([]), **change})


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"variables": {"a": "[variables('a')]"}}, "variable: 'a'"),
        (
            {"variables": {"z": "[variables('a')]", "a": "[variables('b')]", "b": {"x": "[variables('A')]"}}},
            "variable:",
        ),
        ({"variables": {"copy": [{"name": "l", "count": 2, "input": "[variables('l')[0]]"}]}}, "variable: 'l'"),
        ({"parameters": {"p": {"type": "string", "defaultValue": "[parameters('p')]"}}}, "parameter: 'p'"),
        ({"variables": {"a": "[variables(toLower('A'))]"}, **output("[variables('a')]")}, None),
    ],
)
def test_what_needs_itself_is_called_circular_and_breaks_nothing(
    world: World, place: str, change: Json, name: str | None
):
    content = {**template([thing("[variables('a')]")] if name is None else []), **change}
    said = refused(world, place, content)
    assert "Circular dependency detected on template" in said
    assert name is None or name in said
    assert "Traceback" not in "".join(file.read_text() for file in (world.state / "logs").glob("*.log"))


def test_a_template_that_is_nested_too_deeply_is_refused_as_one(world: World, place: str):
    deep: Any = "x"
    for _ in range(400):
        deep = {"a": deep}
    assert "nested too deeply" in refused(world, place, template([thing("a", deep)]))
    assert "nested too deeply" in refused(
        world, place, {**template([]), **output(f"[{'not(' * 300}true(){')' * 300}]")}
    )


def test_a_default_may_read_a_parameter_that_is_declared_after_it(world: World, place: str):
    content = template(
        [],
        parameters={
            "first": {"type": "string", "defaultValue": "[format('{0}!', parameters('SECOND'))]"},
            "second": {"type": "string", "defaultValue": "there"},
        },
        **output("[parameters('first')]"),
    )
    assert outputs(world, place, "order", content) == {"x": "there!"}
