"""What is wrong in a project's files while they are edited: where, why, and what would mend it. Pure; nobody is asked.

The rules are those of the commands: what is told here is what would stop them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from sidecar.core.deployment import Template, VaultSecret
from sidecar.core.evaluation import misstated as misstated_evaluation
from sidecar.core.last_read import LastRead
from sidecar.core.located import Member, Span, Value, span_at
from sidecar.core.parameter_forms import is_placeholder, wrong_form
from sidecar.core.smoke import misstated as misstated_questions
from sidecar.core.workspace import CONFIG_KEYS
from sidecar.decisions.azure_names import RULES, Rule
from sidecar.decisions.profiles import DEFAULT_TYPE, PROFILE_TYPE
from sidecar.decisions.provisioning import ACCOUNT, APP, SHARE
from sidecar.decisions.stated_parameters import misstated
from sidecar.words.nearest import nearest
from sidecar.words.refused import Finding as BicepFinding
from sidecar.words.text import Text


@dataclass(frozen=True)
class Fix:
    """`text` goes in the place's stead. `sure`: whether it is the only thing that can have been meant."""

    title: Text
    place: Span
    text: str
    sure: bool = False


@dataclass(frozen=True)
class Finding:
    """`certain`: it stops the command; else it may. `by_schema`: the file's JSON Schema tells it too."""

    place: Span
    code: str
    sentence: Text
    certain: bool = True
    fixes: tuple[Fix, ...] = ()
    by_schema: bool = False


INSTANCES = "maximumInstanceCount"
LOCATION = "location"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONFIG_RULES = {"STORAGE_ACCOUNT_NAME": ACCOUNT, "FILE_SHARE_NAME": SHARE, "ACA_APP_NAME": APP}
BY_PARAMETER = {rule.parameter.lower(): rule for rule in RULES.values()}


def of_parameters(root: Value, template: Template | None, last: LastRead | None) -> list[Finding]:
    """Of an ARM parameters file. `template` None: it can't be read, so nothing is said of what it would take."""
    parameters = root.member("parameters")
    if parameters is None or parameters.value is None or parameters.value.kind != "object":
        place = root.place if parameters is None else parameters.place
        sentence = Text("An ARM parameters file has an object parameters; each entry in it is an object with a value.")
        return [Finding(Span(place.start, place.start + 1), "InvalidParameter", sentence)]
    entries = parameters.value.members
    found = _stated_twice(entries, "DuplicateParameter")
    usable: dict[str, tuple[Member, Value]] = {}
    secrets: dict[str, tuple[Member, Value]] = {}
    for each in entries:
        if each.value is None or each.value.kind == "word":
            continue
        wrong = _of_form(each, each.value)
        inner = each.value.member("value") if each.value.kind == "object" else None
        if wrong is not None:
            found.append(wrong)
        elif inner is not None and inner.value is not None and inner.value.kind != "word":
            usable[each.key] = (each, inner.value)
        elif each.value.member("reference") is not None:
            secrets[each.key] = (each, each.value)
    stated = {name: value.plain for name, (_, value) in usable.items() if value.plain is not None}
    stated |= dict.fromkeys(secrets, VaultSecret({}, ""))  # only ARM has the value
    refused = {} if template is None else {each.name: each for each in misstated(template, stated)}
    for name, said in refused.items():
        member, value = (usable | secrets)[name]
        unknown = said.code == "InvalidTemplateParameter"
        fixes = _renamed(member, said.near) if unknown else _converted(value, type_of(template, name))
        found.append(Finding(member.place if unknown else value.place, said.code, said.sentence, fixes=fixes))
    for name, (_, value) in usable.items():
        if name not in refused and value.plain is not None:
            found += _of_name(value, BY_PARAMETER.get(name.lower()))
    if last is not None:
        told = {each.place for each in found}
        found += [each for each in _as_last_read(usable, refused, template, last) if each.place not in told]
    return found


def of_config(root: Value, last: LastRead | None = None) -> list[Finding]:
    """Of infra/inference.config.json, with what was last read of what it names. Other keys are somebody else's, unless they are
    all but one of ours."""
    if root.kind != "object":
        return [
            Finding(
                root.place,
                "InvalidJson",
                Text("{file} must hold a JSON object.", file="inference.config.json"),
                by_schema=True,
            )
        ]
    found = _stated_twice(root.members, "DuplicateKey")
    stated = {each.key for each in root.members}
    for each in root.members:
        if each.key not in CONFIG_KEYS:
            near = nearest(each.key, CONFIG_KEYS, 0.7)
            if near is not None and near not in stated:
                sentence = Text("{name} is no key that is read here: did you mean {near}?", name=each.key, near=near)
                found.append(Finding(each.place, "UnknownKey", sentence, certain=False, fixes=_renamed(each, near)))
        elif each.value is not None and each.value.kind != "word":
            wrong = _of_key(each.key, each.value)
            found += wrong or _doubts(each.key, each.value, last)
    return found


