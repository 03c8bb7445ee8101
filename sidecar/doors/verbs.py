"""The verbs of the terminal door, each written down once and whole: help, arguments, request, text, exit code."""

from __future__ import annotations

import argparse
import os
from typing import Any, cast

from sidecar.doors import terminal, terminal_logs, terminal_plan, terminal_preflight
from sidecar.doors.verb import Params, Verb, folder_of, in_folder, never, nothing, operation_of
from sidecar.doors.verbs_bicep import BICEP
from sidecar.doors.verbs_evaluating import EVALUATING
from sidecar.doors.verbs_files import FILES
from sidecar.doors.verbs_operating import OPERATING
from sidecar.wire import protocol as wire
from sidecar.words.names import OPERATIONS, STRATEGIES


def in_subscription(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subscription", required=True, help="its id or name")


def subscription_of(options: argparse.Namespace) -> Params:
    return {"subscriptionId": options.subscription}


def for_group(parser: argparse.ArgumentParser) -> None:
    in_subscription(parser)
    parser.add_argument("--name", required=True)
    parser.add_argument("--location", required=True)


def group_of(options: argparse.Namespace) -> Params:
    return {**subscription_of(options), "name": options.name, "location": options.location}


def for_provision(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--subscription", help="its id or name; asked for on a terminal")
    parser.add_argument("--group", help="the resource group; asked for on a terminal")
    parser.add_argument("--app", metavar="NAME", help="which container app is ours, where the template makes several")
    parser.add_argument(
        "--parameters", metavar="FILE", help="the parameters, a JSON or a .bicepparam file (default: the one in infra/)"
    )


def for_asked_provision(parser: argparse.ArgumentParser) -> None:
    for_provision(parser)
    parser.set_defaults(digest=None, begins=True)


def for_plan(parser: argparse.ArgumentParser) -> None:
    for_provision(parser)
    parser.add_argument("--raw", action="store_true", help="with ARM's own what-if as it came, noise and all")
    parser.add_argument("--output", metavar="FILE", help="write the plan there, for `apply`")


def for_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="FILE", help="of `plan --output`")


def apply_of(options: argparse.Namespace) -> Params:
    return {**terminal_plan.taken(options.plan), "begins": True, "operation": ""}


def for_preview(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument(
        "--code",
        default="workspace",
        metavar="WHICH",
        help="workspace (the default): the project's inference/; shipped@VERSION: this Slipway's own, with the project's "
        "files in place of and beside it",
    )
    rolling_out(parser)


def stopping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop-unanswered",
        action="store_true",
        help="stop the app where its GPU has been awake for twice as long as the last start took and nothing answers",
    )


def rolling_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        help="how the release comes into service. auto (the default): what loses the least, of what is possible; in-place: the "
        "server is exchanged in its container; revision: a new revision beside the old one; restart: the revision restarts",
    )


def for_deploy(parser: argparse.ArgumentParser) -> None:
    for_preview(parser)
    stopping(parser)


