"""Bicep's expressions: tokens to values, by recursive descent with precedences."""

from __future__ import annotations

import sidecar.armlang.bicep_tree as t
from sidecar.armlang.bicep_findings import Fault
from sidecar.armlang.bicep_lexer import DEEPEST, Token, too_deep
from sidecar.dotnet.text import LARGEST
from sidecar.words.bicep_codes import OUTSIDE

_LEVELS = (("??",), ("||",), ("&&",), ("==", "!=", "=~", "!~"), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
_PRECEDENCE = {operator: level for level, each in enumerate(_LEVELS, 1) for operator in each}
_VALUES = {"true": True, "false": False, "null": None}


class Expressions:
    """The reading of expressions; what knows declarations is built upon it."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0

    def resource(self, decorators: tuple[t.Call, ...]) -> t.Thing:
        raise NotImplementedError  # declarations are read above

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.place + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        token = self.peek()
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def sees(self, operator: str) -> bool:
        return self.peek().kind == "op" and self.peek().text == operator

    def accept(self, text: str, kind: str = "op") -> bool:
        found = self.peek().kind == kind and self.peek().text == text
        self.place += found
        return found

    def newlines(self) -> None:
        while self.peek().kind == "newline":
            self.next()

    def unexpected(self, key: str, **args: object) -> Fault:
        """What the next token can't be read for: its own fault where it has one."""
        return self.peek().fault or Fault(self.peek().at, key, **args)

    def expect(self, operator: str) -> Token:
        if not self.sees(operator):
            raise self.unexpected("BCP018", mark=operator)
        return self.next()

    def name(self, word: str = "") -> t.Name:
        if self.peek().kind != "word":
            raise self.unexpected("BCP013", word=word)
        token = self.next()
        return t.Name(token.text, token.at)

    def deeper(self) -> None:
        if self.depth >= DEEPEST:
            raise too_deep(self.peek().at)
        self.depth += 1

    def condition(self) -> t.Node | None:
        """`if (…)` before a body."""
        if not self.accept("if", "word"):
            return None
        self.expect("(")
        found = self.expression()
        self.expect(")")
        return found

    def expression(self) -> t.Node:
        """A whole one; its parts may begin on the next line only before the ? and the : of a condition."""
        self.deeper()
        made = self._binary(1)
        if self._continued("?"):
            yes = self.expression()
            if not self._continued(":"):
                self.expect(":")
            made = t.Operation("?:", (made, yes, self.expression()), made.at)
        self.depth -= 1
        return made

    def _continued(self, operator: str) -> bool:
        before = self.place
        self.newlines()
        found = self.accept(operator)
        self.place = self.place if found else before
        return found

    def _binary(self, lowest: int) -> t.Node:
        left = self._unary()
        while True:
            token = self.peek()
            level = _PRECEDENCE.get(token.text, 0) if token.kind == "op" else 0
            if level < lowest:
                return left
            self.next()
            left = t.Operation(token.text, (left, self._binary(level + 1)), left.at)

    def _unary(self) -> t.Node:
        token = self.peek()
        if token.kind != "op" or token.text not in ("!", "-"):
            return self._postfix(self.primary())
        self.next()
        if self.sees("!") or self.sees("-"):
            raise self.unexpected("BCP009#sign", sign=token.text)
        return t.Operation(token.text, (self._postfix(self.primary(LARGEST + (token.text == "-"))),), token.at)

    def _postfix(self, target: t.Node) -> t.Node:
        while True:
            token = self.peek()
            if self.accept("."):
                target = self._member(target, self.accept("?"))
            elif self.accept("::"):
                name = self.name()
                target = t.Nested(target, name.name, name.at)
            elif self.accept("["):
                safe, from_end = self.accept("?"), self.accept("^")
                target = t.Access(target, self.expression(), safe, from_end, False, target.at)
                self.expect("]")
            elif self.accept("!"):
                target = t.Operation("assured", (target,), token.at)
            else:
                return target

    def _member(self, target: t.Node, safe: bool) -> t.Node:
        name = self.peek()
        if name.kind != "word":
            number = isinstance(target, t.Literal) and name.kind == "number"
            raise self.unexpected("BCP020#number" if number else "BCP020")
        self.next()
        if self.sees("("):
            return self._call(target, name, safe)
        return t.Access(target, t.Literal(name.text, name.at), safe, False, True, target.at)

    def primary(self, most: int = LARGEST) -> t.Node:
        token = self.peek()
        if token.kind not in ("string", "number", "word") and not any(map(self.sees, "([{")):
            raise self.unexpected("BCP009")
        self.next()
        if token.kind == "string":
            return self._string(token)
        if token.kind == "number":
            if len(token.text) > len(str(most)) or int(token.text) > most:
                raise Fault(token.at, "BCP010", number=token.text)
            return t.Literal(int(token.text), token.at)
        if token.text == "(":
            return self._brackets(token)
        if token.kind == "op":
            return self.array(token.at) if token.text == "[" else self._object(token.at)
        if token.text in _VALUES:
            return t.Literal(_VALUES[token.text], token.at)
        if self.sees("=>"):
            return self._lambda((t.Name(token.text, token.at),), token.at)
        return self._call(None, token, False) if self.sees("(") else t.Name(token.text, token.at)

    def _string(self, token: Token) -> t.Node:
        if not token.holes:
            return t.Literal(token.pieces[0], token.at)
        holes: list[t.Node] = []
        for tokens in token.holes:
            inner = type(self)(list(tokens))
            inner.depth = self.depth + 1
            holes.append(inner.expression())
            if inner.peek().kind != "end":
                raise inner.unexpected("BCP064", word=inner.peek().text.strip())
        return t.Interpolation(token.pieces, tuple(holes), token.at)

    def _brackets(self, token: Token) -> t.Node:
        if names := self._lambda_names():
            return self._lambda(names, token.at)
        if self.peek().kind == "newline" or self.sees(")"):
            raise self.unexpected("BCP243")
        inner = self.expression()
        if self.sees(","):
            raise self.unexpected("BCP243")
        self.expect(")")
        return t.Operation("group", (inner,), token.at) if isinstance(inner, t.Access | t.Operation | t.Loop) else inner

    def _lambda_names(self) -> tuple[t.Name, ...]:
        """`a, b) =>` behind an opening bracket, passed; nothing where it is something else."""
        before, names = self.place, list[t.Name]()
        self.newlines()
        while self.peek().kind == "word":
            names.append(self.name())
            comma = self.accept(",")
            self.newlines()
            if not comma:
                break
        if self.accept(")") and self.sees("=>"):
            return tuple(names)
        self.place = before
        return ()

    def _lambda(self, names: tuple[t.Name, ...], at: t.Place) -> t.Node:
        self.expect("=>")
        self.newlines()
        return t.Lambda(names, self.expression(), at)

    def _call(self, target: t.Node | None, name: Token, safe: bool) -> t.Call:
        opening = self.expect("(").at
        arguments: list[t.Node] = []
        self.newlines()
        while not self.sees(")"):
            arguments.append(self.expression())
            comma = self.accept(",")
            self.newlines()
            if comma and self.sees(")"):
                raise self.unexpected("BCP009#comma")
            if not comma and not self.sees(")"):
                raise self.unexpected("BCP237")
        closing = self.next().at
        length = closing.column - opening.column + 1 if closing.line == opening.line else 1
        brackets = t.Place(opening.line, opening.column, length)
        return t.Call(target, name.text, tuple(arguments), safe, brackets, name.at)

    def _separator(self, closing: str) -> None:
        """Behind an item: a new line, a comma that is followed by another item, or the closing bracket."""
        if self.peek().kind == "newline":
            self.newlines()
        elif self.accept(","):
            if self.peek().kind == "newline":
                raise self.unexpected("BCP238")
        elif not self.sees(closing):
            raise self.unexpected("BCP018" if self.peek().kind == "end" else "BCP236", mark=closing)

    def array(self, at: t.Place, of_things: bool = False) -> t.Node:
        """Behind its opening bracket. `of_things`: of resources or modules, whose loops alone have conditions."""
        self.newlines()
        after = self.peek(1)
        if self.peek().text == "for" and (after.kind == "word" or after.text == "("):
            return self._loop(at, of_things)
        items: list[t.Node] = []
        while not self.accept("]"):
            items.append(self._spread() or self.expression())
            self._separator("]")
        return t.ArrayOf(tuple(items), at)

    def _loop(self, at: t.Place, of_things: bool) -> t.Loop:
        self.next()
        both = self.accept("(")
        item, index = self.name(), None
        if both:
            self.expect(",")
            index = self.name()
            self.expect(")")
        if not self.accept("in", "word"):
            raise self.unexpected("BCP012")
        source = self.expression()
        self.expect(":")
        condition = self.condition()
        if condition is not None and not of_things:
            raise self.unexpected("BCP018#condition")
        body = self.expression()
        self.newlines()
        self.expect("]")
        return t.Loop(item, index, source, condition, body, at)

    def _spread(self) -> t.Spread | None:
        at = self.peek().at
        return t.Spread(self.expression(), at) if self.accept("...") else None

    def _object(self, at: t.Place) -> t.ObjectOf:
        members: list[t.Entry | t.Spread] = []
        nested: list[t.Thing] = []
        self.newlines()
        while not self.accept("}"):
            if self.sees("@"):
                raise self.unexpected(OUTSIDE, what="decorators on a resource inside another")
            if self.peek().text == "resource" and self.peek(1).kind == "word":
                self.next()
                nested.append(self.resource(()))
            else:
                members.append(self._spread() or self._entry())
            self._separator("}")
        return t.ObjectOf(tuple(members), tuple(nested), at)

    def _entry(self) -> t.Entry:
        token = self.peek()
        if token.kind not in ("word", "string"):
            raise self.unexpected("BCP018" if token.kind == "end" else "BCP022", mark="}")
        self.next()
        key = self._string(token) if token.kind == "string" else t.Literal(token.text, token.at)
        self.expect(":")
        return t.Entry(key, self.expression(), token.at)
