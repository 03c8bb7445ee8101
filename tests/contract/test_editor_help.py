"""The editor's help as any LSP client meets it: the real process over stdio, with positions, edits and lenses as LSP has them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

ROOT = Path(__file__).resolve().parents[2]


@pytest_lsp.fixture(config=ClientServerConfig(server_command=[sys.executable, "-m", "sidecar", "serve"]))
async def client(lsp_client: LanguageClient) -> AsyncGenerator[None]:
    await lsp_client.initialize_session(
        lsp.InitializeParams(
            capabilities=client_capabilities("visual_studio_code"),
            initialization_options={"catalogue": {"Change it to {name}": "Ändern in {name}", "Check": 7}},
        )
    )
    yield
    await lsp_client.shutdown_session()


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
