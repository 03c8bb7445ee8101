"""The rules give values, or refuse what could not be read as one once the app runs."""

from typing import Any

import pytest

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.resources.containerapps_rules import checked_configuration, checked_template
from sidecar.localcloud.runtime.configuration import configuration_of, template_of

CONTAINER = {"name": "c", "image": "i", "command": ["run"], "resources": {"cpu": 0.5, "memory": "1Gi"}}


def template(**parts: Any) -> dict[str, Any]:
    return {"containers": [CONTAINER], **parts}


def test_what_is_let_through_is_what_is_read_from_the_store_later():
    stated = template(revisionSuffix="one", terminationGracePeriodSeconds=5)
    assert checked_template(stated, [], None) == template_of(stated)
    assert checked_template(stated, [], None).suffix == "one"
    configuration = {"ingress": {"targetPort": 80}}
    assert checked_configuration(configuration) == configuration_of(configuration)


@pytest.mark.parametrize(
    "parts",
    [
        {"terminationGracePeriodSeconds": "soon"},
        {"terminationGracePeriodSeconds": -1},
        {"containers": [{**CONTAINER, "probes": [{"type": "Liveness", "httpGet": {"port": 1, "httpHeaders": [{}]}}]}]},
        {"scale": {"rules": "none"}},
        {"volumes": [1]},
    ],
    ids=str,
)
def test_what_no_running_app_could_read_is_refused_at_the_put(parts: dict[str, Any]):
    with pytest.raises(ArmError) as refused:
        checked_template(template(**parts), [], None)
    assert refused.value.status == 400


@pytest.mark.parametrize("ingress", ["yes", {"traffic": "all"}, {"traffic": [{"weight": "most"}]}], ids=str)
def test_an_ingress_that_can_not_be_read_is_refused_at_the_put(ingress: Any):
    with pytest.raises(ArmError) as refused:
        checked_configuration({"ingress": ingress})
    assert refused.value.status == 400
