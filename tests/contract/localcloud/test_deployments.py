"""ARM deployments through the SDK: conditions, loops, existing, nested, order, secrets, errors with ARM's codes, what-if."""

import json
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError

from tests.contract.localcloud.conftest import World, code_of, eventually

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def place(world: World) -> str:
    world.groups.resource_groups.create_or_update("deployments", {"location": "westus3"})
    return "deployments"


def template(resources: Any, **parts: Any) -> Json:
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": resources, **parts}


def thing(name: str, properties: Json | None = None, **parts: Any) -> Json:
    """A resource of a type that the cloud knows nothing of but its namespace."""
    return {
        "type": "Microsoft.Portal/dashboards",
        "apiVersion": "2024-01-01",
        "name": name,
        "properties": properties or {},
        **parts,
    }


def deploy(world: World, group: str, name: str, content: Json, parameters: Json | None = None) -> Any:
    given = {key: {"value": value} for key, value in (parameters or {}).items()}
    body: Any = {"properties": {"mode": "Incremental", "template": content, "parameters": given}}
    return world.deployments.deployments.begin_create_or_update(group, name, body).result()


def outputs(world: World, group: str, name: str, content: Json, parameters: Json | None = None) -> Json:
    done = deploy(world, group, name, content, parameters)
    return {key: entry.get("value") for key, entry in done.properties.outputs.items()}


def failure(world: World, group: str, content: Json, parameters: Json | None = None) -> Any:
    with pytest.raises(HttpResponseError) as refused:
        deploy(world, group, "failing", content, parameters)
    return refused.value.error


def test_loops_conditions_and_copy_index(world: World, place: str):
    content = template(
        [
            thing("[format('loop{0}', copyIndex())]", {"index": "[copyIndex(5)]"}, copy={"name": "loop", "count": 3}),
            thing("never", condition=False),
            thing("last", {"sum": "[reference('loop2').index]"}, dependsOn=["loop"]),
        ],
        variables={
            "copy": [{"name": "squares", "count": 3, "input": "[mul(copyIndex('squares'), copyIndex('squares'))]"}]
        },
        outputs={
            "SQUARES": {"type": "array", "value": "[variables('squares')]"},
            "NAMES": {"type": "array", "copy": {"count": 2, "input": "[format('n{0}', copyIndex())]"}},
            "LAST": {"type": "int", "value": "[reference('last').sum]"},
        },
    )
    found = outputs(world, place, "loops", content)
    assert found == {"squares": [0, 1, 4], "names": ["n0", "n1"], "last": 7}
    names = {each.name for each in world.groups.resources.list_by_resource_group(place)}
    assert "never" not in names


def test_symbolic_names_and_existing(world: World, place: str):
    deploy(world, place, "before", template([thing("there", {"answer": 42})]))
    resources = {
        "there": {"existing": True, **thing("there")},
        "absent": {"existing": True, "condition": False, **thing("absent")},
        "made": thing("made", {"copied": "[reference('there').answer]"}, dependsOn=["there"]),
    }
    content = template(
        resources,
        languageVersion="2.0",
        parameters={"name": {"type": "string", "nullable": True}},
        outputs={
            "COPIED": {"type": "int", "value": "[reference('made').copied]"},
            "NAME": {"type": "string", "value": "[coalesce(parameters('name'), 'default')]"},
        },
    )
    assert outputs(world, place, "symbols", content) == {"copied": 42, "name": "default"}
    missing = template(
        {"gone": {"existing": True, **thing("nowhere")}},
        languageVersion="2.0",
        outputs={"X": {"type": "object", "value": "[reference('gone')]"}},
    )
    assert failure(world, place, missing).code == "ResourceNotFound"


def test_nested_deployments_of_inner_and_outer_scope(world: World, place: str):
    inner = template(
        [],
        parameters={"given": {"type": "string"}},
        variables={"v": "inner"},
        outputs={"out": {"type": "string", "value": "[format('{0} {1}', parameters('given'), variables('v'))]"}},
    )
    outer = template([], outputs={"out": {"type": "string", "value": "[variables('v')]"}})

    def nested(name: str, scope: str, content: Json, parameters: Json) -> Json:
        properties = {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": scope},
            "template": content,
            "parameters": parameters,
        }
        return {
            "type": "Microsoft.Resources/deployments",
            "apiVersion": "2025-04-01",
            "name": name,
            "properties": properties,
        }

    content = template(
        [
            nested("inner", "inner", inner, {"given": {"value": "[variables('v')]"}}),
            nested("outer", "outer", outer, {}),
        ],
        variables={"v": "outer"},
        outputs={
            "INNER": {"type": "string", "value": "[reference('inner').outputs.out.value]"},
            "OUTER": {"type": "string", "value": "[reference('outer').outputs.out.value]"},
        },
    )
    assert outputs(world, place, "nesting", content) == {"inner": "outer inner", "outer": "outer"}


