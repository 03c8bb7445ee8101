"""Which port an app's server is expected at, from the probes of its template in Microsoft's own types."""

from __future__ import annotations

from azure.mgmt.appcontainers.models import Container, ContainerAppProbe, ContainerAppProbeHttpGet

from sidecar.core.scaffold import shipped_template
from sidecar.decisions.suspicion import Around, port_changed
from sidecar.gateway.apps import probe_ports_of


def probe(kind: str, port: int) -> ContainerAppProbe:
    return ContainerAppProbe(type=kind, http_get=ContainerAppProbeHttpGet(port=port, path="/"))


def test_a_liveness_probe_on_a_port_of_its_own_is_not_where_requests_go() -> None:
    """An app whose port was changed to the one that our supervisor answers on was told as one whose probe fails."""
    ours = probe_ports_of(Container(probes=[probe("Startup", 7860), probe("Liveness", 7861), probe("Readiness", 7860)]))
    assert ours == (7860,)
    changed = port_changed(Around(target_port=7861, probe_ports=ours))
    assert changed is not None
    assert changed.code == "PortChanged"
    assert probe_ports_of(Container(probes=[probe("Liveness", 80)])) == (80,)
    assert probe_ports_of(Container(probes=None)) == ()


def test_the_shipped_template_probes_as_this_test_has_it() -> None:
    resources = shipped_template()["resources"]
    assert isinstance(resources, dict)
    app = next(
        each for each in resources.values() if each["type"] == "Microsoft.App/containerApps" and "existing" not in each
    )
    (container,) = app["properties"]["template"]["containers"]
    ports = {each["type"]: each["httpGet"]["port"] for each in container["probes"]}
    assert ports["Startup"] == ports["Readiness"] != ports["Liveness"]
