"""The ARM template to deploy: found, its stamp checked or compiled anew, parameters merged in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sidecar.armlang.bicep import compile_bicep, content_digest, source_digest
from sidecar.armlang.expressions import ExpressionError, Scope, evaluate
from sidecar.words.errors import TemplateError
from sidecar.words.text import Text

Template = dict[str, object]

_SECURE = {"securestring", "secureobject"}


@dataclass(frozen=True)
class Compiled:
    template: Template
    how: Text
    """Which compiler made it: shown in the log."""


def load_template(bicep: Path, compiled: Path, environ: dict[str, str]) -> Compiled:
    """The template of a workspace. The shipped JSON is used as it is while its stamp fits; an edited Bicep file is compiled.

    Raises TemplateError when the JSON was edited by hand, or the Bicep file needs a compiler that is not there."""
    if not bicep.exists():
        raise TemplateError(
            Text("There is no {file}.", file=bicep),
            Text("Create the project files first (AI Toolkit: Create project files)."),
        )
    source = bicep.read_text(encoding="utf-8")
    if compiled.exists():
        template = _read(compiled)
        stamp = _stamp(template)
        if stamp is not None:
            if stamp["contentSha256"] != content_digest(cast("dict[str, object]", template)):  # type: ignore[arg-type]
                raise TemplateError(
                    Text("{file} was edited by hand: its content does not match its stamp.", file=compiled.name),
                    Text(
                        "Edit {source} instead and delete {file}; it is made from there.",
                        source=bicep.name,
                        file=compiled.name,
                    ),
                    code="TemplateEdited",
                )
            if stamp["sourceSha256"] == source_digest(source):
                return Compiled(template, Text("The compiled template is up to date."))
    cli = bicep_cli(environ)
    if cli is not None:
        return Compiled(_run_cli(cli, bicep), Text("Compiled {file} with {cli}.", file=bicep.name, cli=cli))
    try:
        return Compiled(
            cast("Template", compile_bicep(source)),
            Text("Compiled {file} with Slipway's own compiler.", file=bicep.name),
        )
    except TemplateError as error:
        raise TemplateError(
            Text("{file}, {problem}", file=bicep.name, problem=error.message),
            Text(
                "Install the Bicep CLI (on PATH, or name it in AZD_BICEP_TOOL_PATH) and try again, or simplify the file."
            ),
            code=error.code,
        ) from error


def bicep_cli(environ: dict[str, str]) -> Path | None:
    """The Bicep CLI that a person already has: named, on PATH, or where az and azd put it."""
    named = environ.get("AZD_BICEP_TOOL_PATH")
    if named:
        return Path(named)
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or os.devnull)
    found = shutil.which("bicep", path=environ.get("PATH", ""))
    places = [*([Path(found)] if found else []), home / ".azure" / "bin" / "bicep", home / ".azd" / "bin" / "bicep"]
    return next((each for each in places if each.is_file()), None)


def merge_parameters(
    template: Template, stated: dict[str, object], ours: dict[str, object]
) -> dict[str, dict[str, object]]:
    """The deployment's parameters: what the person states, then what Slipway decides for parameters the template has.

    Raises TemplateError for a stated parameter that the template does not know."""
    known = cast("dict[str, object]", template.get("parameters", {}))
    names = {name.lower(): name for name in known}
    unknown = [name for name in stated if name.lower() not in names]
    if unknown:
        raise TemplateError(
            Text("The template has no parameter {names}.", names=", ".join(unknown)),
            Text("It has: {known}.", known=", ".join(sorted(known))),
            code="InvalidTemplateParameter",
        )
    chosen = {names[name.lower()]: value for name, value in ours.items() if name.lower() in names}
    chosen |= {names[name.lower()]: value for name, value in stated.items()}
    return {name: {"value": value} for name, value in sorted(chosen.items())}


def has_parameter(template: Template, name: str) -> bool:
    return name.lower() in {each.lower() for each in cast("dict[str, object]", template.get("parameters", {}))}


def secure_parameters(template: Template) -> set[str]:
    """Names of the parameters whose values must never be shown, stored or hashed."""
    parameters = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    return {name for name, each in parameters.items() if str(each.get("type", "")).lower() in _SECURE}


def deployment_name(template: Template, parameters: dict[str, dict[str, object]], scope: str) -> str:
    """A name that carries a digest of what is deployed where: the same again finds, and follows, the same deployment."""
    secure = secure_parameters(template)
    shown = {name: each for name, each in parameters.items() if name not in secure}
    content = json.dumps([template, shown, scope.lower()], sort_keys=True)
    return f"slipway-inference-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _read(file: Path) -> Template:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise TemplateError(
            Text("{file}, line {line}: {problem}", file=file.name, line=error.lineno, problem=error.msg),
            Text("Delete the file: it is made from the Bicep file."),
        ) from error
    if not isinstance(document, dict):
        raise TemplateError(Text("{file} is no ARM template.", file=file.name))
    return cast("Template", document)


def _stamp(template: Template) -> dict[str, str] | None:
    metadata = template.get("metadata")
    stamp = cast("dict[str, object]", metadata).get("slipway") if isinstance(metadata, dict) else None
    if not isinstance(stamp, dict):
        return None
    found = {str(key): str(value) for key, value in cast("dict[object, object]", stamp).items()}
    return found if {"sourceSha256", "contentSha256"} <= found.keys() else None


def _run_cli(cli: Path, bicep: Path) -> Template:
    try:
        done = subprocess.run(
            [str(cli), "build", str(bicep), "--stdout"], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TemplateError(
            Text("The Bicep CLI {cli} could not be run: {problem}", cli=cli, problem=error),
            Text("Correct AZD_BICEP_TOOL_PATH or install the CLI anew."),
        ) from error
    if done.returncode != 0:
        raise TemplateError(
            Text("The Bicep CLI refused {file}: {problem}", file=bicep.name, problem=done.stderr.strip()),
            code="BicepBuildFailed",
        )
    return cast("Template", json.loads(done.stdout))


@dataclass(frozen=True)
class Planned:
    """What the template will call its resources, by type in lower case, and the app's template as it would deploy it."""

    names: dict[str, str]
    app_template: dict[str, object] | None
    location: str


