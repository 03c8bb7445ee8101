"""The editor's help over LSP: problems with quick fixes, completion, hover, lenses for the files of a project."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

from sidecar.core.state_folder import state_folder
from sidecar.words.text import Text

if TYPE_CHECKING:
    from sidecar.core.located import Span
    from sidecar.decisions.editor_findings import Finding
    from sidecar.decisions.editor_offers import Offer
    from sidecar.workflows.editing import Edited, Editing

SOURCE = "Slipway"


class Editor:
    """The features of one server. Sentences are in the client's language where it hands its catalogue over when it begins
    (`initializationOptions.catalogue`: English → translated), else in English. What the schemas in extension/schemas tell
    is left to a client that has them (`tellsSchema`), and that a text is no JSON to one which tells that (`tellsSyntax`)."""

    def __init__(self, server: LanguageServer, environ: Mapping[str, str]) -> None:
        self._server = server
        self._catalogue: Mapping[str, str] = {}
        self._tells_syntax = self._tells_schema = False
        self._environ = environ
        self._offer(lsp.INITIALIZE, self._begin)
        self._offer(lsp.TEXT_DOCUMENT_DID_OPEN, self._changed)
        self._offer(lsp.TEXT_DOCUMENT_DID_CHANGE, self._changed)
        self._offer(lsp.TEXT_DOCUMENT_DID_SAVE, self._changed)
        self._offer(lsp.TEXT_DOCUMENT_DID_CLOSE, self._closed)
        self._offer(lsp.TEXT_DOCUMENT_COMPLETION, self._complete, lsp.CompletionOptions(trigger_characters=['"', ":"]))
        self._offer(lsp.TEXT_DOCUMENT_HOVER, self._hover)
        self._offer(lsp.TEXT_DOCUMENT_CODE_LENS, self._lenses)
        options = lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])
        self._offer(lsp.TEXT_DOCUMENT_CODE_ACTION, self._fixes, options)

    def _offer(self, method: str, answer: Callable[[Any], object], options: object = None) -> None:
        def handle(params: Any) -> object:  # a function of its own each: pygls marks what it is given
            return answer(params)

        self._server.feature(method, options)(handle)

    @functools.cached_property
    def _editing(self) -> Editing:
        from sidecar.workflows.editing import Editing  # noqa: PLC0415  (only who edits waits for it)

        return Editing(state_folder(self._environ), self._environ, self._opened)

    def look_again(self) -> None:
        """At every open file: what is known of the cloud has changed."""
        for document in list(self._server.workspace.text_documents.values()):
            self._publish(document)

    def _begin(self, params: lsp.InitializeParams) -> None:
        options = params.initialization_options
        given = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
        self._tells_syntax = given.get("tellsSyntax") is True
        self._tells_schema = given.get("tellsSchema") is True
        said = given.get("catalogue")
        known = cast("dict[object, object]", said) if isinstance(said, dict) else {}
        self._catalogue = {key: text for key, text in known.items() if isinstance(key, str) and isinstance(text, str)}

    def _changed(self, params: Any) -> None:
        document = self._server.workspace.get_text_document(params.text_document.uri)
        file = _file(document.uri)
        if file is not None and file.kind == "bicep":
            self.look_again()  # what the other files may state hangs on it
        else:
            self._publish(document)

    def _closed(self, params: lsp.DidCloseTextDocumentParams) -> None:
        """What is not open is told by the commands."""
        self._server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))

    def _publish(self, document: TextDocument) -> None:
        file = _file(document.uri)
        if file is None:
            return
        left = [each for each in self._findings(file, document) if not (self._tells_schema and each.by_schema)]
        found = [_Diagnosed(document).diagnostic(each, self._say) for each in left]
        self._server.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(document.uri, found, document.version)
        )

    def _findings(self, file: Edited, document: TextDocument) -> list[Finding]:
        found = self._editing.findings(file, document.source)
        return [each for each in found if each.code != self._editing.no_json] if self._tells_syntax else found

    def _complete(self, params: lsp.CompletionParams) -> lsp.CompletionList:
        document, file = self._document(params.text_document.uri)
        if file is None:
            return lsp.CompletionList(is_incomplete=False, items=[])
        offset = document.offset_at_position(params.position)
        place, offers = self._editing.offers(file, document.source, offset)
        within = _Diagnosed(document).range(place)
        return lsp.CompletionList(
            is_incomplete=False, items=[self._item(each, within, n) for n, each in enumerate(offers)]
        )

    def _item(self, offer: Offer, within: lsp.Range, number: int) -> lsp.CompletionItem:
        about = self._say(offer.about) if isinstance(offer.about, Text) else offer.about
        return lsp.CompletionItem(
            label=offer.label,
            kind=lsp.CompletionItemKind.Property if ":" in offer.text else lsp.CompletionItemKind.Value,
            detail=offer.detail or None,
            documentation=about or None,
            sort_text=f"{number:04}",
            filter_text=f'"{offer.label}"' if offer.text.startswith('"') else offer.label,
            insert_text_format=lsp.InsertTextFormat.Snippet if "$0" in offer.text else lsp.InsertTextFormat.PlainText,
            text_edit=lsp.TextEdit(within, offer.text),
        )

    def _hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        document, file = self._document(params.text_document.uri)
        if file is None:
            return None
        said = self._editing.said(file, document.source, document.offset_at_position(params.position))
        if said is None:
            return None
        text = "\n\n".join(self._say(each) if isinstance(each, Text) else each for each in said.parts)
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), _Diagnosed(document).range(said.place))

    def _lenses(self, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
        _, file = self._document(params.text_document.uri)
        if file is None:
            return []
        start = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))
        return [
            lsp.CodeLens(start, lsp.Command(self._say(title), command, arguments=[str(file.folder)]))
            for title, command in self._editing.lenses[file.kind]
        ]

    def _fixes(self, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        document, file = self._document(params.text_document.uri)
        if file is None:
            return []
        made = _Diagnosed(document)
        return [
            lsp.CodeAction(
                title=self._say(fix.title),
                kind=lsp.CodeActionKind.QuickFix,
                diagnostics=[made.diagnostic(finding, self._say)],
                is_preferred=fix.sure,
                edit=lsp.WorkspaceEdit({document.uri: [lsp.TextEdit(made.range(fix.place), fix.text)]}),
            )
            for finding in self._findings(file, document)
            if _meet(made.range(finding.place), params.range)
            for fix in finding.fixes
        ]

    def _document(self, uri: str) -> tuple[TextDocument, Edited | None]:
        return self._server.workspace.get_text_document(uri), _file(uri)

    def _opened(self, path: Path) -> str | None:
        for uri, document in self._server.workspace.text_documents.items():
            if to_fs_path(uri) == str(path):
                return document.source
        return None

    def _say(self, text: Text) -> str:
        return text.translated(self._catalogue)


class _Diagnosed:
    """Places of one text as ranges, in the units that the client counts."""

    def __init__(self, document: TextDocument) -> None:
        self._document = document
        self._starts = [0]
        for line in document.lines:
            self._starts.append(self._starts[-1] + len(line))

    def range(self, place: Span) -> lsp.Range:
        found = lsp.Range(self._position(place.start), self._position(place.end))
        return self._document.position_codec.range_to_client_units(self._document.lines, found)

    def _position(self, offset: int) -> lsp.Position:
        line = max(0, bisect.bisect_right(self._starts, offset) - 1)
        return lsp.Position(line, offset - self._starts[line])

    def diagnostic(self, finding: Finding, say: Any) -> lsp.Diagnostic:
        severity = lsp.DiagnosticSeverity.Error if finding.certain else lsp.DiagnosticSeverity.Warning
        return lsp.Diagnostic(
            self.range(finding.place), say(finding.sentence), severity=severity, code=finding.code, source=SOURCE
        )


def _file(uri: str) -> Edited | None:
    from sidecar.workflows.editing import edited  # noqa: PLC0415  (as above)

    path = to_fs_path(uri)
    return None if path is None else edited(Path(path))


def _meet(one: lsp.Range, other: lsp.Range) -> bool:
    return not (_before(one.end, other.start) or _before(other.end, one.start))


def _before(one: lsp.Position, other: lsp.Position) -> bool:
    return (one.line, one.character) < (other.line, other.character)
