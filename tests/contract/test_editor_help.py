"""The editor's help as any LSP client meets it: the real process over stdio, with positions, edits and lenses as LSP has them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

from sidecar.core.last_read import Doubt, LastRead, keep_last_read
from sidecar.words.text import Text

ROOT = Path(__file__).resolve().parents[2]


STATE = Path(tempfile.mkdtemp(prefix="slipway-editor-"))


@pytest_lsp.fixture(
    config=ClientServerConfig(
        server_command=[sys.executable, "-m", "sidecar", "serve"],
        server_env={**os.environ, "SLIPWAY_STATE": str(STATE)},
    )
)
async def client(lsp_client: LanguageClient) -> AsyncGenerator[None]:
    await lsp_client.initialize_session(
        lsp.InitializeParams(
            capabilities=client_capabilities("visual_studio_code"),
            initialization_options={"catalogue": {"Change it to {name}": "Ändern in {name}", "Check": 7}},
        )
    )
    yield
    await lsp_client.shutdown_session()


LAST_READ = LastRead(
    "2026-11-29 12:00",
    "swedencentral",
    regions=("swedencentral", "westus"),
    profiles={"westus": ("Consumption",), "swedencentral": ("Consumption", "Consumption-GPU-NC8as-T4")},
    gpus={"Consumption-GPU-NC8as-T4": 1},
    quota={"Consumption-GPU-NC8as-T4": (0, 1)},
    doubts=(
        Doubt(
            "FILE_SHARE_NAME",
            "share",
            "Doubtful",
            Text("The server will refuse the adapter {folder}.", folder="models/gpu_model"),
            certain=False,
        ),
    ),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With a blank and a character beyond ASCII in its path, as people have them."""
    folder = tmp_path / "mein Projekt ü"
    shutil.copytree(ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns("*.py"))
    return folder


def opened(client: LanguageClient, file: Path, text: str, language: str = "json") -> str:
    uri = file.as_uri()
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, language, 1, text)))
    return uri


async def told(client: LanguageClient, uri: str) -> list[tuple[str, str]]:
    await client.wait_for_notification(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    return [(str(each.code), shown(each.range)) for each in client.diagnostics[uri]]


def shown(place: lsp.Range) -> str:
    return f"{place.start.line}:{place.start.character}-{place.end.line}:{place.end.character}"


MISTAKEN = '{\n  "parameters": {\n    "😀": { "value": 1 }, "acaAppNam": { "value": "mine" }\n  }\n}\n'


@pytest.mark.asyncio
async def test_a_mistake_is_told_mended_and_gone(client: LanguageClient, project: Path) -> None:
    uri = opened(client, project / "infra" / "provision" / "inference.parameters.json", MISTAKEN)
    problems = await told(client, uri)
    assert problems == [
        ("InvalidTemplateParameter", "2:4-2:8"),
        ("InvalidTemplateParameter", "2:26-2:37"),
    ], "characters are counted as the client does: a smiley is two"
    second = client.diagnostics[uri][1]
    actions = await client.text_document_code_action_async(
        lsp.CodeActionParams(lsp.TextDocumentIdentifier(uri), second.range, lsp.CodeActionContext([second]))
    )
    assert actions is not None
    (action,) = actions
    assert isinstance(action, lsp.CodeAction)
    assert (action.title, action.is_preferred) == ("Ändern in acaAppName", True)
    assert action.edit is not None
    assert action.edit.changes is not None
    (edit,) = action.edit.changes[uri]
    change = lsp.TextDocumentContentChangePartial(text=edit.new_text, range=edit.range)
    client.text_document_did_change(
        lsp.DidChangeTextDocumentParams(lsp.VersionedTextDocumentIdentifier(2, uri), [change])
    )
    assert await told(client, uri) == [("InvalidTemplateParameter", "2:4-2:8")]
    client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri)))
    assert await told(client, uri) == []


@pytest.mark.asyncio
async def test_a_change_of_the_bicep_file_is_seen_in_the_open_parameters(client: LanguageClient, project: Path) -> None:
    provision = project / "infra" / "provision"
    text = '{"parameters": {"mine": {"value": "x"}}}'
    uri = opened(client, provision / "inference.parameters.json", text)
    assert await told(client, uri) == [("InvalidTemplateParameter", "0:16-0:22")]
    bicep = (provision / "inference.bicep").read_text(encoding="utf-8")
    opened(client, provision / "inference.bicep", bicep + "\nparam mine string = ''\n", "bicep")
    assert await told(client, uri) == []


