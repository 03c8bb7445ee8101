"""The stand-in for Microsoft's Bicep CLI beside what the real one was recorded to say, both ways."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.bicep_words import framed
from tests.support.bicep_corpus import corpus
from tests.support.bicep_standin import standin

PLAIN = "param appName string = 'chat'\noutput name string = toLower(appName)\n"
MISTAKES = (
    "param name string = 5\nparam unused string\nresource r 'Microsoft.Storage/storageAccounts@2023-05-01' = {\n"
    "  name: nam\n}\n"
)
REGISTRY = "module app 'br/public:avm/res/app/container-app:0.11.0' = {\n  name: 'app'\n}\n"
THERE = "/home/me/project/"
"""Where the recorded files lay."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in (("plain", PLAIN), ("mistakes", MISTAKES), ("registry", REGISTRY)):
        (folder / f"{name}.bicep").write_text(text)
    return folder


def recorded(name: str) -> list[dict[str, Any]]:
    return json.loads((corpus() / "cli" / name).read_text(encoding="utf-8"))


def comparable(text: str, folder: Path) -> str:
    """Where the project lies does not count, nor which of its retries the network failed; a name that is nearly another one is
    told by two codes, by how near."""
    text = text.replace(f"{folder}/", THERE).replace("BCP082", "BCP057")
    text = re.sub(r' Did you mean \\*"name\\*"\?', "", text)
    return re.sub(r"Retry failed after 4 tries\..*?(?=\"|$| \[https)", "Retry failed.", text, flags=re.MULTILINE)


def shape(value: Any) -> Any:
    """A template counts as that it is one: the compilers are compared elsewhere."""
    if isinstance(value, dict):
        return {key: shape(each) if key not in ("contents", "stack") else "…" for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else value


def test_it_answers_by_json_rpc_as_the_real_one_did(project: Path, tmp_path: Path):
    cases = [
        each
        for each in recorded("jsonrpc.json")
        if each["request"]["method"] in ("bicep/version", "bicep/compile", "bicep/nosuch")
    ]
    cases = [each for each in cases if each["request"]["params"].get("path") != "plain.bicep"]
    program = standin(tmp_path / "bin")
    asked = b"".join(framed(json.loads(json.dumps(each["request"]).replace(THERE, f"{project}/"))) for each in cases)
    done = subprocess.run([program, "jsonrpc", "--stdio"], input=asked, capture_output=True, check=True, cwd=project)
    left = done.stdout
    for each in cases:
        head, _, rest = left.partition(b"\r\n\r\n")
        assert re.fullmatch(rb"Content-Length: \d+", head)
        assert re.fullmatch(r"Content-Length: \d+", "".join(each["headers"]))
        body, left = rest[: int(head[16:])], rest[int(head[16:]) :]
        answer = json.loads(comparable(body.decode(), project))
        assert shape(answer) == shape(json.loads(comparable(json.dumps(each["response"]), project))), each["request"]
    assert left == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["build", "nosuch.bicep", "--stdout"],
        ["build", "mistakes.bicep", "--stdout"],
        ["build", "mistakes.bicep", "--stdout", "--diagnostics-format", "sarif"],
        ["build", "registry.bicep", "--stdout"],
        ["build", "plain.bicep", "--stdout"],
    ],
    ids=" ".join,
)
def test_it_builds_as_the_real_one_did(arguments: list[str], project: Path, tmp_path: Path):
    (case,) = [each for each in recorded("commands.json") if each["arguments"] == arguments]
    done = subprocess.run(
        [standin(tmp_path / "bin"), *arguments], capture_output=True, check=False, cwd=project, text=True
    )
    assert done.returncode == case["exitCode"]
    assert comparable(done.stderr, project) == comparable(case["stderr"], project)
    if case["stdout"].startswith("{"):
        assert json.loads(done.stdout)["outputs"] == json.loads(case["stdout"])["outputs"]
    else:
        assert done.stdout == case["stdout"]
