"""What a check of the set-up says: a verdict with its reason, and what helps. What could not be read is never a pass. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.words.errors import SlipwayError, TemplateError
from sidecar.words.names import Verdict
from sidecar.words.problems import Problem
from sidecar.words.text import Text


@dataclass(frozen=True)
class Unread:
    """A fact that could not be had, and why."""

    reason: Text


@dataclass(frozen=True)
class Check:
    """`name`: by which people and programs call it. `parameter`: of the parameters file, where one decides.
    `code`: of a failure. `problem`: a place in the person's files, where no parameter that can be read tells it."""

    name: str
    verdict: Verdict
    sentence: Text
    remedy: Text | None = None
    parameter: str | None = None
    code: str | None = None
    problem: Problem | None = None


def passed(name: str, sentence: Text) -> Check:
    return Check(name, "PASS", sentence)


def warned(name: str, sentence: Text, remedy: Text | None = None, parameter: str | None = None) -> Check:
    return Check(name, "WARN", sentence, remedy, parameter)


def unverified(name: str, unread: Unread, remedy: Text | None = None) -> Check:
    return Check(name, "UNVERIFIED", unread.reason, remedy)


def failed(name: str, code: str, sentence: Text, remedy: Text, parameter: str | None = None) -> Check:
    return Check(name, "FAIL", sentence, remedy, parameter, code)


def failed_as(name: str, error: SlipwayError, parameter: str | None = None) -> Check:
    """A refusal that is an error elsewhere."""
    return Check(name, "FAIL", error.message, error.suggestion, parameter, error.code)


def of_files(error: SlipwayError) -> tuple[Check, ...]:
    """Of a template or parameters that can't be taken: a row for each place. What the cloud has to say depends on them."""
    name = "template" if isinstance(error, TemplateError) else "parameters"
    wrong = tuple(
        Check(name, "FAIL", each.message, error.suggestion, code=error.code, problem=each)
        for each in error.problems
        if each.certain or not any(one.certain for one in error.problems)
    )
    unlooked = Text("Nothing else was looked at: it depends on the parameters.")
    if name == "template":
        unlooked = Text("Nothing else was looked at: it depends on the template.")
        wrong += of_template([each for each in error.problems if not any(one.problem is each for one in wrong)])
    return (*(wrong or (failed_as(name, error),)), unverified("everything else", Unread(unlooked)))


def of_template(warnings: Sequence[Problem]) -> tuple[Check, ...]:
    """What a compiler warns of."""
    return tuple(Check("template", "WARN", each.message, problem=each) for each in warnings)


def failures(checks: Sequence[Check]) -> tuple[Check, ...]:
    return tuple(each for each in checks if each.verdict == "FAIL")
