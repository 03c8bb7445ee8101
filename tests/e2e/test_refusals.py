"""What the server refuses is told where a person looks: a broken adapter, and a base that answers alone."""

from __future__ import annotations

import pytest

from sidecar.gateway.files import Share, open_share

from .conftest import Home, Place, Sample, delete_apps, new_place, until

WEIGHTS = "models/qlora/qlora/gpu_model/adapter/adapter_model.safetensors"


def share_of(place: Place) -> Share:
    account, name = place.config["STORAGE_ACCOUNT_NAME"], place.config["FILE_SHARE_NAME"]
    return open_share(place.around, account, name)


@pytest.mark.long
def test_a_broken_adapter_is_no_success_and_the_servers_reason_is_shown(deployed: Place) -> None:
    with share_of(deployed) as share:
        whole = share.read(WEIGHTS)
        share.replace(WEIGHTS, whole[: len(whole) // 2])
        try:
            where = ("--subscription", deployed.subscription, "--group", deployed.group)
            found = deployed.home.cli("preflight", str(deployed.workspace), *where)
            checks = {each["name"]: each for each in found["checks"]}
            assert (checks["base model"]["verdict"], checks["memory"]["verdict"]) == ("PASS", "PASS")
            (adapter,) = [each for name, each in checks.items() if name.startswith("adapter ")]
            assert adapter["verdict"] == "WARN"
            assert "it is truncated" in adapter["sentence"], "it is told before anything restarts"

            done = deployed.home.cli("deploy", str(deployed.workspace), expect=1)
            assert not done["verified"]
            (refused,) = done["refused"]
            assert refused["name"] == "gpu_model"
            assert refused["reason"].startswith(f"{WEIGHTS} is truncated: ")
            assert (done["base"], done["adapters"]) == ("slipway/tiny-llama", [])

            found = deployed.home.cli("status", str(deployed.workspace), expect=1)
            assert (found["state"], found["failure"]) == ("ready", True)
            assert found["refused"] == [refused]

            process = deployed.home.start("status", str(deployed.workspace))
            out, err = process.communicate(timeout=600)
            assert process.returncode == 1, err
            assert f"refused    gpu_model: {refused['reason']}" in out
        finally:
            share.replace(WEIGHTS, whole)
    until(
        lambda: deployed.home.start("status", str(deployed.workspace)).wait() == 0,
        240,
        "the repaired adapter to be read",
    )
    assert deployed.status()["adapters"] == ["gpu_model"]


def test_a_share_without_an_adapter_is_said_not_to_have_one(
    home: Home, sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = new_place(home, tmp_path_factory.mktemp("bare"), "bare")
    place.provision()
    base = tmp_path_factory.mktemp("base")
    (base / "model-cache").symlink_to(sample[0] / "model-cache")
    (base / "models").mkdir()
    place.upload_models(base)
    done = place.deploy()
    assert done["verified"]
    assert done["notes"] == ["No adapter was found on the share: the base model slipway/tiny-llama alone answers."]
    assert place.status()["notes"] == done["notes"]
    delete_apps(place)
