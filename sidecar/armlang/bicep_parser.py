"""Tokens to declarations. What can't be read costs its own declaration only: the rest of the file is read on."""

from __future__ import annotations

from typing import Literal as OneOf

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_expressions import Expressions
from sidecar.armlang.bicep_findings import Fault, Report
from sidecar.armlang.bicep_lexer import DEEPEST, Directive, Lexer, Token, too_deep
from sidecar.words.bicep_codes import OUTSIDE

TYPES = ("string", "int", "bool", "array", "object")
_BUILT_IN = ("any", "resourceInput", "resourceOutput", "resource", "true", "false", "null", "sys")
_OUTSIDE = ("import", "type", "func", "extension", "provider", "assert", "test", "using")
_DECLARED = ("param", "var", "resource", "module", "output", "metadata", "targetScope", *_OUTSIDE, "extends")
Decorators = tuple[t.Call, ...]


STATED = "stated"
"""The type of what a parameters file states of a parameter, which is read as a variable."""
USING = "using"
"""The name of what it states as its template, which is read as metadata."""
_IN_PARAMETERS = ("param", "var", "using")


def parse(source: str, report: Report, *, parameters: bool = False) -> tuple[list[t.Declaration], list[Directive]]:
    """All declarations in their order, and the directives about diagnostics; what could not be read is reported.

    `parameters`: it is a parameters file."""
    lexer = Lexer(source)
    try:
        parser = (_Stating if parameters else _Parser)(lexer.tokens())
    except Fault as fault:
        report.fault(fault)
        return [], []
    declarations = parser.file(report)
    report.foreign = parser.foreign
    return declarations, lexer.directives


