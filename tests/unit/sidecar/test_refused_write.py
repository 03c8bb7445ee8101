"""An app that Azure took no version of: the cause in words, from what the write was refused with."""

from __future__ import annotations

import pytest

from sidecar.decisions.refused_write import update_failed
from sidecar.decisions.suspicion import remedies
from tests.support.evidence import evidence

ELSE = (
    "Failed to provision revision for container app 'a'. Error details: The following field(s) are either invalid or missing. "
    "Field 'template.containers.a.image' is invalid with details: 'Invalid value: \"r.example/a:1\": {words}';.."
)


@pytest.mark.fact(81)
def test_the_registry_s_words_become_a_cause_with_its_next_action() -> None:
    """As captured: a registry that does not exist, and an image that wants a credential."""
    cases = evidence("captured-outputs/image-refused-variants.json")["cases"]
    host, private = (update_failed("a", "Failed", each["message"]) for each in cases)
    assert host.code == private.code == "ImageRefused"
    assert "nonexistent-registry.example/fake/image:notexist can't be found" in str(host.sentence)
    assert "does not let the app have the image private-registry.example/myapp:latest" in str(private.sentence)
    assert "AcrPull" in str(private.advice)
    assert remedies(host.code) == ("provision",)


@pytest.mark.fact(80, 81)
def test_an_unknown_tag_as_a_deployment_s_operation_has_it() -> None:
    (operation,) = evidence("acr-pull-failure/01-deployment-operations-failed.json")
    found = update_failed("a", "Failed", operation["statusMessage"]["error"]["message"])
    assert (found.code, "The registry has no such image: " in str(found.sentence)) == ("ImageRefused", True)
    assert found.detail is not None
    assert "MANIFEST_UNKNOWN" in found.detail


def test_an_image_for_another_platform_and_words_that_nobody_knows() -> None:
    other = update_failed("a", "Failed", ELSE.format(words="no child with platform linux/amd64 found in manifest list"))
    assert str(other.sentence) == "The image r.example/a:1 is not made for linux/amd64."
    unknown = update_failed("a", "Failed", ELSE.format(words="the moon is full"))
    assert str(unknown.sentence) == "The image r.example/a:1 is refused: the moon is full"
    assert unknown.code == "ImageRefused"


def test_what_is_no_image_s_fault_is_told_in_azure_s_words_and_no_words_are_no_cause() -> None:
    said = update_failed("a", "Failed", "Operation expired.")
    assert (said.code, str(said.sentence)) == (
        "AppUpdateFailed",
        "Azure refused the container app a: Operation expired.",
    )
    silent = update_failed("a", "Failed", None)
    assert (silent.code, str(silent.sentence)) == (
        "AppUpdateFailed",
        "The container app a has no revision: its last update is Failed.",
    )
