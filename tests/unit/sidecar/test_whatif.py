"""ARM's what-if without what it cries wolf about: noise by name, defaults that are none any more, what wants a consent."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.decisions.whatif import NOISE, Delta, changes_of, meant, noise_of, risky, tells

APP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/app"


def change(*deltas: dict[str, Any], kind: str = "Modify", resource: str = APP) -> dict[str, Any]:
    return {"resourceId": resource, "changeType": kind, "delta": list(deltas)}


def prop(
    path: str, kind: str, before: object = None, after: object = None, *children: dict[str, Any]
) -> dict[str, Any]:
    return {"path": path, "propertyChangeType": kind, "before": before, "after": after, "children": list(children)}


UNCHANGED = change(
    prop("properties.runningStatus", "Delete", "Running"),
    prop("properties.outboundIpAddresses", "Delete", ["20.96.166.172"]),
    prop("properties.configuration.maxInactiveRevisions", "Delete", 100),
    prop("properties.configuration.ingress.exposedPort", "Delete", 0),
    prop("properties.configuration.ingress.transport", "Delete", "Auto"),
    prop(
        "properties.template.containers", "Array", None, None,
        prop(
            "0", "Modify", None, None,
            prop("imageType", "Delete", "ContainerImage"), prop("resources.ephemeralStorage", "Delete", "8Gi"),
        ),
    ),
    prop(
        "properties.configuration.secrets", "Array", None, None,
        prop("0", "Modify", None, None, prop("value", "Create", None, "*******")),
    ),
    prop("properties.template.revisionSuffix", "NoEffect", "", None),
)  # fmt: skip


def test_the_noise_of_an_unchanged_app_leaves_nothing() -> None:
    (left,) = meant(changes_of([UNCHANGED]))
    assert (left.kind, left.deltas) == ("NoChange", ())
    assert not tells(left)
    assert risky([left]) == ()


def test_a_child_of_an_array_stands_at_its_whole_path() -> None:
    image = prop("containers", "Array", None, None, prop("1", "Modify", None, None, prop("image", "Modify", "a", "b")))
    (found,) = meant(changes_of([change(image)]))
    assert found.deltas == (Delta("containers[1].image", "Modify", "a", "b"),)
    assert (found.type, found.name) == ("microsoft.app/containerapps", "app")


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("properties.template.scale.maxReplicas", 3),
        ("properties.configuration.maxInactiveRevisions", 5),
        ("properties.template.containers[0].env[2]", {"name": "MINE", "value": "1"}),
        ("properties.configuration.ingress.external", True),
        ("properties.template.containers[0].probes", [{"type": "Liveness"}]),
        ("tags.owner", "me"),
    ],
)
def test_what_somebody_set_and_the_template_leaves_out_is_no_noise(path: str, before: object) -> None:
    (found,) = meant(changes_of([change(prop(path, "Delete", before))]))
    assert [each.path for each in found.deltas] == [path]
    assert risky([found]) == (f"{APP} {path}",)


def test_what_goes_and_what_can_not_change_wants_a_consent_of_its_own() -> None:
    """Fault 15 of the fault table: a what-if that lists a Delete or an immutable change."""
    changes = meant(
        changes_of(
            [
                change(kind="Delete", resource=f"{APP}-old"),
                change(prop("location", "Modify", "westus3", "eastus"), prop("properties.template", "Modify", "a", "b")),
                change(kind="Create", resource=f"{APP}-new"),
            ]
        )
    )  # fmt: skip
    assert risky(changes) == (f"{APP} location", f"{APP}-old")


def test_every_noise_has_a_reason_and_a_source_and_no_two_have_a_name() -> None:
    assert len({each.name for each in NOISE}) == len(NOISE)
    assert all(each.reason.endswith(".") and each.source for each in NOISE)


def test_noise_is_of_the_kinds_that_it_names() -> None:
    path = "properties.configuration.maxInactiveRevisions"
    assert noise_of("Microsoft.App/containerApps", Delta(path, "Delete", 100)) is not None
    assert noise_of("Microsoft.App/containerApps", Delta(path, "Modify", 100, 10)) is None
    assert noise_of("Microsoft.Web/sites", Delta(path, "Delete", 100)) is None
