"""The terminal door: the same actions as VS Code's, as text or --json, with exit codes."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import shtab

from sidecar import __version__
from sidecar.core.app_choice import SEVERAL
from sidecar.core.scaffold import WORKSPACE
from sidecar.core.workspace import open_workspace, target_of
from sidecar.doors import questions, terminal, terminal_logs, terminal_operating, terminal_plan
from sidecar.doors.terminal import Terminal, spoken
from sidecar.doors.verb import Params, Verb, folder_of
from sidecar.doors.verbs import VERBS, provision_of
from sidecar.doors.verbs_operating import delete_of
from sidecar.doors.where import CLOUD, TENANT, UsageError, asked, name_to_id, settle, stated
from sidecar.gateway.session import settings_from
from sidecar.gateway.trust import trust_this_machine
from sidecar.wire import protocol as wire
from sidecar.words.errors import Cancelled, Conflict, ConsentNeeded, SlipwayError, TemplateError, WorkspaceError
from sidecar.words.names import CLOUDS
from sidecar.words.text import Text
from sidecar.workflows.context import Context
from sidecar.workflows.operating import EVERY_ACTION

EXIT_CODES = "exit codes: 0 done, 1 failed or what is shown is a failure, 2 wrong usage, 3 consent missing (--yes), 130 cancelled"

R = TypeVar("R", bound=wire.Message)

COMPLETION = "completion"
"""The one verb that asks nothing of the wire."""

PROVISIONS = ("provision", "preflight", "plan")
"""Verbs that need a place to provision in."""

NEEDED_FILES = {**dict.fromkeys(PROVISIONS, "has_template"), "deploy": "has_code"}
"""Verbs that work on project files, and what says that those are there."""


def main(arguments: list[str], environ: Mapping[str, str], program: str) -> int:
    parser = parser_of(program)
    if not arguments:  # what can be typed says more than that something is missing
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(arguments)
    if options.verb == COMPLETION:
        print(shtab.complete(parser, options.shell))
        return 0
    trust_this_machine()
    verb = VERBS[options.verb]
    try:
        _from_environment(options, environ)
    except UsageError as error:
        parser.error(str(error))
    # What the SDKs have to say is in the error that they raise; their log would say it twice.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    logging.getLogger("azure").propagate = False
    stop = threading.Event()
    _stop_on_signals(stop)
    shown = Terminal(as_json=options.json, verbs=spoken_verbs(program))
    settings = settings_from(environ, say=shown.say, tenant=options.tenant)
    context = Context(settings, shown.show, stop, tell=lambda line: _tell(line, shown, stop))
    try:
        _complete(options, context, shown, program)
        _agree(options, context, shown)
        result = _with_consents(verb, options, context)
    except UsageError as error:
        shown.misused(program, str(error))
        return 2
    except SlipwayError as error:
        shown.fail(error)
        return 130 if isinstance(error, Cancelled) else 3 if isinstance(error, ConsentNeeded) else 1
    if not isinstance(result, wire.Logs):  # its lines have been shown, as they came
        shown.result(verb.render(result), result)
    if isinstance(result, wire.Plan) and options.output:
        try:
            terminal_plan.save(options.output, shown.document(result))
        except WorkspaceError as error:
            shown.fail(error, alone=False)
            return 1
    return 1 if verb.failed(result) else 0


def _from_environment(options: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """What no flag states. A cloud that is none is refused as a flag's is."""
    tenant, cloud = stated(environ, TENANT), stated(environ, CLOUD)
    options.tenant = options.tenant or (None if tenant is None else tenant[1])
    options.cloud = options.cloud or ("auto" if cloud is None else cloud[1])
    if options.cloud not in CLOUDS:
        raise UsageError(f"{CLOUD[0]} is {options.cloud}: it takes {', '.join(CLOUDS)}")


def _tell(line: wire.LogLine, shown: Terminal, stop: threading.Event) -> None:
    if not shown.line(terminal_logs.line(line), line):
        stop.set()