@dataclass(frozen=True)
class GroupFacts:
    """What ARM knows about the scope of a deployment before it starts."""

    subscription_id: str
    tenant_id: str
    name: str
    id: str
    location: str


def plan_names(template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts) -> Planned:
    """Evaluates the names and the app's template here, as ARM will there. Raises TemplateError where that is impossible."""
    scope = _scope(template, parameters, group)
    names: dict[str, str] = {}
    app_template: dict[str, object] | None = None
    try:
        for resource in _resources(template):
            if resource.get("existing") is True:
                continue
            kind = str(resource["type"]).lower()
            names[kind] = str(evaluate(resource["name"], scope))
            if kind == "microsoft.app/containerapps":
                properties = cast("dict[str, object]", resource.get("properties", {}))
                app_template = cast("dict[str, object]", evaluate(properties.get("template", {}), scope))
        place = template.get("variables", {})
        location = evaluate(cast("dict[str, object]", place).get("place", group.location), scope)
    except ExpressionError as error:
        raise TemplateError(
            Text("The template's names can't be evaluated: {problem}", problem=error),
            Text("Correct the expression in the Bicep file."),
        ) from error
    return Planned(names, app_template, str(location))


def _resources(template: Template) -> list[dict[str, object]]:
    """Symbolic names (languageVersion 2.0) or a plain list."""
    resources = template.get("resources", [])
    if isinstance(resources, dict):
        return list(cast("dict[str, dict[str, object]]", resources).values())
    return cast("list[dict[str, object]]", resources)


def _scope(template: Template, parameters: dict[str, dict[str, object]], group: GroupFacts) -> Scope:
    declared = cast("dict[str, dict[str, object]]", template.get("parameters", {}))
    variables = cast("dict[str, object]", template.get("variables", {}))

    def parameter(name: str) -> object:
        known = {each.lower(): each for each in declared}
        real = known[name.lower()]
        if real in parameters:
            return parameters[real]["value"]
        return evaluate(declared[real].get("defaultValue"), scope)

    def variable(name: str) -> object:
        known = {each.lower(): each for each in variables}
        return evaluate(variables[known[name.lower()]], scope)

    functions: dict[str, Callable[..., object]] = {
        "resourcegroup": lambda: {"id": group.id, "name": group.name, "location": group.location},
        "subscription": lambda: {
            "id": f"/subscriptions/{group.subscription_id}",
            "subscriptionId": group.subscription_id,
            "tenantId": group.tenant_id,
        },
        "newguid": lambda: "00000000-0000-0000-0000-000000000000",
    }
    scope = Scope(parameter, variable, functions)
    return scope
