"""A plan as a person reads it, before anything changes: Markdown, from the same data that programs get as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidecar.decisions.checks import Check
from sidecar.decisions.plan import Work, summary
from sidecar.decisions.plan_cost import Cost
from sidecar.decisions.provisioning import NOUNS
from sidecar.words.names import PlanAction
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


def markdown(plan: PlanDocument) -> Text:
    parts = [
        _head(plan),
        _resources(plan.work),
        _list(Text("Revisions and traffic"), plan.effects),
        _list(
            Text("Files"),
            [
                Text("{file}: {action}. {why}", file=code(f.path), action=ACTIONS[f.action], why=f.why)
                for f in plan.work.files
            ],
        ),
        _list(
            Text("Wants a consent of its own"),
            [
                Text("ARM says that this goes, or can't change: {resource}", resource=code(each))
                for each in plan.work.risks
            ],
        ),
        _prices(plan),
        _list(Text("To be known"), plan.notes),
        _checks(plan.checks),
        _said(plan),
    ]
    return Text("{document}\n", document=_paragraphs(parts))


ACTIONS: dict[PlanAction, Text] = {
    "create": Text("create"),
    "update": Text("update"),
    "delete": Text("delete"),
    "unchanged": Text("unchanged"),
}
UNKNOWN = Text("unknown")


def _paragraphs(parts: Iterable[Text | str | None]) -> Text:
    return Text.listed([part for part in parts if part is not None and str(part)], "\n\n")


def _titled(title: Text, *parts: Text | str | None) -> Text:
    return _paragraphs([Text("## {title}", title=title), *parts])


def _head(plan: PlanDocument) -> Text:
    where = {"group": code(plan.group), "location": plan.location, "subscription": code(plan.subscription)}
    place = (
        Text(
            "Resource group {group} in {location}, subscription {subscription}. The app runs on {profile}.",
            **where,
            profile=code(plan.profile),
        )
        if plan.profile
        else Text("Resource group {group} in {location}, subscription {subscription}.", **where)
    )
    register = [
        Text("{namespace} is registered in the subscription first.", namespace=each) for each in plan.work.registers
    ]
    digest = Text("Digest: {digest}", digest=code(plan.digest[:16]))
    return _paragraphs(
        [
            Text("# {title}", title=Text("Plan for inference")),
            Text("**{summary}**", summary=summary(plan.work)),
            place,
            _items(register) if register else None,
            digest if plan.work.nothing else Text.listed([Text("Nothing has been changed yet."), digest], " "),
        ]
    )


def _resources(work: Work) -> Text | None:
    rows: list[Sequence[Text | str]] = []
    for action in ("delete", "create", "update", "unchanged"):
        for each in work.of(action):
            done = Text("{action} (by ARM's what-if)", action=ACTIONS[action]) if each.foreseen else ACTIONS[action]
            members = [f"{code(one.path)}: {code(one.before)} → {code(one.after)}" for one in each.members]
            rows.append((done, NOUNS.get(each.kind, each.kind), code(each.name), "<br>".join(members)))
    head = ("", Text("type"), Text("name"), Text("what changes"))
    width = 4 if any(row[3] for row in rows) else 3  # an empty column would push names out of a narrow page
    return _titled(Text("Resources"), table(head[:width], [row[:width] for row in rows])) if rows else None


def _prices(plan: PlanDocument) -> Text | None:
    cost, price = plan.cost, plan.cost.price
    if plan.profile is None:
        return None
    rows = [
        (
            Text("an hour awake, one node") if cost.dedicated else Text("an hour awake, one replica"),
            amount(price.awake, price.currency),
        ),
        (Text("an hour asleep"), amount(cost.asleep, price.currency)),
        (Text("a month at most ({what})", what=_at_most(cost)), amount(cost.month, price.currency)),
        (
            Text("a start that never gets ready, after {seconds} s", seconds=cost.bound),
            amount(cost.start, price.currency),
        ),
    ]
    source = price.source if str(price.source).endswith(".") else Text("{sentence}.", sentence=price.source)
    said = [source, NOT_IN_IT, *([] if plan.price_note is None else [plan.price_note])]
    bound = Text("Of a start: {why}.", why=cost.why) if str(cost.why) else None
    return _titled(Text("List prices"), table(("", Text("price")), rows), Text.listed(said, " "), bound)


def _at_most(cost: Cost) -> Text:
    if not cost.dedicated:
        return Text("{replicas} awake all month", replicas=cost.replicas)
    if cost.nodes is None:
        return Text("all its nodes all month")
    return Text("nodes all month: {nodes}", nodes=cost.nodes.most)


def amount(value: float | None, currency: str) -> Text | str:
    """Unknown is said as such; small amounts keep the digits that tell them apart."""
    if value is None:
        return UNKNOWN
    digits = 2 if value >= 1 or value == 0 else 4
    return f"{value:,.{digits}f} {currency}".rstrip()


def _checks(checks: Sequence[Check]) -> Text | None:
    lines = [
        Text.listed(
            [f"{each.verdict} {each.name}:", each.sentence, *([] if each.remedy is None else [each.remedy])], " "
        )
        for each in checks
    ]
    return _list(Text("Checks"), lines)


def _said(plan: PlanDocument) -> Text | None:
    if plan.unforeseen is not None:
        return _titled(Text("ARM's what-if"), Text("Unverified: {reason}", reason=plan.unforeseen))
    if plan.said is None:
        return None
    return _titled(Text("ARM's what-if, as it came"), f"```json\n{plan.said}\n```")


def _list(title: Text, lines: Sequence[Text]) -> Text | None:
    return _titled(title, _items(lines)) if lines else None


def _items(lines: Iterable[Text]) -> Text:
    return Text.listed([Text("- {line}", line=each) for each in lines], "\n")


def table(head: Sequence[Text | str], rows: Iterable[Sequence[Text | str]]) -> Text:
    lines = [head, ["---"] * len(head), *rows]
    return Text.listed([Text("| {cells} |", cells=Text.listed(each, " | ")) for each in lines], "\n")


def code(text: str) -> str:
    """As code, whatever is in it, and inside of a table."""
    return "`" + text.replace("`", "'").replace("|", "¦") + "`" if text else ""