def of_bicep(text: str, name: str, found: BicepFinding) -> Finding:
    """What a compiler found, where it stands; of another file, which this one names, at the beginning."""
    code = found.code or ("BicepMistake" if found.kind == "mistake" else "BicepSubset")
    if found.file != name:
        place = {"file": found.file, "line": found.line, "column": found.column, "what": found.message}
        return Finding(line_of(text, 1), code, Text("{file}, line {line}, column {column}: {what}", **place))
    return Finding(span_at(text, found.line, found.column, found.length), code, found.message)


def line_of(text: str, number: int) -> Span:
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: number - 1]))
    said = lines[number - 1].rstrip() if number <= len(lines) else ""
    blank = len(said) - len(said.lstrip())
    return Span(start + blank, start + len(said))


def _doubts(key: str, value: Value, last: LastRead | None) -> list[Finding]:
    said = [] if last is None else [each for each in last.doubts if each.parameter == key and each.value == value.plain]
    return [
        Finding(value.place, each.code, _as_of(each.sentence, last), certain=False) for each in said if last is not None
    ]


def of_smoke(root: Value) -> list[Finding]:
    return [
        Finding(root.at(each.where), "InvalidSmoke", each.sentence, by_schema=each.by_schema)
        for each in misstated_questions(root.plain)
    ]


def of_evaluation(root: Value) -> list[Finding]:
    found: list[Finding] = []
    for each in misstated_evaluation(root.plain):
        place, member = root.at(each.where), root.within(each.where[:-1])
        entry = member.member(str(each.where[-1])) if each.unknown_key and member is not None else None
        fixes: tuple[Fix, ...] = ()
        if entry is not None:
            place, fixes = entry.place, _renamed(entry, each.near)
        elif each.near is not None:
            fixes = (Fix(Text("Change it to {name}", name=each.near), place, json.dumps(each.near), sure=True),)
        found.append(Finding(place, "InvalidEvaluation", each.sentence, fixes=fixes, by_schema=each.by_schema))
    return found


def _of_key(key: str, value: Value) -> list[Finding]:
    if value.plain is not None and value.kind != "string":
        fixes = _converted(value, "string")
        sentence = Text("{key} must be a string or null.", key=key)
        return [Finding(value.place, "WorkspaceError", sentence, fixes=fixes, by_schema=True)]
    if is_placeholder(value.plain):
        sentence = Text("{value} is a placeholder: write the real value.", value=value.plain)
        return [Finding(value.place, "Placeholder", sentence, fixes=(_nothing(value.place),))]
    if key == "SUBSCRIPTION_ID" and value.plain and _GUID.fullmatch(str(value.plain)) is None:
        sentence = Text("{value} is no subscription's id: that is 32 digits with hyphens.", value=value.plain)
        return [Finding(value.place, "InvalidSubscriptionId", sentence)]
    return _of_name(value, RULES.get(_CONFIG_RULES.get(key, "")))


def _stated_twice(members: Iterable[Member], code: str) -> list[Finding]:
    last: dict[str, Member] = {}
    found: list[Finding] = []
    for each in members:
        before = last.get(each.key.lower())
        if before is not None:
            sentence = Text("{name} is stated again below: that one counts.", name=before.key)
            found.append(Finding(before.place, code, sentence, certain=False))
        last[each.key.lower()] = each
    return found


def _of_form(member: Member, value: Value) -> Finding | None:
    wrong = wrong_form(member.key, value.plain)
    if wrong is None:
        return None
    code, sentence = wrong
    inner = value.member("value") if value.kind == "object" else None
    if code == "Placeholder" and inner is not None and inner.value is not None:
        return Finding(inner.value.place, code, sentence, fixes=(_nothing(inner.value.place),))
    if value.kind in ("string", "number", "constant", "array"):
        shown = json.dumps(value.plain, ensure_ascii=False)
        wrapped = Fix(Text("Write it as an object with a value"), value.place, f'{{ "value": {shown} }}', sure=True)
        return Finding(value.place, code, sentence, fixes=(wrapped,))
    return Finding(member.place, code, sentence)


def _nothing(place: Span) -> Fix:
    return Fix(Text("Write null: the default"), place, "null")


def _renamed(member: Member, near: str | None) -> tuple[Fix, ...]:
    return () if near is None else (Fix(Text("Change it to {name}", name=near), member.place, f'"{near}"', sure=True),)


def type_of(template: Template | None, name: str) -> str:
    declared = cast("dict[str, dict[str, object]]", (template or {}).get("parameters") or {})
    found = next((each for key, each in declared.items() if key.lower() == name.lower()), dict[str, object]())
    return str(found.get("type", "")).lower()


_FORMS: dict[str, Callable[[object], object]] = {
    "int": lambda value: int(value) if isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip()) else None,
    "bool": lambda value: {"true": True, "false": False}.get(str(value).strip().lower()),
    "string": lambda value: json.dumps(value) if isinstance(value, int | float) else None,
    "array": lambda value: [value] if isinstance(value, str) else None,
}


