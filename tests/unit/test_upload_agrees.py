"""What an upload takes for granted of the model server is what the server does: names, hashes, the sign of a switch, records."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from inference.engine.adapters import announced
from inference.engine.files import folder as server
from inference.engine.files.folder import FolderError, check_adapter, check_model, find_adapters
from sidecar.decisions import upload
from sidecar.decisions.adapter_names import adapter_names, name_for
from sidecar.decisions.base_check import base_checks
from sidecar.decisions.models_on_share import UNFINISHED
from sidecar.decisions.upload import Upload, adapter_digest, record_path
from sidecar.workflows.local_model import local_model
from sidecar.workflows.model_files import model_facts
from tests.support.model_folders import LocalFiles, adapter_in, base_in

FOLDERS = (
    "models/qlora/qlora/gpu_model/adapter",
    "models/qlora/qlora/gpu-cpu_model/adapter",
    "models/a/adapter",
    "other/a/adapter",
    "b",
    "models/tiny",
    "org/tiny",
    "adapter",
)


def test_adapters_are_named_as_the_server_names_them(tmp_path: Path) -> None:
    base_in(tmp_path)
    for name in FOLDERS:
        adapter_in(tmp_path, name)
    served = {path.relative_to(tmp_path).as_posix(): name for name, path in find_adapters(tmp_path).items()}
    assert adapter_names(FOLDERS, ("org/tiny",)) == served
    late = adapter_in(tmp_path, "late/a/adapter")
    others = [tmp_path / each for each in FOLDERS]
    taken = set(served.values())
    assert name_for("late/a/adapter", FOLDERS, {*taken, "org/tiny"}) == server.name_among(tmp_path, late, others, taken)


def test_the_hash_of_an_adapter_is_the_servers(tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path)
    (adapter / "additional_chat_templates").mkdir()
    for more in ("tokenizer.json", "chat_template.jinja", "README.md", "additional_chat_templates/tool_use.jinja"):
        (adapter / more).write_text(more)
    goes = local_model(adapter).travels.goes
    assert len(goes) == 6
    digests = {name: hashlib.sha256((adapter / name).read_bytes()).hexdigest() for name in goes}
    assert adapter_digest(digests) == check_adapter("x", adapter, tmp_path).digest
    assert upload.HASHED == server.ADAPTER_FILES


def test_a_folder_whose_files_are_being_switched_is_taken_by_nobody(tmp_path: Path) -> None:
    assert UNFINISHED == server.UNFINISHED
    base, adapter = base_in(tmp_path), adapter_in(tmp_path)
    for folder in (base, adapter):
        (folder / UNFINISHED).write_text("{}")
    with pytest.raises(FolderError, match="an upload of it was cut off"):
        check_adapter("x", adapter, tmp_path)
    with pytest.raises(FolderError, match="an upload of it was cut off"):
        check_model("org/tiny", base, tmp_path)
    found = base_checks(model_facts(LocalFiles(tmp_path), "", {}, None), needed=True)
    assert found[0].verdict == "FAIL"
    assert "an upload of it was cut off" in str(found[0].sentence)


def test_a_record_is_read_by_the_server_and_leads_out_of_no_mount(tmp_path: Path) -> None:
    assert announced.RECORDS == upload.RECORDS
    told = announced.Announced(tmp_path)
    assert told.look() == {}
    for folder, kind in (("models/a/adapter", "adapter"), ("model-cache/o/m", "base"), ("../out", "adapter")):
        file = tmp_path / record_path(folder)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(Upload(folder, "base" if kind == "base" else "adapter", "d1").to_json())
    (tmp_path / upload.RECORDS / "damaged.json").write_text("{")
    (tmp_path / upload.RECORDS / "hidden.json").write_text(
        json.dumps({"folder": ".slipway/x", "kind": "adapter", "digest": "d"})
    )
    assert told.look() == {tmp_path / "models/a/adapter": "d1"}
    assert told.look() == {tmp_path / "models/a/adapter": "d1"}
    (tmp_path / record_path("models/a/adapter")).write_bytes(Upload("models/a/adapter", "adapter", "other").to_json())
    assert told.look() == {tmp_path / "models/a/adapter": "other"}
