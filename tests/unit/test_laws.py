"""The laws of imports: each is seen to refuse a breach that is planted in a copy, and no module stands outside of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
PACKAGES = ("sidecar", "inference")

JUDGE = """
import json
from importlinter import configuration
from importlinter.application import use_cases
configuration.configure()
options = use_cases.read_user_options(config_filename="pyproject.toml")
use_cases._register_contract_types(options)
report = use_cases.create_report(options)
print(json.dumps({contract.name: check.kept for contract, check in report.get_contracts_and_checks()}))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def judged(folder: Path) -> dict[str, bool]:
    done = subprocess.run(
        [sys.executable, "-c", JUDGE], cwd=folder, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def file_of(folder: Path, module: str) -> Path:
    place = folder.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def plant(folder: Path, importer: str, imported: str) -> None:
    file = file_of(folder, importer)
    file.write_text(f"{file.read_text()}\nimport {imported}\n")


def rows(contract: dict[str, Any]) -> list[list[str]]:
    (container,) = contract["containers"]
    return [[f"{container}.{each.strip()}" for each in row.split("|")] for row in contract["layers"]]


def test_as_it_stands_every_law_is_kept(copy: Path) -> None:
    assert set(judged(copy).values()) == {True}


def test_a_module_without_a_place_is_refused_in_every_package(copy: Path) -> None:
    laws = [each for each in CONTRACTS if each["type"] == "layers"]
    for law in laws:
        file_of(copy, f"{law['containers'][0]}.stray").write_text('"""Nobody has given this a place."""\n')
    found = judged(copy)
    assert [law["name"] for law in laws if found[law["name"]]] == []


def test_an_import_against_a_law_is_refused_whichever_law_it_is(copy: Path) -> None:
    breaches = {
        "No import cycle of any kind, not even between packages": ("sidecar.words.text", "sidecar.armlang.dates"),
        "Cargo and ship never import each other": ("sidecar.workflows.deploy", "inference.settings"),
        "Nobody imports the local cloud: it is reached over HTTP only": (
            "sidecar.doors.demo",
            "sidecar.localcloud.image",
        ),
        "Nobody imports the maker of the sample model: it runs in the image's Python": (
            "sidecar.doors.cli",
            "sidecar.sample.finetune",
        ),
        "The local cloud shares no code with the sidecar but the ARM language": (
            "sidecar.localcloud.core.settings",
            "sidecar.words.text",
        ),
        "In the local cloud only the doors know Starlette": ("sidecar.localcloud.core.errors", "starlette"),
        "Only the gateway speaks Azure's SDKs": ("sidecar.workflows.provision", "azure.identity"),
        "What is decided, worded or kept in the person's folder has no network": ("sidecar.core.sync", "httpx"),
        "Decisions and the ARM language touch no file and start nothing": ("sidecar.decisions.excerpt", "os"),
        "Only the JSON-RPC door knows pygls": ("sidecar.doors.cli", "pygls"),
        "Only the assistants' door knows MCP": ("sidecar.doors.server", "mcp"),
        "Tensors are in compute and weights only": (
            "inference.engine.schedule.scheduler",
            "torch",
        ),
        "The engine knows nothing of HTTP": ("inference.engine.engine", "starlette"),
        "In the model server only the doors know Starlette": ("inference.settings", "starlette"),
    }
    for law in CONTRACTS:
        if law["type"] == "layers":
            order = rows(law)
            below, above = order[-1][0], order[0][0] if len(order) > 1 else order[0][-1]
            if below != above:  # a package of one module has no order to break
                plant(copy, below, above)
        else:
            plant(copy, *breaches.pop(law["name"]))
    assert breaches == {}, "breaches of laws that there are none of"
    found = judged(copy)
    alone = {law["name"] for law in CONTRACTS if law["type"] == "layers" and sum(map(len, rows(law))) == 1}
    assert {name for name, kept in found.items() if kept} == alone


def test_every_module_stands_under_a_law() -> None:
    """Counted against the files: each is named in its package's order."""
    named = {name for law in CONTRACTS if law["type"] == "layers" for row in rows(law) for name in row}
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if "__pycache__" not in file.parts]
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    packages = {each.removesuffix(".__init__") for each in modules if each.endswith(".__init__")} - set(PACKAGES)
    modules = {each for each in modules if not each.endswith(".__init__")}
    assert named == modules | packages


def test_no_law_lists_an_exception_without_a_reason() -> None:
    """`exhaustive_ignores` would let modules stand outside; an ignored import has its reason in the same line."""
    assert not any("exhaustive_ignores" in law for law in CONTRACTS)
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    ignored = {each for law in CONTRACTS for each in law.get("ignore_imports", ())}
    for each in ignored:
        (line,) = [line for line in lines if f'"{each}"' in line]
        assert "#" in line, line