def _converted(value: Value, wanted: str) -> tuple[Fix, ...]:
    """The same in the type that is wanted, where it can be nothing else."""
    meant = meant_as(value.plain, wanted)
    if meant is None:
        return ()
    shown = json.dumps(meant, ensure_ascii=False)
    return (Fix(Text("Change it to {name}", name=shown), value.place, shown, sure=True),)


def meant_as(value: object, wanted: str) -> object:
    """The same in the type that is wanted; None where that can't be told, or it is of it."""
    convert = _FORMS.get(wanted.removeprefix("secure"))
    meant = None if convert is None else convert(value)
    return None if meant == value else meant


def _of_name(value: Value, rule: Rule | None) -> list[Finding]:
    name = value.plain
    if not isinstance(name, str) or (sentence := not_taken(name, rule)) is None or rule is None:
        return []
    fixes = (_nothing(value.place),)
    near = allowed(name, rule)
    if near is not None:
        fixes = (Fix(Text("Change it to {name}", name=near), value.place, json.dumps(near)), *fixes)
    return [Finding(value.place, "InvalidResourceName", sentence, fixes=fixes)]


def not_taken(name: str, rule: Rule | None) -> Text | None:
    """What is said of a name that Azure refuses."""
    if rule is None or not name or rule.pattern.fullmatch(name) is not None:
        return None
    return Text("Azure does not take the name {name}: {words}.", name=name, words=rule.words)


def allowed(name: str, rule: Rule) -> str | None:
    """The name as the rule would take it, where little has to go."""
    lower = name.lower()
    tried = (lower, re.sub(r"[^a-z0-9]+", "-", lower).strip("-"), re.sub(r"[^a-z0-9]+", "", lower))
    return next((each for each in tried if rule.pattern.fullmatch(each) is not None), None)


def _as_last_read(
    usable: Mapping[str, tuple[Member, Value]], refused: Mapping[str, object], template: Template | None, last: LastRead
) -> list[Finding]:
    """What the cloud said when it was asked last: it may have changed since, so nothing of it is certain."""
    values = {name.lower(): value for name, (_, value) in usable.items() if name not in refused}
    found: list[Finding] = []
    for each in last.doubts:
        value = values.get(each.parameter.lower())
        if value is not None and value.plain is not None and value.plain == each.value:
            found.append(Finding(value.place, each.code, _as_of(each.sentence, last), certain=False))
    told = {each.place for each in found}
    kind = _profile(values, template)
    for finding in (_region(values, kind, last), _count(values, kind, last)):
        if finding is not None and finding.place not in told:
            found.append(finding)
    return found


def _as_of(sentence: Text, last: LastRead) -> Text:
    return Text("{sentence} (As read on {moment}.)", sentence=sentence, moment=last.moment)


def _profile(values: Mapping[str, Value], template: Template | None) -> str:
    stated = values.get(PROFILE_TYPE.lower())
    if stated is not None and isinstance(stated.plain, str):
        return stated.plain
    declared = cast("dict[str, dict[str, object]]", (template or {}).get("parameters") or {})
    default = next((each.get("defaultValue") for name, each in declared.items() if name == PROFILE_TYPE), None)
    return str(default or DEFAULT_TYPE)


def _region(values: Mapping[str, Value], kind: str, last: LastRead) -> Finding | None:
    stated = values.get(LOCATION)
    if stated is None or not isinstance(stated.plain, str):
        return None
    offered = last.profiles.get(stated.plain.replace(" ", "").lower())
    if offered is None or kind in offered:
        return None
    sentence = Text("{type} is not offered in {location}.", type=kind, location=stated.plain)
    others = [region for region, profiles in last.profiles.items() if kind in profiles]
    fixes = tuple(Fix(Text("Change it to {name}", name=each), stated.place, json.dumps(each)) for each in others)
    code = "WorkloadProfileTypeNotAvailable"
    return Finding(stated.place, code, _as_of(sentence, last), certain=False, fixes=fixes)


def _count(values: Mapping[str, Value], kind: str, last: LastRead) -> Finding | None:
    stated, quota = values.get(INSTANCES.lower()), last.quota.get(kind)
    place = values.get(LOCATION)
    elsewhere = place is not None and str(place.plain).replace(" ", "").lower() not in ("none", last.location)
    if stated is None or quota is None or elsewhere or not isinstance(stated.plain, int):
        return None
    limit, each = quota[1], last.gpus.get(kind, 1)
    most = limit // each
    if stated.plain <= most:
        return None
    sentence = Text(
        "Instances stated: {instances}. Of {limit} GPUs that the quota allows in {location}, {most} can run.",
        instances=stated.plain,
        limit=limit,
        location=last.location,
        most=most,
    )
    fixes = (Fix(Text("Change it to {name}", name=most), stated.place, str(most)),) if most else ()
    return Finding(stated.place, "MaxRegionalQuotaExceeded", _as_of(sentence, last), certain=False, fixes=fixes)
