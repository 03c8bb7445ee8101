"""The terminal door: the same actions as VS Code's, as text or --json, with exit codes."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shlex
import signal
import sys
import threading
import uuid
from collections.abc import Mapping
from typing import TypeVar

import shtab

from sidecar import __version__
from sidecar.core.scaffold import WORKSPACE
from sidecar.core.workspace import open_workspace, target_of
from sidecar.doors import questions, terminal, terminal_logs, terminal_operating
from sidecar.doors.questions import Choice
from sidecar.doors.terminal import Terminal
from sidecar.doors.verb import Params, Verb, folder_of
from sidecar.doors.verbs import VERBS
from sidecar.doors.verbs_operating import delete_of
from sidecar.gateway.session import settings_from
from sidecar.gateway.trust import trust_this_machine
from sidecar.wire import protocol as wire
from sidecar.words.errors import Cancelled, ConsentNeeded, SlipwayError, WorkspaceError
from sidecar.words.names import CLOUDS
from sidecar.words.text import Text
from sidecar.workflows.context import Context
from sidecar.workflows.operating import EVERY_ACTION

EXIT_CODES = "exit codes: 0 done, 1 failed or what is shown is a failure, 2 wrong usage, 3 consent missing (--yes), 130 cancelled"

R = TypeVar("R", bound=wire.Message)

COMPLETION = "completion"
"""The one verb that asks nothing of the wire."""

NEEDED_FILES = {"provision": "has_template", "preflight": "has_template", "deploy": "has_code"}
"""Verbs that work on project files, and what says that those are there."""


class UsageError(Exception):
    """What is missing on the command line, where nobody can be asked."""


def main(arguments: list[str], environ: Mapping[str, str], program: str) -> int:
    parser = _parser(program)
    options = parser.parse_args(arguments)
    if options.verb == COMPLETION:
        print(shtab.complete(parser, options.shell))
        return 0
    trust_this_machine()
    verb = VERBS[options.verb]
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
        result = _with_consents(verb, options, context)
    except UsageError as error:
        shown.misused(program, str(error))
        return 2
    except SlipwayError as error:
        shown.fail(error)
        return 130 if isinstance(error, Cancelled) else 3 if isinstance(error, ConsentNeeded) else 1
    if not isinstance(result, wire.Logs):  # its lines have been shown, as they came
        shown.result(verb.render(result), result)
    return 1 if verb.failed(result) else 0


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
    provisions = options.verb in ("provision", "preflight")
    known = _summary(options, context) if options.verb in NEEDED_FILES else None
    if known is not None and provisions and not (options.subscription and options.group) and not questions.attended():
        raise UsageError(_missing(options, known.defaults, program))
    if known is not None and options.verb == "deploy" and not known.provisioned:
        target_of(open_workspace(options.folder))  # says which keys are missing
    shipped = options.verb == "deploy" and options.code != WORKSPACE  # it needs no folder of its own
    if known is not None and not shipped and not getattr(known, NEEDED_FILES[options.verb]):
        _project_files(options, context)
    if getattr(options, "subscription", None):
        _name_to_id(options, context)
    if known is not None and provisions and not (options.subscription and options.group):
        _where(options, known.defaults, context, shown)


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
        made = _act("slipway/init", wire.Created, folder_of(options), context)
        print(f"  {terminal.created(made)}", file=sys.stderr)
        return
    raise WorkspaceError(
        Text("There is no {what} in {folder}.", what=what, folder=os.path.abspath(options.folder)),
        Text("Create the project files first (AI Toolkit: Create project files), or give --yes."),
        code="ProjectFilesMissing",
    )


def _where(options: argparse.Namespace, known: wire.WorkspaceDefaults, context: Context, shown: Terminal) -> None:
    """As VS Code asks: fine-tuning's subscription and resource group are pre-selected."""
    if not options.subscription:
        found = _act("slipway/subscriptions", wire.Subscriptions, {"cloud": options.cloud}, context)
        for problem in found.problems:
            print(f"  warning: {shown.worded(terminal.spoken(problem))}", file=sys.stderr)
        if not found.subscriptions:
            raise UsageError("no subscription can be used: run az login, or give --cloud local")
        title = "Select the subscription to provision in"
        choices = [Choice(each.id, each.name, _beside(each, known.subscription_id)) for each in found.subscriptions]
        options.subscription = questions.choose(title, choices, known.subscription_id)
        options.cloud = next(each.cloud for each in found.subscriptions if each.id == options.subscription)
    if not options.group:
        usual = known.resource_group if options.subscription == known.subscription_id else None
        options.group = _group(options, context, usual)


