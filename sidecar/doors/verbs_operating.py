"""The verbs on an app that is there: started, stopped, kept warm, looked into, deleted."""

from __future__ import annotations

import argparse
import os
from typing import Any, cast, get_args

from sidecar.doors import terminal_operating
from sidecar.doors.verb import Params, Verb, folder_of, in_folder, never, operation_of
from sidecar.wire import protocol as wire
from sidecar.words.names import SnippetLanguage


def for_snippet(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--language", default="curl", choices=get_args(SnippetLanguage))


def for_diagnostics(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--out", required=True, metavar="FILE.zip", help="the archive to write")
    parser.add_argument("--force", action="store_true", help="replace a file of this name")


def for_rotation(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--finish", action="store_true", help="callers have changed: refuse the old key from now on")


def for_warmth(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument(
        "--wake", action="store_true", help="wake an app that sleeps; without it that one is left asleep"
    )


def for_upload(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="MODEL", help="a folder with adapter_config.json, or with a base's config.json"
    )
    in_folder(parser)
    parser.add_argument(
        "--as", dest="name", metavar="NAME", help="of an adapter its name, of a base organisation/model"
    )
    parser.add_argument(
        "--shards",
        type=int,
        default=0,
        metavar="N",
        help="spread a base's weights over N files, where it has fewer: they are read faster from the share; yours stay as "
        "they are",
    )


def for_delete(parser: argparse.ArgumentParser) -> None:
    in_folder(parser)
    parser.add_argument("--plan", action="store_true", help="only list what would go and what would stay")
    parser.add_argument("--name", metavar="APP", help="the app's name, as a confirmation; asked for on a terminal")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="KIND",
        help="what goes beside the app: releases, mount, environment, logs, share, account; KIND:NAME for what this project "
        "did not make; may be repeated",
    )


def delete_of(options: argparse.Namespace) -> Params:
    also = [each for given in options.also for each in given.split(",") if each]
    return {**operation_of(options), "plan": options.plan, "name": options.name or "", "also": also}


def upload_of(options: argparse.Namespace) -> Params:
    source = os.path.abspath(options.source)
    return {**operation_of(options), "source": source, "name": options.name, "shards": max(options.shards, 0)}


OPERATING: dict[str, Verb[Any]] = {
    "cancel": Verb(
        what="cancel the provisioning of this project that goes on in the cloud, and tell what exists",
        method="slipway/cancelProvisioning",
        hears_cancel=True,
        result=wire.ProvisionCancelled,
        title="AI Toolkit: Cancel provisioning",
        arguments=in_folder,
        place=lambda options: {**operation_of(options), "target": None},
        render=terminal_operating.provision_cancelled,
        failed=never,
    ),
    "start": Verb(
        what="start the app that was stopped; the first request then wakes it",
        method="slipway/start",
        hears_cancel=True,
        result=wire.Switched,
        title="AI Toolkit: Start inference app",
        arguments=in_folder,
        place=operation_of,
        render=terminal_operating.switched,
        failed=never,
    ),
    "stop": Verb(
        what="stop the app: no GPU is awake, no request wakes it",
        method="slipway/stop",
        hears_cancel=True,
        result=wire.Switched,
        title="AI Toolkit: Stop inference app",
        arguments=in_folder,
        place=operation_of,
        render=terminal_operating.switched,
        failed=never,
    ),
    "keep-warm": Verb(
        what="one light request inside each cooldown, until Ctrl-C: the GPU stays awake, and is billed",
        method="slipway/keepWarm",
        hears_cancel=True,
        result=wire.Warmed,
        title="AI Toolkit: Keep warm while this window is open",
        arguments=for_warmth,
        place=lambda options: {**operation_of(options), "wake": options.wake},
        render=terminal_operating.warmed,
        failed=lambda done: cast("wire.Warmed", done).ended != "left",
    ),
    "rotate-key": Verb(
        what="a new API key, the old one accepted beside it until --finish; `api-key` shows the new one",
        method="slipway/rotateKey",
        hears_cancel=True,
        result=wire.Rotated,
        title="AI Toolkit: Rotate API key",
        arguments=for_rotation,
        place=lambda options: {**operation_of(options), "finish": options.finish},
        render=terminal_operating.rotated,
        failed=never,
    ),
    "snippet": Verb(
        what="a call of the model as code; the key is in the variable SLIPWAY_API_KEY, never in the code",
        method="slipway/snippet",
        hears_cancel=False,
        result=wire.Snippet,
        title=None,
        arguments=for_snippet,
        place=lambda options: {**folder_of(options), "language": options.language},
        render=lambda found: cast("wire.Snippet", found).code.rstrip("\n"),
        failed=never,
    ),
    "diagnostics": Verb(
        what="collect what can be read about the app into one file to share, every secret taken out",
        method="slipway/diagnostics",
        hears_cancel=True,
        result=wire.Diagnostics,
        title="AI Toolkit: Collect diagnostics",
        arguments=for_diagnostics,
        place=lambda options: {
            **operation_of(options),
            "file": os.path.abspath(options.out),
            "overwrite": options.force,
        },
        render=terminal_operating.diagnostics,
        failed=never,
    ),
    "upload": Verb(
        what="put an adapter or a base model of this machine on the share; an adapter answers without a restart",
        method="slipway/upload",
        hears_cancel=True,
        result=wire.Uploaded,
        title="AI Toolkit: Upload model or adapter",
        arguments=for_upload,
        place=upload_of,
        render=terminal_operating.uploaded,
        failed=lambda done: cast("wire.Uploaded", done).live == "partly",
    ),
    "sample": Verb(
        what="no model at hand: train a tiny base and an adapter (about a minute, once) and put them on the share",
        method="slipway/sample",
        hears_cancel=True,
        result=wire.Sampled,
        title="AI Toolkit: Use the sample model",
        arguments=in_folder,
        place=operation_of,
        render=terminal_operating.sampled,
        failed=lambda done: cast("wire.Sampled", done).live == "partly",
    ),
    "delete": Verb(
        what="delete the app, and what else is named; share, models and environment stay unless they are",
        method="slipway/remove",
        hears_cancel=True,
        result=wire.Removed,
        title="AI Toolkit: Delete inference resources",
        arguments=for_delete,
        place=delete_of,
        render=terminal_operating.removed,
        failed=never,
    ),
}
