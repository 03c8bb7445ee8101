"""Bicep's syntax, as far as the subset goes: text to tokens to declarations and expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.armlang.bicep_tree import (
    ArrayOf,
    Binary,
    Call,
    Declaration,
    Decorator,
    Expression,
    Index,
    Interpolation,
    Literal,
    Member,
    Metadata,
    Name,
    ObjectOf,
    Output,
    Parameter,
    Resource,
    Ternary,
    Unary,
    Variable,
)
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

TYPES = {"string", "int", "bool", "array", "object"}
_REFUSED = {"module", "import", "type", "func", "using", "provider", "extension", "assert", "test", "for"}
_PRECEDENCE = [{"??"}, {"||"}, {"&&"}, {"==", "!=", "=~", "!~"}, {"<", "<=", ">", ">="}, {"+", "-"}, {"*", "/", "%"}]
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "'": "'", "\\": "\\", "$": "$"}
_TOKEN = re.compile(
    r"(?P<space>[ \t]+|//[^\n]*|/\*.*?\*/)|(?P<newline>\n)|(?P<multi>'''(?:\n)?.*?''')|(?P<number>\d+)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<quote>')"
    r"|(?P<op>\?\?|\.\?|\|\||&&|==|!=|=~|!~|<=|>=|=>|\.\.\.|[@(){}\[\],.:?!<>+\-*/%=])",
    re.DOTALL,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int
    value: Expression | None = None


def refuse(line: int, what: str) -> TemplateError:
    """The error for a construct outside the subset, or one that is no Bicep at all."""
    return TemplateError(
        Text("line {line}: {what}", line=line, what=what),
        Text("Install the Bicep CLI to compile templates beyond Slipway's subset, or take this construct out."),
        code="BicepSubset",
    )


def parse(source: str) -> tuple[Declaration, ...]:
    """Reads a whole file. Source: text with LF line ends. Raises TemplateError with the line outside the subset."""
    return _Parser(_tokens(source, 1)).file()


def _tokens(source: str, line: int) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while place < len(source):
        match = _TOKEN.match(source, place)
        if match is None:
            raise refuse(line, f"unexpected character {source[place]!r}")
        kind, text = match.lastgroup or "", match.group()
        if kind == "quote":
            value, end = _string(source, place, line)
            tokens.append(_Token("string", source[place:end], line, value))
            place = end
            continue
        if kind == "multi":
            body = text[3:-3]
            tokens.append(_Token("string", text, line, Literal(body.removeprefix("\n"), line)))
        elif kind != "space":
            tokens.append(_Token(kind, text, line))
        line += text.count("\n")
        place = match.end()
    tokens.append(_Token("end", "", line))
    return tokens


def _string(source: str, start: int, line: int) -> tuple[Expression, int]:
    """A quoted string that starts at `start`; returns its expression and the place after the closing quote."""
    pieces: list[str] = []
    holes: list[Expression] = []
    text, place = "", start + 1
    while place < len(source) and source[place] != "\n":
        character = source[place]
        if character == "'":
            pieces.append(text)
            if not holes:
                return Literal(text, line), place + 1
            return Interpolation(tuple(pieces), tuple(holes), line), place + 1
        if character == "\\":
            escape = source[place + 1 : place + 2]
            if escape not in _ESCAPES:
                raise refuse(line, f"the escape \\{escape} is outside the subset")
            text += _ESCAPES[escape]
            place += 2
        elif source.startswith("${", place):
            end = _closing(source, place + 2, line)
            holes.append(_Parser(_tokens(source[place + 2 : end], line)).lone_expression())
            pieces.append(text)
            text, place = "", end + 1
        else:
            text += character
            place += 1
    raise refuse(line, "this string has no closing quote")


def _closing(source: str, place: int, line: int) -> int:
    depth = 0
    while place < len(source) and source[place] != "\n":
        if source[place] == "'":
            _, place = _string(source, place, line)
            continue
        if source[place] == "}" and depth == 0:
            return place
        depth += {"{": 1, "}": -1}.get(source[place], 0)
        place += 1
    raise refuse(line, "this ${ has no closing }")


class _Parser:
    """Recursive descent over one file's tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0

    def file(self) -> tuple[Declaration, ...]:
        declarations: list[Declaration] = []
        self._newlines()
        while self._peek().kind != "end":
            declaration = self._declaration()
            if declaration is not None:
                declarations.append(declaration)
            if self._peek().kind not in ("newline", "end"):
                raise refuse(self._peek().line, f"unexpected {self._peek().text!r} after a declaration")
            self._newlines()
        return tuple(declarations)

    def lone_expression(self) -> Expression:
        expression = self.expression()
        if self._peek().kind != "end":
            raise refuse(self._peek().line, f"unexpected {self._peek().text!r} inside ${{…}}")
        return expression

    def _declaration(self) -> Declaration | None:
        decorators: list[Decorator] = []
        while self._accept("@"):
            decorators.append(self._decorator())
            self._newlines()
        word = self._word()
        if decorators and word.text != "param":
            named = sorted({each.name for each in decorators} - {"description"})
            if named:
                raise refuse(word.line, f"the decorators {named} on {word.text!r} are outside the subset")
        match word.text:
            case "targetScope":
                self._expect("=")
                scope = self.expression()
                if not (isinstance(scope, Literal) and scope.value == "resourceGroup"):
                    raise refuse(word.line, "targetScope other than 'resourceGroup' is outside the subset")
                return None
            case "param":
                return self._parameter(word.line, tuple(decorators))
            case "var":
                name = self._word().text
                self._expect("=")
                return Variable(name, self.expression(), word.line)
            case "metadata":
                name = self._word().text
                self._expect("=")
                return Metadata(name, self.expression(), word.line)
            case "resource":
                return self._resource(word.line)
            case "output":
                name, kind = self._word().text, self._type()
                self._expect("=")
                return Output(name, kind, self.expression(), word.line)
            case _:
                raise refuse(word.line, f"{word.text!r} is outside the subset")

    def _decorator(self) -> Decorator:
        word = self._word()
        if word.text == "sys" and self._accept("."):
            word = self._word()
        self._expect("(")
        return Decorator(word.text, self._arguments(), word.line)

    def _parameter(self, line: int, decorators: tuple[Decorator, ...]) -> Parameter:
        name, kind = self._word().text, self._type()
        nullable = self._accept("?")
        default = self.expression() if self._accept("=") else None
        return Parameter(name, kind, nullable, default, decorators, line)

    def _type(self) -> str:
        word = self._word()
        if word.text not in TYPES or self._peek().text in ("[", "|"):
            raise refuse(word.line, f"the type {word.text!r} is outside the subset")
        return word.text

    def _resource(self, line: int) -> Resource:
        name = self._word().text
        token = self._next()
        if not isinstance(token.value, Literal) or "@" not in str(token.value.value):
            raise refuse(line, "a resource needs 'type@api-version'")
        kind, _, version = str(token.value.value).partition("@")
        existing = self._peek().text == "existing"
        if existing:
            self._next()
        self._expect("=")
        condition = None
        if self._peek().text == "if":
            self._next()
            self._expect("(")
            condition = self.expression()
            self._expect(")")
        if self._peek().text == "[":
            raise refuse(line, "a resource loop is outside the subset")
        body = self._primary()
        if not isinstance(body, ObjectOf):
            raise refuse(line, "a resource needs a body in braces")
        return Resource(name, kind, version, existing, condition, body, line)

    def expression(self, level: int = 0) -> Expression:
        if level == 0:
            condition = self.expression(1)
            self._continue_line("?")
            if not self._accept("?"):
                return condition
            yes = self.expression()
            self._continue_line(":")
            self._expect(":")
            return Ternary(condition, yes, self.expression(), condition.line)
        if level > len(_PRECEDENCE):
            return self._unary()
        left = self.expression(level + 1)
        while self._peek().text in _PRECEDENCE[level - 1] and self._peek().kind == "op":
            operator = self._next().text
            left = Binary(operator, left, self.expression(level + 1), left.line)
        return left

    def _unary(self) -> Expression:
        token = self._peek()
        if token.kind == "op" and token.text in ("!", "-"):
            self._next()
            return Unary(token.text, self._unary(), token.line)
        return self._postfix(self._primary())

    def _postfix(self, target: Expression) -> Expression:
        while self._peek().kind == "op":
            token = self._peek()
            if token.text in (".", ".?"):
                self._next()
                name = self._word()
                if self._accept("("):
                    target = Call(target, name.text, self._arguments(), name.line)
                else:
                    target = Member(target, name.text, token.text == ".?", name.line)
            elif token.text == "[":
                self._next()
                target = Index(target, self.expression(), token.line)
                self._expect("]")
            elif token.text == "!":
                self._next()  # the non-null assertion says something to Bicep's type checker only
            else:
                break
        return target

    def _primary(self) -> Expression:
        token = self._next()
        if token.value is not None:
            return token.value
        if token.kind == "number":
            return Literal(int(token.text), token.line)
        if token.kind == "word":
            if token.text in ("true", "false", "null"):
                return Literal({"true": True, "false": False, "null": None}[token.text], token.line)
            if token.text in _REFUSED:
                raise refuse(token.line, f"{token.text!r} is outside the subset")
            if self._accept("("):
                return Call(None, token.text, self._arguments(), token.line)
            return Name(token.text, token.line)
        if token.text == "(":
            inner = self.expression()
            self._expect(")")
            return inner
        if token.text == "[":
            return ArrayOf(self._items("]"), token.line)
        if token.text == "{":
            return self._object(token.line)
        raise refuse(token.line, f"unexpected {token.text!r}" if token.text.strip() else "unexpected end of line")

    def _items(self, closing: str) -> tuple[Expression, ...]:
        items: list[Expression] = []
        self._newlines()
        while not self._accept(closing):
            items.append(self.expression())
            if not self._accept(",") and self._peek().kind != "newline" and self._peek().text != closing:
                raise refuse(self._peek().line, f"unexpected {self._peek().text!r} in a list")
            self._newlines()
        return tuple(items)

    def _arguments(self) -> tuple[Expression, ...]:
        return self._items(")")

    def _object(self, line: int) -> ObjectOf:
        entries: list[tuple[str, Expression]] = []
        self._newlines()
        while not self._accept("}"):
            token = self._next()
            if token.kind == "word":
                key = token.text
            elif isinstance(token.value, Literal) and isinstance(token.value.value, str):
                key = token.value.value
            else:
                raise refuse(token.line, f"{token.text!r} as a property name is outside the subset")
            if key == "resource" and self._peek().kind == "word":
                raise refuse(token.line, "a nested resource is outside the subset: use `parent`")
            self._expect(":")
            entries.append((key, self.expression()))
            if not self._accept(",") and self._peek().kind != "newline" and self._peek().text != "}":
                raise refuse(self._peek().line, f"unexpected {self._peek().text!r} in an object")
            self._newlines()
        return ObjectOf(tuple(entries), line)

    def _continue_line(self, operator: str) -> None:
        """A ternary may stand over several lines: its `?` and `:` then begin a line."""
        ahead = self._place
        while self._tokens[ahead].kind == "newline":
            ahead += 1
        if self._tokens[ahead].text == operator and self._tokens[ahead].kind == "op":
            self._place = ahead

    def _peek(self) -> _Token:
        return self._tokens[self._place]

    def _next(self) -> _Token:
        token = self._tokens[self._place]
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _accept(self, operator: str) -> bool:
        if self._peek().kind == "op" and self._peek().text == operator:
            self._next()
            return True
        return False

    def _expect(self, operator: str) -> None:
        token = self._peek()
        if not self._accept(operator):
            raise refuse(token.line, f"expected {operator!r}, found {token.text.strip() or 'the end of the line'!r}")

    def _word(self) -> _Token:
        token = self._next()
        if token.kind != "word":
            raise refuse(token.line, f"expected a name, found {token.text.strip() or 'the end of the line'!r}")
        return token

    def _newlines(self) -> None:
        while self._peek().kind == "newline":
            self._next()
