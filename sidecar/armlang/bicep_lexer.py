"""Text to tokens: words, numbers, strings with the tokens of their holes, operators and the ends of lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.armlang.bicep_findings import Fault
from sidecar.armlang.bicep_tree import Place
from sidecar.dotnet.text import paired
from sidecar.words.bicep_codes import OUTSIDE

DEEPEST = 100
"""Brackets, and strings within holes, are read to this depth."""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "'": "'", "\\": "\\", "$": "$"}
_TOKEN = re.compile(
    r"(?P<space>[ \t]+|//[^\r\n]*)|(?P<newline>\r\n|\n|\r)|(?P<comment>/\*)|(?P<multi>''')|(?P<dollar>\$+''')|(?P<number>\d+)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<quote>')|(?P<directive>#[a-zA-Z-]+[^\r\n]*)"
    r"|(?P<op>\?\?|\.\.\.|\|\||&&|==|!=|=~|!~|<=|>=|=>|::|[@(){}\[\],.:?!<>+\-*/%=|^])"
)
_UNICODE = r"u\{((?:0?[0-9A-Fa-f]|10)?[0-9A-Fa-f]{1,4})\}"
_ESCAPE = re.compile(rf"\\(?:[nrt'\\$]|{_UNICODE})")
_TEXT = re.compile(rf"(?:[^'\\$\r\n]|\$(?!\{{)|{_ESCAPE.pattern})*")
_LINE_END = re.compile(r"\r\n|\n|\r")
_MULTI_END = re.compile(r"'''(?!')")
_DIRECTIVE = re.compile(r"#(disable-next-line|disable-diagnostics|restore-diagnostics)(?![\w-])")


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: word, number, string, op, newline, end or fault."""

    kind: str
    text: str
    at: Place
    pieces: tuple[str, ...] = ()
    holes: tuple[tuple[Token, ...], ...] = ()
    fault: Fault | None = None


Directive = tuple[str, frozenset[str], int]
"""disable-next-line, disable-diagnostics or restore-diagnostics; its codes; its line."""


def quiet(directives: list[Directive], code: str, line: int) -> bool:
    """Whether directives silence a diagnostic at a line."""
    found = False
    for name, codes, at in directives:
        if name == "disable-next-line":
            found = found or (at == line - 1 and code in codes)
        elif at < line and code in codes:
            found = name == "disable-diagnostics"
    return found


class Lexer:
    """Reads one file. What it can't read becomes a token with its fault: only the declaration around it is lost."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._place: int = 0
        self._line = 1
        self._line_start = 0
        self.directives: list[Directive] = []

    def tokens(self) -> list[Token]:
        return [*self._until(None, 0), Token("end", "", self._at(0))]

    def _at(self, length: int = 1) -> Place:
        return Place(self._line, self._place - self._line_start + 1, max(length, 1))

    def _pass(self, end: int) -> None:
        """Goes on behind `end`, and counts the line ends on the way."""
        for each in _LINE_END.finditer(self._source, self._place, end):
            self._line, self._line_start = self._line + 1, each.end()
        self._place = end

    def _fault(self, at: Place, key: str, text: str = "", **args: object) -> Token:
        return Token("fault", text, at, fault=Fault(at, key, **args))

    def _until(self, closing: str | None, depth: int) -> list[Token]:
        """All tokens; in a hole those up to its brace, which is passed."""
        tokens: list[Token] = []
        braces = 0
        while self._place < len(self._source):
            match = _TOKEN.match(self._source, self._place)
            kind, text = (match.lastgroup or "", match.group()) if match else ("", "")
            if closing is not None:
                if text == closing and braces == 0:
                    self._place += 1
                    return tokens
                if kind == "newline":
                    break
                braces += {"{": 1, "}": -1}.get(text, 0)
            at = self._at(len(text))
            if kind in ("", "quote", "multi", "comment", "dollar", "directive"):
                tokens += self._special(kind, text, at, depth)
            else:
                self._pass(self._place + len(text))
                tokens += [Token(kind, text, at)] if kind != "space" else []
        return tokens if closing is None else [*tokens, self._fault(self._at(), "BCP004#hole")]

    def _special(self, kind: str, text: str, at: Place, depth: int) -> list[Token]:
        start, before = self._place, self._source[self._line_start : self._place]
        match kind:
            case "quote":
                return [self._string(depth)]
            case "directive" if (found := _DIRECTIVE.match(text)) and not before.strip():
                self.directives.append((found[1], frozenset(text[found.end() :].split("//")[0].split()), at.line))
                self._place += len(text)
                return []
            case "dollar":
                self._place += len(text)
                return [self._fault(at, OUTSIDE, text, what="multi-line strings with holes")]
            case "comment":
                end = self._source.find("*/", start + 2)
                self._pass(len(self._source) if end < 0 else end + 2)
                return [self._fault(at, "BCP002")] if end < 0 else []
            case "multi":
                ending = _MULTI_END.search(self._source, start + 3)
                self._pass(len(self._source) if ending is None else ending.end())
                if ending is None:
                    return [self._fault(at, "BCP140")]
                body = self._source[start + 3 : ending.start()]
                first = _LINE_END.match(body)
                return [Token("string", "'''", at, (body[first.end() :] if first else body,))]
            case _:
                return [self._unknown()]

    def _unknown(self) -> Token:
        character, at = self._source[self._place], self._at()
        line = _LINE_END.search(self._source, self._place)
        end = len(self._source) if line is None else line.start()
        if character == '"':
            closing = self._source.find('"', self._place + 1, end)
            self._place = end if closing < 0 else closing + 1
            return self._fault(at, "BCP103", character)
        if character == "#":
            self._place = end
            return self._fault(at, "BCP001#hash", character)
        self._place += 1
        shown = character if character.isprintable() else f"U+{ord(character):04X}"
        return self._fault(at, "BCP001", character, character=shown)

    def _string(self, depth: int) -> Token:
        start, at = self._place, self._at()
        pieces, holes = list[str](), list[tuple[Token, ...]]()
        fault: Fault | None = None
        self._place += 1
        while True:
            text = _TEXT.match(self._source, self._place)
            assert text is not None, "it may be empty"
            self._place = text.end()
            pieces.append(paired(_ESCAPE.sub(_unescaped, text[0])))
            if any("\ud800" <= each <= "\udfff" for each in pieces[-1]):
                fault = fault or Fault(at, OUTSIDE, what="half a character")
            mark = self._source[self._place : self._place + 2]
            if mark[:1] == "'":
                self._place += 1
                kind, shown = "fault" if fault else "string", self._source[start : self._place]
                return Token(kind, shown, Place(at.line, at.column, len(shown)), tuple(pieces), tuple(holes), fault)
            if mark[:1] == "\\":
                fault = fault or Fault(self._at(2), "BCP006", escape=mark.strip())
                self._place += 1
                pieces.pop()
                continue
            if mark != "${":
                return self._fault(at, "BCP004", "'")
            self._place += 2
            if depth >= DEEPEST:
                raise too_deep(at)
            hole = self._until("}", depth + 1)
            if hole and hole[-1].fault is not None:
                return Token("fault", "'", at, fault=hole[-1].fault)
            holes.append((*hole, Token("end", "", self._at())))


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPES[escape[0][1]]


def too_deep(at: Place) -> Fault:
    return Fault(at, OUTSIDE, what="more than {most} levels within each other", most=DEEPEST)
