"""A container app's JSON as values: what is left out has ACA's defaults, what is null is left out."""

from sidecar.localcloud.runtime.configuration import (
    Configuration,
    ContainerTemplate,
    IngressConfiguration,
    Mount,
    SecretFile,
    Template,
    Variable,
    Volume,
    configuration_of,
    template_of,
)
from sidecar.localcloud.runtime.probes import Probe
from sidecar.localcloud.runtime.scaling import Scale, Traffic


def test_a_configuration_without_anything_has_one_revision_and_no_ingress():
    assert configuration_of({}) == Configuration("single", None)
    assert configuration_of({"ingress": None, "activeRevisionsMode": None}) == Configuration("single", None)


def test_an_ingress_knows_its_port_its_traffic_and_its_labels():
    traffic = [
        {"revisionName": "a--1", "weight": 80, "label": "Blue"},
        {"latestRevision": True, "weight": 20, "label": None},
    ]
    stated = {"activeRevisionsMode": "Multiple", "ingress": {"targetPort": 80, "traffic": traffic}}
    ingress = IngressConfiguration(80, (Traffic("a--1", False, 80, "blue"), Traffic(None, True, 20, "")))
    assert configuration_of(stated) == Configuration("multiple", ingress)
    assert ingress.labels == ("blue",)


def test_a_template_is_read_whole():
    container = {
        "name": "c",
        "image": "i",
        "command": ["run"],
        "args": ["--fast"],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "secretRef": "s"}, {"name": "C", "value": None}],
        "volumeMounts": [{"volumeName": "v", "mountPath": "/mount/", "subPath": "sub/"}],
        "probes": [{"type": "Liveness", "tcpSocket": {"port": 1}}],
    }
    volumes = [
        {"name": "v", "storageType": "AzureFile", "storageName": "models"},
        {"name": "w", "storageType": "Secret", "secrets": [{"secretRef": "s"}, {"secretRef": "t", "path": "p"}]},
        {"name": "x"},
    ]
    assert template_of({"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}) == Template(
        suffix="",
        grace=0,
        containers=(
            ContainerTemplate(
                name="c",
                image="i",
                command=("run",),
                arguments=("--fast",),
                variables=(Variable("A", "1", None), Variable("B", "", "s"), Variable("C", "", None)),
                mounts=(Mount("v", "/mount/", "sub"),),
                probes=(Probe("Liveness", None, 1),),
            ),
        ),
        init_containers=(),
        volumes=(
            Volume("v", "AzureFile", "models", ()),
            Volume("w", "Secret", "", (SecretFile("s", "s"), SecretFile("t", "p"))),
            Volume("x", "EmptyDir", "", ()),
        ),
        scale=Scale(),
    )


def test_a_command_ends_with_the_grace_that_container_apps_gives_it():
    assert template_of({}).grace == 30
