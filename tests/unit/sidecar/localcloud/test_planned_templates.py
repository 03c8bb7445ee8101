"""The planning of templates: the engine's recorded evaluations, and loops, conditions and names one at a time."""

import json
from typing import Any

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.deployments.planner import planned_deployment
from sidecar.localcloud.deployments.planning import Plan
from tests.support.bicep_corpus import corpus
from tests.support.bicep_functions import corpus_place
from tests.support.bicep_snapshots import Refused, difference, same_refusal, snapshot

KIND = "Microsoft.ManagedIdentity/userAssignedIdentities"


def read(path: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_official_template_is_planned_as_the_engine_plans_it():
    wrong: list[str] = []
    files = sorted((corpus() / "golden").glob("*.json"))
    for file in files:
        template = read(file)
        given = {"apiKey": "apikey0"} if "apiKey" in template.get("parameters", {}) else {}
        official = read(corpus() / "snapshots" / f"{file.stem}.snapshot.json")
        if found := difference(snapshot(template, given), official):
            wrong.append(f"{file.stem}: {found}")
    assert wrong == []
    assert len(files) == 80


def test_every_evaluation_of_the_public_templates_is_equal_or_refused_alike():
    wrong: list[str] = []
    refused = 0
    for file in sorted((corpus() / "templates").glob("*.json")):
        recorded = read(file)
        for number, each in enumerate(recorded["evaluations"]):
            try:
                made = snapshot(recorded["template"], each["parameters"])
            except Refused as problem:
                refused += 1
                found = "" if "error" in each and same_refusal(str(problem), each["error"]) else f"refused: {problem}"
            else:
                found = difference(made, each["snapshot"]) if "snapshot" in each else f"taken, not: {each['error']}"
            if found:
                wrong.append(f"{file.stem} {number}: {found}")
    assert wrong == []
    assert refused == 13


def thing(name: str, **more: Any) -> dict[str, Any]:
    return {"type": KIND, "apiVersion": "2023-01-31", "name": name, "location": "westeurope", **more}


def planned(resources: Any, outputs: Any = None, **given: Any) -> Plan:
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {name: {"type": kind_of(value)} for name, value in given.items()},
        "resources": resources,
        "outputs": outputs or {},
    }
    return planned_deployment(
        template, {name: {"value": each} for name, each in given.items()}, corpus_place(), 0.0, {}
    )


def kind_of(value: Any) -> str:
    return {str: "string", int: "int", bool: "bool", list: "array", dict: "object"}[type(value)]


def test_a_loop_of_values_inside_a_loop_of_resources_counts_by_its_own_name():
    values = {
        "name": "tags",
        "count": 2,
        "input": "[format('{0}-{1}-{2}', copyIndex(), copyIndex('r'), copyIndex('tags'))]",
    }
    plan = planned(
        [thing("[format('a{0}', copyIndex())]", copy={"name": "r", "count": 2}, properties={"copy": [values]})]
    )
    bodies = [each.body({})["properties"]["tags"] for each in plan.resources]
    assert bodies == [["0-0-0", "0-0-1"], ["1-1-0", "1-1-1"]]


@pytest.mark.parametrize("symbolic", [True, False])
def test_a_loop_that_makes_nothing_can_be_waited_for(symbolic: bool):
    loop = thing("[format('a{0}', copyIndex())]", copy={"name": "loop", "count": "[length(parameters('names'))]"})
    after = thing("after", dependsOn=["loop"])
    resources = {"loop": loop, "after": after} if symbolic else [loop, after]
    assert [each.name for each in planned(resources, names=[]).resources] == ["after"]
    plan = planned(resources, names=["x"])
    assert plan.waits_for(plan.resources[1]) == {plan.resources[0].key}