def for_rollback(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    rolling_out(parser)
    stopping(parser)
    parser.add_argument(
        "--to", type=int, metavar="GENERATION", help="of `releases`; default: the last other release that has served"
    )


def for_discard(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--kind", choices=OPERATIONS, required=True)


def for_logs(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--follow", action="store_true", help="go on as lines come, until Ctrl-C; wakes nothing")
    parser.add_argument(
        "--since", default="", metavar="WHEN", help="30s, 10m, 2h, 1d, or a time in ISO 8601 (UTC without a zone)"
    )
    parser.add_argument("--system", action="store_true", help="what the platform tells, not what the containers write")
    parser.add_argument("--replica", default="", metavar="NAME", help="of this one only (`status` lists them)")
    parser.add_argument(
        "--previous",
        action="store_true",
        help="of each container the instance before the one that runs; in a crash loop the one that ended last",
    )


def logs_of(options: argparse.Namespace) -> Params:
    asked = {name: getattr(options, name) for name in ("follow", "since", "replica", "previous")}
    return {**operation_of(options), **asked, "source": "system" if options.system else "console"}


def deploy_of(options: argparse.Namespace) -> Params:
    return {
        **operation_of(options),
        "code": options.code,
        "stopUnanswered": options.stop_unanswered,
        "strategy": options.strategy,
    }


def provision_of(options: argparse.Namespace) -> Params:
    named = None if options.parameters is None else os.path.abspath(options.parameters)
    own = {"parameters": named, "app": options.app}
    return {**operation_of(options), **subscription_of(options), "resourceGroup": options.group, **own}


VERBS: dict[str, Verb[Any]] = {
    "subscriptions": Verb(
        what="list the subscriptions that can be used",
        method="slipway/subscriptions",
        hears_cancel=False,
        result=wire.Subscriptions,
        title=None,
        arguments=nothing,
        place=lambda _: {},
        render=terminal.subscriptions,
        failed=never,
    ),
    "groups": Verb(
        what="list a subscription's resource groups",
        method="slipway/resourceGroups",
        hears_cancel=False,
        result=wire.ResourceGroups,
        title=None,
        arguments=in_subscription,
        place=subscription_of,
        render=terminal.groups,
        failed=never,
    ),
    "locations": Verb(
        what="list a subscription's regions",
        method="slipway/locations",
        hears_cancel=False,
        result=wire.Locations,
        title=None,
        arguments=in_subscription,
        place=subscription_of,
        render=terminal.locations,
        failed=never,
    ),
    "create-group": Verb(
        what="create a resource group",
        method="slipway/createResourceGroup",
        hears_cancel=False,
        result=wire.ResourceGroup,
        title=None,
        arguments=for_group,
        place=group_of,
        render=terminal.group,
        failed=never,
    ),
    **FILES,
    "preflight": Verb(
        what="check whether provisioning can work, before anything is made: quota, permissions, names, storage, image",
        method="slipway/preflight",
        hears_cancel=False,
        result=wire.Preflight,
        title="AI Toolkit: Check inference set-up",
        arguments=for_provision,
        place=provision_of,
        render=terminal_preflight.preflight,
        failed=lambda found: any(each.verdict == "FAIL" for each in cast("wire.Preflight", found).checks),
    ),
    "plan": Verb(
        what="what provisioning would make, change, leave and cost; changes nothing",
        method="slipway/plan",
        hears_cancel=True,
        result=wire.Plan,
        title=None,
        arguments=for_plan,
        place=lambda options: {**provision_of(options), "raw": options.raw},
        render=lambda found: terminal.spoken(cast("wire.Plan", found).markdown),
        failed=never,
    ),
    "apply": Verb(
        what="provision as a plan says, or not at all: where anything has changed since, that is said, and nothing is done",
        method="slipway/provision",
        hears_cancel=True,
        result=wire.Provisioned,
        title=None,
        arguments=for_apply,
        place=apply_of,
        render=terminal.provisioned,
        failed=never,
    ),
    "provision": Verb(
        what="provision Azure Container Apps for inference; on a terminal the plan is shown and asked for first",
        method="slipway/provision",
        hears_cancel=True,
        result=wire.Provisioned,
        title="AI Toolkit: Provision Azure Container Apps for inference",
        arguments=for_asked_provision,
        place=lambda options: {**provision_of(options), "digest": options.digest, "begins": options.begins},
        render=terminal.provisioned,
        failed=never,
    ),
    "deploy": Verb(
        what="sync the code, bring it into service without losing a request where possible, wait until the model answers",
        method="slipway/deploy",
        hears_cancel=True,
        result=wire.Deployed,
        title="AI Toolkit: Deploy for inference",
        arguments=for_deploy,
        place=deploy_of,
        render=terminal.deployed,
        failed=lambda done: bool(cast("wire.Deployed", done).refused),
    ),
    "preview": Verb(
        what="what a deploy would upload and restart, and the downtime to expect; changes nothing",
        method="slipway/preview",
        hears_cancel=False,
        result=wire.Preview,
        title="AI Toolkit: Preview deployment",
        arguments=for_preview,
        place=lambda options: {**folder_of(options), "code": options.code, "strategy": options.strategy},
        render=terminal.preview,
        failed=lambda found: any(each.certain for each in cast("wire.Preview", found).problems),
    ),
    "releases": Verb(
        what="the releases that are kept: when, by whom, from which commit, what differs",
        method="slipway/releases",
        hears_cancel=False,
        result=wire.Releases,
        title=None,
        arguments=in_folder,
        place=folder_of,
        render=terminal.releases,
        failed=never,
    ),
    "rollback": Verb(
        what="make an earlier release current again and wait until it answers",
        method="slipway/rollback",
        hears_cancel=True,
        result=wire.Deployed,
        title="AI Toolkit: Roll back inference deployment",
        arguments=for_rollback,
        place=lambda options: {
            **operation_of(options),
            "generation": options.to,
            "stopUnanswered": options.stop_unanswered,
            "strategy": options.strategy,
        },
        render=terminal.deployed,
        failed=lambda done: bool(cast("wire.Deployed", done).refused),
    ),
    "interrupted": Verb(
        what="operations of this project that were cut off, and what they left",
        method="slipway/interrupted",
        hears_cancel=False,
        result=wire.Interruptions,
        title=None,
        arguments=in_folder,
        place=folder_of,
        render=terminal.interrupted,
        failed=never,
    ),
    "discard": Verb(
        what="forget an operation that was cut off",
        method="slipway/discard",
        hears_cancel=False,
        result=wire.Interruptions,
        title=None,
        arguments=for_discard,
        place=lambda options: {**folder_of(options), "kind": options.kind, "target": None},
        render=terminal.interrupted,
        failed=never,
    ),
    "status": Verb(
        what="what runs where; never wakes a GPU",
        method="slipway/status",
        hears_cancel=False,
        result=wire.Status,
        title=None,
        arguments=in_folder,
        place=folder_of,
        render=terminal.status,
        failed=lambda found: cast("wire.Status", found).failure,
    ),
    "logs": Verb(
        what="what the containers write, or with --system what the platform tells of them; never wakes a GPU",
        method="slipway/logs",
        hears_cancel=True,
        result=wire.Logs,
        title="AI Toolkit: Show logs",
        arguments=for_logs,
        place=logs_of,
        render=lambda _: "",
        failed=never,
    ),
    "diagnose": Verb(
        what="why the endpoint is not ready, and what to do next; never wakes a GPU",
        method="slipway/diagnose",
        hears_cancel=False,
        result=wire.Diagnosis,
        title="AI Toolkit: Why is it not ready?",
        arguments=in_folder,
        place=folder_of,
        render=terminal_logs.diagnosis,
        failed=lambda found: cast("wire.Diagnosis", found).failure,
    ),
    "endpoint": Verb(
        what="the endpoint's URL and a single-use login link",
        method="slipway/endpoint",
        hears_cancel=False,
        result=wire.EndpointLink,
        title="AI Toolkit: Go to Inference Endpoint",
        arguments=in_folder,
        place=folder_of,
        render=terminal.endpoint,
        failed=never,
    ),
    "api-key": Verb(
        what="the endpoint's API key",
        method="slipway/apiKey",
        hears_cancel=False,
        result=wire.ApiKey,
        title="AI Toolkit: Show API key",
        arguments=in_folder,
        place=folder_of,
        render=lambda found: cast("wire.ApiKey", found).api_key,
        failed=never,
    ),
    **EVALUATING,
    **BICEP,
    **OPERATING,
}
"""Parser, request, text and exit code are read from here and nowhere else."""
