"""Where a project is provisioned, as a terminal settles it: by flag, environment, file, the last choice, or asked."""

from __future__ import annotations

import argparse
import shlex
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from sidecar.doors import questions, terminal
from sidecar.doors.questions import Choice
from sidecar.doors.verb import Params
from sidecar.wire import protocol as wire

R = TypeVar("R", bound=wire.Message)


class Ask(Protocol):
    """A method of the wire, with its result's type and its parameters."""

    def __call__(self, method: str, result: type[R], params: Params, /) -> R: ...


SUBSCRIPTION = ("SLIPWAY_SUBSCRIPTION", "AZURE_SUBSCRIPTION_ID")
GROUP = ("SLIPWAY_RESOURCE_GROUP", "AZURE_RESOURCE_GROUP")
TENANT = ("SLIPWAY_TENANT",)  # AZURE_TENANT_ID is a service principal's own, and the sign-in reads it itself
CLOUD = ("SLIPWAY_CLOUD",)
"""The first that is set. Those that begin with AZURE are what azd and many pipelines set."""

NEW_GROUP = "\0new"  # no group can be called that

ORIGINS: dict[str, str] = {
    "finetuning": "infra/finetuning.config.json",
    "inference": "infra/inference.config.json",
    "choice": "your last choice",
}


class UsageError(Exception):
    """What is missing on the command line, where nobody can be asked."""


def stated(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str] | None:
    """The first variable of these that is set, with its value."""
    return next(((name, value) for name in names if (value := environ.get(name, "").strip())), None)


def settle(
    options: argparse.Namespace, known: wire.WorkspaceDefaults, environ: Mapping[str, str], program: str
) -> None:
    """Fills in subscription and group from the environment, and where nobody can be asked from the project's own files and the
    last choice; says so. UsageError where nobody can be asked and nothing states it."""
    told = [
        _from_environment(options, "subscription", SUBSCRIPTION, environ),
        _from_environment(options, "group", GROUP, environ),
    ]
    if not questions.attended():
        told += _from_project(options, known)
    for each in [*told, _elsewhere(options, known)]:
        if each:
            print(f"  {each}", file=sys.stderr)
    if not questions.attended() and not (options.subscription and options.group):
        raise UsageError(_missing(options, known, program))


def _from_environment(
    options: argparse.Namespace, flag: str, names: tuple[str, ...], environ: Mapping[str, str]
) -> str | None:
    found = None if getattr(options, flag) else stated(environ, names)
    if found is None:
        return None
    setattr(options, flag, found[1])
    return f"--{flag} {shlex.quote(found[1])} (from {found[0]})"


def _from_project(options: argparse.Namespace, known: wire.WorkspaceDefaults) -> list[str]:
    """A group is one of its own subscription, and nobody else's."""
    told: list[str] = []
    origin = ORIGINS.get(known.origin or "", "")
    if not options.subscription and known.subscription_id:
        options.subscription = known.subscription_id
        told.append(f"--subscription {shlex.quote(known.subscription_id)} (from {origin})")
    if not options.group and known.resource_group and options.subscription == known.subscription_id:
        options.group = known.resource_group
        told.append(f"--group {shlex.quote(known.resource_group)} (from {origin})")
    return told


def _elsewhere(options: argparse.Namespace, known: wire.WorkspaceDefaults) -> str | None:
    """The model lies where fine-tuning ran: another place is possible, but has to be meant."""
    if known.origin not in ("finetuning", "inference"):
        return None
    given = {"subscription": options.subscription, "group": options.group}
    used = {"subscription": known.subscription_id, "group": known.resource_group}
    differ = [
        flag for flag, value in given.items() if value and used[flag] and value.lower() != str(used[flag]).lower()
    ]
    if not differ:
        return None
    were = " ".join(f"--{flag} {shlex.quote(str(used[flag]))}" for flag in differ)
    return (
        f"warning: {ORIGINS[known.origin]} has {were}: the model that lies there has to be put on the new share first"
    )


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


def asked(options: argparse.Namespace, known: wire.WorkspaceDefaults, ask: Ask, worded: Callable[[str], str]) -> None:
    """What is open still, on a terminal, as VS Code asks: the project's own subscription and resource group are pre-selected."""
    if not options.subscription:
        found = ask("slipway/subscriptions", wire.Subscriptions, {"cloud": options.cloud})
        for line in terminal.not_listed(found):
            print(f"  {worded(line)}", file=sys.stderr)
        if not found.subscriptions:
            raise UsageError("no subscription can be used: run az login, or give --cloud local")
        title = "Select the subscription to provision in"
        choices = [Choice(each.id, each.name, _beside(each, known.subscription_id)) for each in found.subscriptions]
        options.subscription = questions.choose(title, choices, known.subscription_id)
        options.cloud = next(each.cloud for each in found.subscriptions if each.id == options.subscription)
    if not options.group:
        usual = known.resource_group if options.subscription == known.subscription_id else None
        options.group = _group(options, ask, usual)


def _beside(subscription: wire.Subscription, used: str | None) -> str:
    where = "runs on this machine: no account, no GPU, no cost" if subscription.cloud == "local" else subscription.id
    return f"{where} (used by this project)" if subscription.id == used else where


def _group(options: argparse.Namespace, ask: Ask, usual: str | None) -> str:
    place = {"cloud": options.cloud, "subscriptionId": options.subscription}
    found = ask("slipway/resourceGroups", wire.ResourceGroups, place).resource_groups
    used = next((each.name for each in found if usual and each.name.lower() == usual.lower()), None)
    choices = [
        Choice(each.name, each.name, f"{each.location} (used by this project)" if each.name == used else each.location)
        for each in found
    ]
    title = "Select the resource group to provision in"
    chosen = questions.choose(title, [*choices, Choice(NEW_GROUP, "Create new…")], used)
    if chosen != NEW_GROUP:
        return chosen
    proposed = questions.proposed_group(Path(options.folder).resolve().name)
    name = questions.text("Name of the new resource group", questions.group_name_problem, proposed)
    regions = ask("slipway/locations", wire.Locations, place).locations
    if not regions:
        raise UsageError("the subscription has no region to make a resource group in")
    listed = [Choice(each.name, each.display_name, f"{each.name}, {terminal.gpus(each)}") for each in regions]
    location = questions.choose(f"Select the region of the new resource group {name}", listed, listed[0].value)
    made = {**place, "name": name, "location": location}
    return ask("slipway/createResourceGroup", wire.ResourceGroup, made).name


def name_to_id(options: argparse.Namespace, ask: Ask) -> None:
    """A subscription may be given by its name."""
    given = str(options.subscription)
    try:
        uuid.UUID(given)
        return
    except ValueError:  # no id, so a name
        found = ask("slipway/subscriptions", wire.Subscriptions, {"cloud": options.cloud}).subscriptions
    named = [each for each in found if each.name.lower() == given.lower()]
    if len(named) != 1:
        there = ", ".join(each.name for each in found) or "none"
        what = "no subscription is" if not named else f"{len(named)} subscriptions are"
        raise UsageError(f"{what} called {given}; there: {there}" + ("; give the id of one" if named else ""))
    options.subscription, options.cloud = named[0].id, named[0].cloud