@pytest.mark.parametrize("name", ["plain", "", "a/b", None])
def test_what_is_not_made_can_have_any_name_and_be_waited_for(name: str | None):
    computed = "[null()]" if name is None else "[parameters('name')]"
    off, on = thing(computed, condition="[parameters('make')]"), thing("on", dependsOn=["off"])
    plan = planned({"off": off, "on": on}, make=False, name=name or "")
    assert [each.wanted for each in plan.resources] == [False, True]


@pytest.mark.parametrize("name", ["plain", ""])
def test_what_is_not_made_can_be_waited_for_by_its_id(name: str):
    off = thing("[parameters('name')]", condition="[parameters('make')]")
    on = thing("on", dependsOn=[f"[resourceId('{KIND}', parameters('name'))]"])
    assert [each.wanted for each in planned([off, on], make=False, name=name).resources] == [False, True]


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        (
            KIND,
            "",
            f"The template resource '[parameters('name')]' of type '{KIND}' is not valid. The name property cannot be null",
        ),
        (
            f"{KIND}/b",
            "a/",
            "The name 'a/' contains '1' name segment(s) separated by '/', but '2' segment(s) were expected.",
        ),
        (
            f"{KIND}/b",
            "//b",
            "The name '//b' contains '1' name segment(s) separated by '/', but '2' segment(s) were expected.",
        ),
    ],
)
def test_a_name_of_nothing_or_with_an_empty_part_is_refused_in_arms_words(kind: str, name: str, sentence: str):
    with pytest.raises(ArmError) as refused:
        planned([thing("[parameters('name')]") | {"type": kind}], name=name)
    assert refused.value.code == "InvalidTemplate"
    assert sentence in refused.value.message


def test_batches_wait_for_the_batch_before_them():
    loop = {"name": "loop", "count": 5, "mode": "serial", "batchSize": 2}
    plan = planned([thing("[format('a{0}', copyIndex())]", copy=loop)])
    keys = [each.key for each in plan.resources]
    assert [sorted(plan.waits_for(each)) for each in plan.resources] == [[], [], keys[:2], keys[:2], keys[2:4]]


def test_names_that_are_computed_must_be_texts_and_each_another_one():
    plan = planned([thing("a", properties={"[parameters('key')]": 1, "fixed": 2})], key="fixed")
    with pytest.raises(Exception, match="expects all property names to be unique"):
        plan.resources[0].body({})


@pytest.mark.parametrize("where", ["properties", "outputs"])
def test_how_often_a_loop_runs_is_known_before_anything_is_deployed(where: str):
    loop = {"name": "values", "count": "[length(reference('x').list)]", "input": 1}
    made = [thing("a", properties={"inner": {"copy": [loop]}} if where == "properties" else {})]
    outputs = {"o": {"type": "array", "copy": {"count": loop["count"], "input": 1}}} if where == "outputs" else {}
    with pytest.raises(ArmError, match="'reference' is not expected at this location"):
        planned(made, outputs)


def test_a_loops_values_may_be_read_of_a_resource():
    loop = {"name": "values", "count": 2, "input": "[reference('x').list[copyIndex('values')]]"}
    assert len(planned([thing("x"), thing("a", properties={"copy": [loop]})]).resources) == 2


@pytest.mark.parametrize("copy", [[{"name": "tags", "count": 1, "input": "x"}], "3"])
def test_a_copy_of_a_resource_that_is_no_object_is_refused_with_its_name(copy: Any):
    with pytest.raises(ArmError, match="copy of the resource 'many' must be an object"):
        planned({"many": thing("a", copy=copy)})


@pytest.mark.parametrize("kind", ["parameter", "variable", "output"])
def test_names_that_differ_only_in_case_are_refused(kind: str):
    value = {"parameter": {"type": "string", "defaultValue": "x"}, "output": {"type": "string", "value": "x"}}.get(kind)
    template = {"resources": [thing("a")], f"{kind}s": {"name": value, "other": value, "Name": value}}
    with pytest.raises(ArmError, match=f"template {kind}s 'name' and 'Name' differ only in case"):
        planned_deployment(template, {}, corpus_place(), 0.0, {})