def _missing(options: argparse.Namespace, known: wire.WorkspaceDefaults, program: str) -> str:
    flags = [flag for flag in ("subscription", "group") if not getattr(options, flag)]
    missing = " and ".join(f"--{flag}" for flag in flags)
    verb = "is" if len(flags) == 1 else "are"
    given = {"subscription": known.subscription_id, "group": known.resource_group}
    used = " ".join(f"--{flag} {shlex.quote(value)}" for flag in flags if (value := given[flag]))
    hint = (
        f"; this project has used {used}" if used else f"; `{program} subscriptions` and `{program} groups` list them"
    )
    return f"{missing} {verb} missing, and nobody can be asked here{hint}"


def _beside(subscription: wire.Subscription, used: str | None) -> str:
    where = "runs on this machine: no account, no GPU, no cost" if subscription.cloud == "local" else subscription.id
    return f"{where} (used by this project)" if subscription.id == used else where


NEW_GROUP = "\0new"  # no group can be called that


def _group(options: argparse.Namespace, context: Context, usual: str | None) -> str:
    place = {"cloud": options.cloud, "subscriptionId": options.subscription}
    found = _act("slipway/resourceGroups", wire.ResourceGroups, place, context).resource_groups
    used = next((each.name for each in found if usual and each.name.lower() == usual.lower()), None)
    choices = [
        Choice(each.name, each.name, f"{each.location} (used by this project)" if each.name == used else each.location)
        for each in found
    ]
    title = "Select the resource group to provision in"
    chosen = questions.choose(title, [*choices, Choice(NEW_GROUP, "Create new…")], used)
    if chosen != NEW_GROUP:
        return chosen
    name = questions.text("Name of the new resource group", questions.group_name_problem)
    regions = _act("slipway/locations", wire.Locations, place, context).locations
    if not regions:
        raise UsageError("the subscription has no region to make a resource group in")
    listed = [Choice(each.name, each.display_name, each.name) for each in regions]
    location = questions.choose(f"Select the region of the new resource group {name}", listed, None)
    made = {**place, "name": name, "location": location}
    return _act("slipway/createResourceGroup", wire.ResourceGroup, made, context).name


def _name_to_id(options: argparse.Namespace, context: Context) -> None:
    """A subscription may be given by its name."""
    given = str(options.subscription)
    try:
        uuid.UUID(given)
        return
    except ValueError:  # no id, so a name
        found = _act("slipway/subscriptions", wire.Subscriptions, {"cloud": options.cloud}, context).subscriptions
    named = [each for each in found if each.name.lower() == given.lower()]
    if len(named) != 1:
        there = ", ".join(each.name for each in found) or "none"
        what = "no subscription is" if not named else f"{len(named)} subscriptions are"
        raise UsageError(f"{what} called {given}; there: {there}" + ("; give the id of one" if named else ""))
    options.subscription, options.cloud = named[0].id, named[0].cloud


def _with_consents(verb: Verb[R], options: argparse.Namespace, context: Context) -> R:
    """Runs the action; what it asks consent for is agreed to by --yes, asked on a terminal, or refused."""
    consents: list[str] = []
    takes = wire.METHODS[verb.method].params.model_fields
    while True:
        params = {**verb.place(options)}
        params |= {"cloud": options.cloud} if "cloud" in takes else {}
        params |= {"consents": consents} if "consents" in takes else {}
        try:
            return _act(verb.method, verb.result, params, context, hears=verb.hears_cancel)
        except ConsentNeeded as needed:
            agreed = options.yes or (questions.attended() and questions.agreed(needed))
            if not agreed or needed.consent in consents:
                raise
            consents.append(needed.consent)


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


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Turn a fine-tuned model into an inference endpoint on Azure Container Apps, or on the local cloud.",
        epilog=f"`{program} demo` shows the whole job on the local cloud, with a sample model; {EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"slipway {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cloud",
        default="auto",
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
        help="agree to what would be asked (project files, downloads, adding a GPU profile)",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, each in VERBS.items():
        made = verbs.add_parser(name, help=each.what, description=each.what, parents=[common], epilog=EXIT_CODES)
        each.arguments(made)
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