def spoken_verbs(program: str) -> dict[str, str]:
    """Titles of VS Code's commands, as shared sentences name them, and what to type here instead."""
    titled = {each.title: f"`{program} {name}`" for name, each in VERBS.items() if each.title is not None}
    again = {f"{name.capitalize()} again": f"`{program} {name}` again" for name in ("provision", "deploy")}
    return titled | again | {"AI Toolkit: Show system logs": f"`{program} logs --system`"}


def _complete(options: argparse.Namespace, context: Context, shown: Terminal, program: str) -> None:
    """Fills in what the command line leaves open: subscription and group, project files. Asked for, or named as missing;
    what is missing and can't be asked for is said before anything is made."""
    if options.verb == "delete" and not options.plan and not options.name:
        options.name = _confirmed(options, context, shown, program)
    if options.verb == "diagnostics" and os.path.isfile(options.out) and not options.force and questions.attended():
        options.force = questions.yes(f"{options.out} exists already. Replace it?", default=False)
    known = _summary(options, context) if options.verb in NEEDED_FILES else None
    if known is not None and options.verb in PROVISIONS:
        settle(options, known.defaults, context.settings.environ, program)
    if known is not None and options.verb == "deploy" and not known.provisioned:
        target_of(open_workspace(options.folder))  # says which keys are missing
    shipped = options.verb == "deploy" and options.code != WORKSPACE  # it needs no folder of its own
    if known is not None and not shipped and not getattr(known, NEEDED_FILES[options.verb]):
        _project_files(options, context)

    def ask(method: str, result: type[R], params: Params, /) -> R:
        return _act(method, result, params, context)

    if getattr(options, "subscription", None):
        name_to_id(options, ask)
    if known is not None and options.verb in PROVISIONS and not (options.subscription and options.group):
        asked(options, known.defaults, ask, shown.worded)


def _agree(options: argparse.Namespace, context: Context, shown: Terminal) -> None:
    """Where a person can be asked, provision shows its plan first, and is bound to it."""
    if options.verb != "provision" or options.yes or not questions.attended():
        return
    params = {**provision_of(options), "raw": False, "cloud": options.cloud}
    try:
        found = _act("slipway/plan", wire.Plan, params, context, hears=True)
    except TemplateError as error:
        _choose_app(error, options)
        _agree(options, context, shown)
        return
    except Conflict as error:
        if error.code != "DeploymentUnderWay":
            raise
        options.begins = False  # it is followed: there is nothing else to agree to
        return
    print(shown.worded(spoken(found.markdown)), file=sys.stderr)
    if not found.nothing and not questions.yes("Apply this plan?", default=False):
        raise Cancelled(Text("Cancelled. Nothing was changed."))
    options.digest = found.digest


def _confirmed(options: argparse.Namespace, context: Context, shown: Terminal, program: str) -> str:
    """The app's name as the person writes it, below the list of what goes. --yes is no answer to this."""
    if not questions.attended():
        raise UsageError(
            f"--name APP is missing, and nobody can be asked here; `{program} delete --plan` lists what goes"
        )
    planned = _act(
        "slipway/remove", wire.Removed, {**delete_of(options), "plan": True, "cloud": options.cloud}, context
    )
    print(shown.worded(terminal_operating.removed(planned)), file=sys.stderr)
    return questions.text(f"Write {planned.confirm} to delete this", lambda _: None)


def _summary(options: argparse.Namespace, context: Context) -> wire.WorkspaceSummary:
    return _act("slipway/workspace", wire.WorkspaceSummary, folder_of(options), context)


def _project_files(options: argparse.Namespace, context: Context) -> None:
    what = "infra/provision/inference.bicep" if options.verb == "provision" else "inference/"
    question = (
        f"There is no {what} in {os.path.abspath(options.folder)}. Slipway can put its own infra/ and inference/ there; "
        "files that exist stay as they are. Create them?"
    )
    if options.yes or (questions.attended() and questions.yes(question, default=True)):
        made = _with_consents(cast("Verb[wire.Created]", VERBS["init"]), options, context)
        print(f"  {terminal.created(made)}", file=sys.stderr)
        return
    raise WorkspaceError(
        Text("There is no {what} in {folder}.", what=what, folder=os.path.abspath(options.folder)),
        Text("Create the project files first (AI Toolkit: Create project files), or give --yes."),
        code="ProjectFilesMissing",
    )