class _Parser(Expressions):
    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        words = [each for each in tokens if each.kind == "word" and each.at.column == 1]
        self.foreign = False
        self._own_types = any(each.text in ("type", "import") for each in words)

    def file(self, report: Report) -> list[t.Declaration]:
        declarations: list[t.Declaration] = []
        self.newlines()
        while self.peek().kind != "end":
            start = self.place
            try:
                declaration = self._declaration()
                for each in t.expressions_of(declaration):
                    if t.height(each) > 2 * DEEPEST + 10:  # long chains of operators are as deep as brackets
                        raise too_deep(each.at)
                if self.peek().kind not in ("newline", "end"):
                    raise self.unexpected("BCP019")
                declarations.append(declaration)
            except Fault as fault:
                report.fault(fault)
                declarations += self._recovered(start)
            self.newlines()
        return declarations

    def _recovered(self, start: int) -> list[t.Declaration]:
        """What the lost declaration was called; goes on at the next line that begins one."""
        lost, self.place, self.depth = self.place, start, 0
        while self.peek().kind != "word" and self.peek().kind != "end":
            while self.peek().kind not in ("newline", "end"):
                self.next()
            self.newlines()
        first, (word, name) = self.place, (self.peek(), self.peek(1))
        self.place = max(first, lost)
        while self.place > first and self.tokens[self.place - 1].kind != "newline":
            self.place -= 1
        self.place += self.place == first and self.peek().kind != "end"
        while self.peek().kind != "end" and not self._begins():
            self.next()
        imported = word.text in ("import", "extension", "provider")
        names = self.tokens[first : self.place] if imported else [name] if word.text != "output" else []
        kind = "imported" if imported else ""
        return [t.Value("broken", each.text, each.at, type=kind) for each in names if each.kind == "word"]

    def _begins(self) -> bool:
        token = self.peek()
        first = token.at.column == 1 and self.tokens[self.place - 1].kind == "newline"
        return first and (token.text == "@" or (token.kind == "word" and token.text in _DECLARED))

    def _declaration(self) -> t.Declaration:
        decorators = self._decorators()
        word = self.peek()
        if word.kind == "end":
            raise Fault(decorators[-1].at, "BCP292")
        if word.kind != "word" or word.text not in _DECLARED:
            raise self.unexpected("BCP007", word=word.text)
        if word.text in _OUTSIDE:
            self.foreign = self.foreign or word.text in ("extension", "provider", "import")
            raise self.unexpected(OUTSIDE, what=word.text)
        self.next()
        match word.text:
            case "resource":
                return self.resource(decorators)
            case "module":
                return self._module(decorators)
            case "param" | "output" as kind:
                return self._typed(kind, decorators)
            case "var":
                return self._variable(decorators)
            case "metadata":
                name = self.name()
                self._assign()
                return t.Value("metadata", name.name, name.at, self.expression(), decorators)
            case _:
                self._assign()
                return t.Value("targetScope", word.text, word.at, self.expression(), decorators)

    def _decorators(self) -> Decorators:
        found: list[t.Call] = []
        while self.sees("@"):
            at = self.next().at
            made = self.expression()
            if not (isinstance(made, t.Call) and made.plain):
                raise Fault(at, "BCP123")
            found.append(made)
            if self.peek().kind not in ("newline", "end"):
                raise self.unexpected("BCP019")
            self.newlines()
        return tuple(found)

    def _assign(self, over_lines: bool = False) -> None:
        self.expect("=")
        before = self.place
        if over_lines:
            self.newlines()
            self.place = self.place if self.sees("{") or self.sees("[") or self.peek().text == "if" else before

    def _typed(self, word: OneOf["param", "output"], decorators: Decorators) -> t.Value:
        name = self.name(word)
        kind, nullable = self._type()
        value = None
        if word == "output" or self.sees("="):
            self._assign()
            value = self.expression()
        return t.Value(word, name.name, name.at, value, decorators, kind, nullable)

    def _variable(self, decorators: Decorators) -> t.Value:
        name = self.name("var")
        ahead = 0
        while not self.sees("=") and self.peek(ahead).kind not in ("newline", "end"):
            if self.peek(ahead).text in ("=", "{", "["):
                raise self.unexpected(OUTSIDE, what="a variable with a stated type")
            ahead += 1
        self._assign()
        return t.Value("var", name.name, name.at, self.expression(), decorators)

    def _type(self) -> tuple[str, bool]:
        token = self.peek()
        if token.kind == "word" and token.text not in TYPES and not self._own_types and token.text not in _BUILT_IN:
            raise self.unexpected("BCP302", word=token.text)
        mark = self.peek(1) if token.text in TYPES else token
        if mark is token and token.kind not in ("word", "string", "number") and not any(map(self.sees, "{[(-")):
            raise self.unexpected("BCP279")
        if mark is token or (mark.kind == "op" and mark.text in ("[", "|", ".")):
            raise self.unexpected(OUTSIDE, what="the type that begins with {word}", word=token.text)
        self.next()
        return token.text, self.accept("?")

    def _plain_string(self, key: str) -> Token:
        token = self.peek()
        if token.kind != "string":
            raise self.unexpected(key)
        if token.holes:
            raise self.unexpected("BCP032")
        return self.next()

    def resource(self, decorators: Decorators) -> t.Thing:
        name, kind = self.name("resource"), self._plain_string("BCP068")
        stated, _, version = kind.pieces[0].partition("@")
        existing = self.accept("existing", "word")
        self._assign(over_lines=True)
        return t.Thing("resource", name.name, name.at, stated, version, kind.at, existing, *self._body(), decorators)

    def _module(self, decorators: Decorators) -> t.Thing:
        name, path = self.name("module"), self._plain_string("BCP097")
        self._assign(over_lines=True)
        return t.Thing("module", name.name, name.at, path.pieces[0], "", path.at, False, *self._body(), decorators)

    def _body(self) -> tuple[t.Node | None, t.Loop | None, t.ObjectOf]:
        at, loop, condition = self.peek().at, None, None
        if self.sees("["):
            loop = self.array(self.next().at, of_things=True)
            if not isinstance(loop, t.Loop):
                raise Fault(at, "BCP012#loop")
            condition, body = loop.condition, loop.body
        else:
            condition = self.condition()
            if not self.sees("{"):
                raise self.unexpected("BCP018#body")
            body = self.primary()
        if not isinstance(body, t.ObjectOf):
            raise Fault(body.at, "BCP018#body")
        return condition, loop, body


class _Stating(_Parser):
    """Of a parameters file: values of parameters, variables, and the template that they are of."""

    def _declaration(self) -> t.Declaration:
        decorators, word = self._decorators(), self.peek()
        if word.text in _DECLARED and word.text not in _IN_PARAMETERS:
            raise self.unexpected(OUTSIDE, what="{word} in a parameters file", word=word.text)
        if word.text not in _IN_PARAMETERS or word.kind != "word":
            raise self.unexpected("BCP007#parameters", word=word.text)
        self.next()
        if word.text == "var":
            return self._variable(decorators)
        if word.text == "using":
            path = self._plain_string("BCP097#using")
            return t.Value("metadata", USING, path.at, t.Literal(path.pieces[0], path.at))
        name = self.name("param")
        self._assign()
        return t.Value("var", name.name, name.at, self.expression(), decorators, STATED)