@pytest.mark.asyncio
async def test_offers_words_and_lenses(client: LanguageClient, project: Path) -> None:
    text = '{"parameters": {"sto": {}}}'
    uri = opened(client, project / "infra" / "provision" / "inference.parameters.json", text)
    where = lsp.TextDocumentIdentifier(uri)
    found = await client.text_document_completion_async(lsp.CompletionParams(where, lsp.Position(0, 18)))
    assert isinstance(found, lsp.CompletionList)
    storage = next(each for each in found.items if each.label == "storageAccountName")
    assert isinstance(storage.text_edit, lsp.TextEdit)
    assert (shown(storage.text_edit.range), storage.text_edit.new_text) == ("0:16-0:21", '"storageAccountName"')
    said = await client.text_document_hover_async(lsp.HoverParams(where, lsp.Position(0, 3)))
    assert said is None
    lenses = await client.text_document_code_lens_async(lsp.CodeLensParams(where))
    assert lenses is not None
    commands = [each.command for each in lenses if each.command is not None]
    assert [each.command for each in commands] == ["slipway.provision", "slipway.preflight"]
    assert [each.title for each in commands] == ["Provision", "Check"], (
        "a catalogue's entry that is no text is left out"
    )
    assert list(commands[0].arguments or ()) == [str(project)]


async def fixed(client: LanguageClient, uri: str) -> list[str]:
    """The titles of what is offered for each thing that is told."""
    titles: list[str] = []
    for each in client.diagnostics[uri]:
        context = lsp.CodeActionContext([each])
        asked = lsp.CodeActionParams(lsp.TextDocumentIdentifier(uri), each.range, context)
        titles += [str(action.title) for action in await client.text_document_code_action_async(asked) or ()]
    return titles


PARAMETERS = '{"parameters": {%s}}'


NAMES = "provision/inference.parameters.json"
KINDS: tuple[tuple[str, str, str, str | None], ...] = (
    (NAMES, PARAMETERS % '"acaAppNam": {"value": "x"}', "InvalidTemplateParameter", "Ändern in acaAppName"),
    (NAMES, PARAMETERS % '"maximumInstanceCount": {"value": "2"}', "InvalidParameterValue", "Ändern in 2"),
    (NAMES, PARAMETERS % '"acaAppName": {"value": "<your-app>"}', "Placeholder", "Write null: the default"),
    (NAMES, PARAMETERS % '"storageAccountName": {"value": "My-Account"}', "InvalidResourceName", 'Ändern in myaccount'),
    (NAMES, PARAMETERS % '"location": {"value": "westus"}', "WorkloadProfileTypeNotAvailable", "Ändern in swedencentral"),
    (NAMES, PARAMETERS % '"maximumInstanceCount": {"value": 3}', "MaxRegionalQuotaExceeded", "Ändern in 1"),
    ("inference.config.json", '{"FILE_SHARE_NAME": "share"}', "Doubtful", None),
    ("inference.config.json", '{"ACA_APP_NAM": "mine"}', "UnknownKey", "Ändern in ACA_APP_NAME"),
    ("inference.config.json", '{"ACA_APP_NAME": 7}', "WorkspaceError", 'Ändern in "7"'),
    ("smoke.json", '[{"contains": "x"}]', "InvalidSmoke", None),
    ("smoke.json", '[{"prompt": "x", "max_tokens": "9"}]', "InvalidSmoke", None),
    ("evaluation.json", '{"datset": "rows.jsonl"}', "InvalidEvaluation", "Ändern in dataset"),
    ("evaluation.json", '{"thresholds": [{"measure": "crhf", "bound": 1}]}', "InvalidEvaluation", "Ändern in chrf"),
    ("evaluation.json", '{"gate": true}', "InvalidEvaluation", None),
)  # fmt: skip
"""A file, what is wrong in it, what is told and what mends it: unknown names, types, placeholders, names by Azure's rules, a
region without the GPU, more than the quota, an adapter that does not fit."""


@pytest.mark.asyncio
async def test_each_kind_of_mistake_is_told_with_what_mends_it(client: LanguageClient, project: Path) -> None:
    """What the cloud has to say is as it was last read. Once opened, the mistake is judged whenever it changes."""
    keep_last_read(STATE, project, LAST_READ)
    for file, text, code, fix in KINDS:
        uri = opened(client, project / "infra" / file, text)
        assert [found for found, _ in await told(client, uri)] == [code], text
        titles = await fixed(client, uri)
        assert fix is None or titles[0] == fix, titles
        client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri)))
        assert await told(client, uri) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["infra/finetuning.config.json", "package.json", "infra/other/inference.config.json"])
async def test_of_other_files_nothing_is_said(client: LanguageClient, project: Path, name: str) -> None:
    uri = opened(client, project / name, "{")
    where = lsp.TextDocumentIdentifier(uri)
    assert not await client.text_document_code_lens_async(lsp.CodeLensParams(where))
    found = await client.text_document_completion_async(lsp.CompletionParams(where, lsp.Position(0, 1)))
    assert isinstance(found, lsp.CompletionList)
    assert not found.items
    assert uri not in client.diagnostics
