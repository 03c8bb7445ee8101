"""A plan as a person reads it, before anything changes: Markdown, from the same data that programs get as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidecar.decisions.checks import Check
from sidecar.decisions.plan import Work, summary
from sidecar.decisions.plan_cost import Cost
from sidecar.decisions.provisioning import NOUNS
from sidecar.words.text import Text


@dataclass(frozen=True, kw_only=True)
class PlanDocument:
    """`unforeseen`: why ARM's what-if could not be read; None where it was, or was not needed. `said`: ARM's own list as JSON,
    where that was asked for."""

    digest: str
    subscription: str
    group: str
    location: str
    profile: str | None
    work: Work
    effects: tuple[Text, ...]
    notes: tuple[Text, ...]
    cost: Cost
    price_note: Text | None
    checks: tuple[Check, ...]
    unforeseen: Text | None
    said: str | None = None


NOT_IN_IT = Text("List prices, before discounts and free amounts; storage, logs and traffic are not in them.")


def markdown(plan: PlanDocument) -> str:
    parts = [
        _head(plan),
        _resources(plan.work),
        _list("Revisions and traffic", plan.effects),
        _list("Files", [f"`{each.path}`: {each.action}. {each.why}" for each in plan.work.files]),
        _list(
            "Wants a consent of its own",
            [f"ARM says that this goes, or can't change: {code(each)}" for each in plan.work.risks],
        ),
        _prices(plan),
        _list("To be known", plan.notes),
        _checks(plan.checks),
        _said(plan),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(plan: PlanDocument) -> str:
    where = f"Resource group {code(plan.group)} in {plan.location}, subscription {code(plan.subscription)}."
    profile = f" The app runs on {code(plan.profile)}." if plan.profile else ""
    register = [f"- {each} is registered in the subscription first." for each in plan.work.registers]
    lines = ["# Plan for inference", "", f"**{summary(plan.work)}**", "", where + profile]
    lines += ["", *register] if register else []
    yet = "" if plan.work.nothing else "Nothing has been changed yet. "
    return "\n".join([*lines, "", f"{yet}Digest: {code(plan.digest[:16])}"])


def _resources(work: Work) -> str:
    rows: list[Sequence[str]] = []
    for action in ("delete", "create", "update", "unchanged"):
        for each in work.of(action):
            by = " (by ARM's what-if)" if each.foreseen else ""
            members = [f"{code(one.path)}: {code(one.before)} → {code(one.after)}" for one in each.members]
            rows.append((f"{action}{by}", NOUNS.get(each.kind, each.kind), code(each.name), "<br>".join(members)))
    return "## Resources\n\n" + table(("", "type", "name", "what changes"), rows) if rows else ""


def _prices(plan: PlanDocument) -> str:
    cost, price = plan.cost, plan.cost.price
    if plan.profile is None:
        return ""
    rows = [
        (
            "an hour awake, one node" if cost.dedicated else "an hour awake, one replica",
            amount(price.awake, price.currency),
        ),
        ("an hour asleep", amount(cost.asleep, price.currency)),
        (f"a month at most ({_at_most(cost)})", amount(cost.month, price.currency)),
        (f"a start that never ends, after {cost.bound} s", amount(cost.start, price.currency)),
    ]
    said = [f"{price.source}." if not str(price.source).endswith(".") else str(price.source), str(NOT_IN_IT)]
    said += [str(plan.price_note)] if plan.price_note is not None else []
    bound = f"Of a start: {cost.why}." if str(cost.why) else ""
    return "\n\n".join(part for part in ("## List prices", table(("", "price"), rows), " ".join(said), bound) if part)


def _at_most(cost: Cost) -> str:
    if not cost.dedicated:
        return f"{cost.replicas} awake all month"
    return "all its nodes all month" if cost.nodes is None else f"nodes all month: {cost.nodes.most}"


def amount(value: float | None, currency: str) -> str:
    """Unknown is said as such; small amounts keep the digits that tell them apart."""
    if value is None:
        return "unknown"
    digits = 2 if value >= 1 or value == 0 else 4
    return f"{value:,.{digits}f} {currency}".rstrip()


def _checks(checks: Sequence[Check]) -> str:
    lines = [f"{each.verdict} {each.name}: {each.sentence} {each.remedy or ''}".rstrip() for each in checks]
    return _list("Checks", lines)


def _said(plan: PlanDocument) -> str:
    if plan.unforeseen is not None:
        return f"## ARM's what-if\n\nUnverified: {plan.unforeseen}"
    return f"## ARM's what-if, as it came\n\n```json\n{plan.said}\n```" if plan.said is not None else ""


def _list(title: str, lines: Iterable[object]) -> str:
    shown = [f"- {each}" for each in lines]
    return "\n".join([f"## {title}", "", *shown]) if shown else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(each) + " |" for each in lines)


def code(text: str) -> str:
    """As code, whatever is in it, and inside of a table."""
    return "`" + text.replace("`", "'").replace("|", "¦") + "`" if text else ""