def test_secure_values_are_never_stored_readable(world: World, place: str):
    content = template(
        [thing("keeper")],
        parameters={
            "secret": {"type": "securestring"},
            "made": {"type": "securestring", "defaultValue": "[newGuid()]"},
            "object": {"type": "secureObject"},
        },
        outputs={"HIDDEN": {"type": "securestring", "value": "[parameters('secret')]"}},
    )
    secret = "correct-horse-battery"
    done = deploy(world, place, "secure", content, {"secret": secret, "object": {"k": secret}})
    shown = world.deployments.deployments.get(place, "secure")
    assert shown.properties.outputs == {"hidden": {"type": "SecureString"}}
    assert done.properties.parameters["secret"] == {"type": "SecureString"}
    assert secret not in json.dumps(shown.as_dict())
    for file in world.state.rglob("*"):
        readable = file.is_file() and file.stat().st_mode & 0o077
        if readable and file.stat().st_size < 5_000_000:
            assert secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("change", "parameters", "code", "words"),
    [
        ({"parameters": {"p": {"type": "string"}}}, {}, "InvalidTemplate", "is not provided"),
        ({}, {"strange": 1}, "InvalidTemplate", "do not correspond to any parameters"),
        ({"parameters": {"p": {"type": "int"}}}, {"p": "x"}, "InvalidTemplate", "Expected 'Int'. Actual 'String'"),
        (
            {"parameters": {"p": {"type": "string", "allowedValues": ["a"]}}},
            {"p": "b"},
            "InvalidTemplate",
            "allowed value",
        ),
        ({"parameters": {"p": {"type": "string", "minLength": 3}}}, {"p": "b"}, "InvalidTemplate", "Length"),
        ({"resources": [thing("a", dependsOn=["b"])]}, {}, "InvalidTemplate", "not defined in the template"),
        ({"resources": [thing("a", dependsOn=["b"]), thing("b", dependsOn=["a"])]}, {}, "InvalidTemplate", "Circular"),
        ({"resources": [thing("a"), thing("a")]}, {}, "InvalidTemplate", "defined multiple times"),
        ({"resources": [thing("[bad(]")]}, {}, "InvalidTemplate", "not valid"),
        ({"parameters": {"p": {"type": "int", "defaultValue": "[div(1, 0)]"}}}, {}, "InvalidTemplate", "div"),
        ({"resources": [thing("a/b")]}, {}, "InvalidTemplate", "has an invalid name"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_before_anything_runs(
    world: World, place: str, change: Json, parameters: Json, code: str, words: str
):
    content = {**template([]), **change}
    error = failure(world, place, content, parameters)
    assert error.code == code
    assert words in error.message
    given = {key: {"value": value} for key, value in parameters.items()}
    body: Any = {"properties": {"mode": "Incremental", "template": content, "parameters": given}}
    with pytest.raises(HttpResponseError) as invalid:
        world.deployments.deployments.begin_validate(place, "failing", body).result()
    assert code_of(invalid.value) == code


def test_a_failure_names_the_resource_and_is_listed_in_the_operations(world: World, place: str):
    storage = {
        "type": "Microsoft.App/managedEnvironments/storages",
        "apiVersion": "2025-07-01",
        "name": "nowhere/share",
        "properties": {"azureFile": {"accountName": "acct", "shareName": "share", "accessMode": "ReadWrite"}},
    }
    error = failure(world, place, template([storage, thing("fine")]))
    assert error.code == "DeploymentFailed"
    assert [each.code for each in error.details] == ["ParentResourceNotFound"]
    operations = list(world.deployments.deployment_operations.list(place, "failing"))
    failed = [each for each in operations if each.properties.provisioning_state == "Failed"]
    assert [each.properties.target_resource.resource_name for each in failed] == ["nowhere/share"]
    assert failed[0].properties.status_message.error.code == "ParentResourceNotFound"
    alone = world.deployments.deployment_operations.get(place, "failing", failed[0].operation_id)
    assert alone.properties.target_resource.resource_name == "nowhere/share"


@pytest.mark.fact(89)
def test_what_becomes_of_the_containers_does_not_fail_a_deployment(world: World, place: str):
    def app(name: str, **changes: Any) -> Json:
        container = {"name": "main", "image": "python:3.12", "command": ["sleep", "600"], **changes}
        scale = {"minReplicas": 1, "maxReplicas": 1}
        environment = "[resourceId('Microsoft.App/managedEnvironments', 'lasting-env')]"
        return {
            "type": "Microsoft.App/containerApps",
            "apiVersion": "2025-07-01",
            "name": name,
            "location": "westus3",
            "properties": {
                "managedEnvironmentId": environment,
                "configuration": {"ingress": {"external": True, "targetPort": 80}},
                "template": {"containers": [container], "scale": scale, "volumes": VOLUMES},
            },
            "dependsOn": ["lasting-env", "lasting-storage"],
        }

    environment = {
        "type": "Microsoft.App/managedEnvironments",
        "apiVersion": "2025-07-01",
        "name": "lasting-env",
        "location": "westus3",
        "properties": {},
    }
    azure = {"accountName": "nosuchaccount", "accountKey": "bm8=", "shareName": "no", "accessMode": "ReadOnly"}
    storage = {
        "type": "Microsoft.App/managedEnvironments/storages",
        "apiVersion": "2025-07-01",
        "name": "lasting-env/lasting-storage",
        "properties": {"azureFile": azure},
        "dependsOn": ["lasting-env"],
    }
    probe = {"type": "Startup", "httpGet": {"path": "/", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
    apps = [
        app("crashes", command=["false"]),
        app("never-probed", probes=[probe]),
        app("wrong-port"),
        app("unmounted", volumeMounts=[{"volumeName": "share", "mountPath": "/mount"}]),
    ]
    for each in apps:
        each["dependsOn"][1] = "lasting-env/lasting-storage"
    done = deploy(world, place, "lasting", template([environment, storage, *apps]))
    assert done.properties.provisioning_state == "Succeeded"
    for each in apps:
        assert world.apps.container_apps.get(place, each["name"]).properties.provisioning_state == "Succeeded"
        world.apps.container_apps.begin_delete(place, each["name"]).result()


VOLUMES = [{"name": "share", "storageType": "AzureFile", "storageName": "lasting-storage"}]


def test_a_running_deployment_is_cancelled_and_not_overwritten(world: World, place: str):
    content = template(
        [
            {
                "type": "Microsoft.App/managedEnvironments",
                "apiVersion": "2025-07-01",
                "name": "cancel-env",
                "location": "westus3",
                "properties": {},
            },
        ]
        + [thing(f"after{number}", dependsOn=["cancel-env"]) for number in range(3)]
    )
    body: Any = {"properties": {"mode": "Incremental", "template": content}}
    world.apps.managed_environments.begin_create_or_update(
        place, "cancel-env", {"location": "westus3", "properties": {}}
    ).result()
    world.deployments.deployments.begin_create_or_update(place, "cancelled", body, polling=False)
    ended = eventually(
        lambda: (
            (d := world.deployments.deployments.get(place, "cancelled")).properties.provisioning_state
            in ("Succeeded", "Canceled")
            and d
        )
    )
    with pytest.raises(HttpResponseError) as late:
        world.deployments.deployments.cancel(place, "cancelled")
    assert code_of(late.value) == "DeploymentCannotBeCancelled"
    assert ended.name == "cancelled"


def test_the_template_of_a_deployment_is_exported_without_values(world: World, place: str):
    content = template([thing("exported")], parameters={"secret": {"type": "securestring"}})
    deploy(world, place, "export", content, {"secret": "not-to-be-kept"})
    exported = world.deployments.deployments.export_template(place, "export").template
    assert exported == content
    assert "not-to-be-kept" not in "".join(file.read_text() for file in (world.state / "resources").glob("*.json"))


def test_what_if_tells_create_modify_no_change_and_ignore(world: World, place: str):
    deploy(
        world,
        place,
        "wi",
        template([thing("same", {"a": 1}, location="westus3"), thing("other", {"a": 1}, location="westus3")]),
    )
    content = template(
        [
            thing("same", {"a": 1}, location="westus3"),
            thing("other", {"a": 2}, location="westus3"),
            thing("new", {"later": "[reference('same').a]"}, location="westus3"),
        ]
    )
    body: Any = {"properties": {"mode": "Incremental", "template": content}}
    result = world.deployments.deployments.begin_what_if(place, "wi2", body).result()
    kinds = {change.resource_id.rsplit("/", 1)[-1]: change.change_type for change in result.changes}
    assert (kinds["same"], kinds["other"], kinds["new"]) == ("NoChange", "Modify", "Create")
    changed = next(change for change in result.changes if change.resource_id.endswith("/other"))
    assert [(delta.path, delta.before, delta.after) for delta in changed.delta] == [("properties.a", 1, 2)]
    assert not world.deployments.deployments.check_existence(place, "wi2"), "a what-if leaves nothing behind"
