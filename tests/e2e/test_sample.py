"""No model at hand: `slipway sample` makes one and puts it on the share, asks before it does, and mixes with nobody's own."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.gateway.files import open_share
from tests.e2e.conftest import Home, new_place


def test_the_sample_is_agreed_to_then_on_the_share_once_and_never_beside_a_base_of_somebodys_own(
    home: Home, tmp_path: Path
):
    place = new_place(home, tmp_path / "project", "sample")
    place.provision()
    unasked = home.cli("sample", str(place.workspace), expect=3)
    assert unasked["error"]["consent"] == "sample-model"
    first = home.cli("sample", str(place.workspace), "--yes")
    assert (first["base"], first["adapter"]) == ("slipway/tiny-llama", "tiny-pirate")
    assert first["sent"] > 0
    assert first["question"] != first["answer"]
    config = place.config
    with open_share(place.around, config["STORAGE_ACCOUNT_NAME"], config["FILE_SHARE_NAME"]) as share:
        assert {each.name for each in share.list("models/tiny-pirate/adapter")} >= {"adapter_config.json"}
        assert {each.name for each in share.list("model-cache/slipway/tiny-llama")} >= {"config.json"}
        again = home.cli("sample", str(place.workspace), "--yes")
        assert again["sent"] == 0
        own = tmp_path / "config.json"
        own.write_text(json.dumps({"model_type": "llama"}))
        share.upload(own, "model-cache/contoso/own/config.json", lambda _: None)
    refused = home.cli("sample", str(place.workspace), "--yes", expect=1)
    assert refused["error"]["code"] == "ShareHasModels"
    assert "contoso/own" in refused["error"]["message"]