def _with_consents(verb: Verb[R], options: argparse.Namespace, context: Context) -> R:
    """Runs the action; what it asks consent for is agreed to by --yes, asked on a terminal, or refused."""
    consents: list[str] = []
    takes = wire.METHODS[verb.method].params.model_fields
    while True:
        params = {**verb.place(options)}
        params = ({"cloud": options.cloud} if "cloud" in takes else {}) | params
        params |= {"consents": consents} if "consents" in takes else {}
        try:
            return _act(verb.method, verb.result, params, context, hears=verb.hears_cancel)
        except TemplateError as error:
            _choose_app(error, options)
        except ConsentNeeded as needed:
            agreed = options.yes or (questions.attended() and questions.agreed(needed))
            if not agreed or needed.consent in consents:
                raise
            consents.append(needed.consent)


def _choose_app(error: TemplateError, options: argparse.Namespace) -> None:
    """Which one of several apps is ours, where somebody can be asked; raises the error where nobody can."""
    if error.code != SEVERAL or not error.detail or not questions.attended():
        raise error
    names = [questions.Choice(each, each) for each in error.detail.splitlines()]
    options.app = questions.choose("Which container app is the endpoint?", names, None)


def _act(method: str, result: type[R], params: Params, context: Context, *, hears: bool = False) -> R:
    """Runs an action of the wire. A cancel that a short one does not hear while it runs is heard after it; what fails then may
    fail of the same press, which reached what it had started."""
    try:
        done = EVERY_ACTION[method](wire.METHODS[method].params.model_validate(params), context)
    except SlipwayError as error:
        if context.stop.is_set() and not hears:
            raise Cancelled(Text("Cancelled. Nothing more is started.")) from error
        raise
    assert isinstance(done, result), f"{method} gave {type(done).__name__}"
    if context.stop.is_set() and not hears:
        raise Cancelled(Text("Cancelled. Nothing more is started."))
    return done


def parser_of(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Turn a fine-tuned model into an inference endpoint on Azure Container Apps, or on the local cloud.",
        epilog=f"`{program} demo` shows the whole job on the local cloud, with a sample model; `{program} mcp` lets coding "
        f"assistants read how things stand; {EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"slipway {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cloud",
        choices=CLOUDS,
        help="auto (the default): the local cloud where the subscription is its own, else Azure",
    )
    common.add_argument(
        "--tenant", help="sign in to this tenant (default: each subscription's own; all of yours are listed)"
    )
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    common.add_argument(
        "--yes",
        action="store_true",
        help="agree to what would be asked (project files, downloads, adding a GPU profile, what ARM's what-if deletes)",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    groups: dict[str, Any] = {}
    for name, each in VERBS.items():
        group, blank, own = name.rpartition(" ")
        if blank and group not in groups:
            several = ", ".join(one.rpartition(" ")[2] for one in VERBS if one.startswith(f"{group} "))
            above = verbs.add_parser(group, help=several)
            groups[group] = above.add_subparsers(dest="verb", required=True, metavar="VERB")
        made = groups.get(group, verbs).add_parser(
            own, help=each.what, description=each.what, parents=[common], epilog=EXIT_CODES
        )
        each.arguments(made)
        made.set_defaults(verb=name)
    made = verbs.add_parser(
        COMPLETION, help="print the shell's completion of all this: source it, or put it where yours looks"
    )
    made.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    return parser


def _stop_on_signals(stop: threading.Event) -> None:
    """The first Ctrl-C cancels in order; the second ends the process at once."""

    def cancel(number: int, frame: object) -> None:
        if stop.is_set():
            sys.exit(130)
        stop.set()
        with contextlib.suppress(OSError):  # of a terminal that has gone
            print("\ncancelling… (again to leave at once)", file=sys.stderr)

    for each in ("SIGINT", "SIGTERM", "SIGHUP"):  # a terminal that is closed; Windows has no such signal
        if hasattr(signal, each):
            signal.signal(getattr(signal, each), cancel)
