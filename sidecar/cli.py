"""The terminal door: the same actions as VS Code's, as text or --json, with exit codes."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from sidecar import protocol as wire
from sidecar.actions import ACTIONS, Context
from sidecar.errors import Cancelled, ConsentNeeded, SlipwayError
from sidecar.gateway.session import settings_from
from sidecar.journal import Event
from sidecar.text import Text

EXIT_CODES = (
    "exit codes: 0 done, 1 failed (the message says why), 2 wrong usage, 3 consent missing (--yes), 130 cancelled"
)


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    stop = threading.Event()
    _stop_on_signals(stop)
    terminal = Terminal(as_json=options.json)
    settings = settings_from(environ, say=terminal.say)
    context = Context(settings, terminal.show, stop)
    try:
        result = _with_consents(options, context)
    except SlipwayError as error:
        terminal.fail(error)
        return 130 if isinstance(error, Cancelled) else 3 if isinstance(error, ConsentNeeded) else 1
    terminal.result(options.verb, result)
    return 0


class Terminal:
    """Progress and messages on stderr, the result on stdout: `--json` leaves stdout to one JSON document."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: Text) -> None:
        print(text, file=sys.stderr, flush=True)

    def show(self, event: Event) -> None:
        if event.kind == "log" and event.level != "debug":
            mark = {"warning": "warning: ", "error": ""}.get(event.level, "")
            if event.level != "error":  # an error is said once, by fail()
                print(f"  {mark}{event.text}", file=sys.stderr, flush=True)

    def fail(self, error: SlipwayError) -> None:
        if self._as_json:
            print(json.dumps({"error": wire.failure(error).model_dump(by_alias=True)}))
        print(f"error: {error.message} [{error.code}]", file=sys.stderr)
        if error.suggestion is not None:
            print(f"  → {error.suggestion}", file=sys.stderr)
        if error.detail:
            print(error.detail, file=sys.stderr)

    def result(self, verb: str, result: wire.Message) -> None:
        document = result.model_dump(by_alias=True)
        if self._as_json:
            print(json.dumps(document))
        else:
            print(RENDERERS.get(verb, _plain)(document))


def _plain(document: dict[str, Any]) -> str:
    return "\n".join(f"{key}: {value}" for key, value in document.items() if value not in (None, []))


def _rows(document: dict[str, Any]) -> str:
    rows: list[dict[str, Any]] = next(iter(document.values()))
    return "\n".join("  ".join(str(value) for value in row.values()) for row in rows) or "none"


def _status(document: dict[str, Any]) -> str:
    lines = [
        f"{document['app'] or 'no app'}: {document['state']}" + (f" ({document['phase']})" if document["phase"] else "")
    ]
    if document["url"]:
        lines.append(f"  endpoint  {document['url']}")
    if document["revision"]:
        lines.append(f"  revision  {document['revision']}")
    lines += [f"  replica   {each['name']}  {each['state']}" for each in document["replicas"]]
    if document["reason"]:
        lines.append(f"  reason    {Text(document['reason']['message'], **document['reason']['args'])}")
    return "\n".join(lines)


RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "status": _status,
    "subscriptions": _rows,
    "groups": _rows,
    "locations": _rows,
    "api-key": lambda document: str(document["apiKey"]),
}


def _with_consents(options: argparse.Namespace, context: Context) -> wire.Message:
    """Runs the action; what it asks consent for is agreed to by --yes, asked on a terminal, or refused."""
    consents: list[str] = []
    while True:
        method, params = _request(options, consents)
        try:
            message = wire.METHODS[method].params.model_validate(params)
            return ACTIONS[method](message, context)
        except ConsentNeeded as needed:
            agreed = options.yes or (sys.stdin.isatty() and _asked(needed))
            if not agreed or needed.consent in consents:
                raise
            consents.append(needed.consent)


def _asked(needed: ConsentNeeded) -> bool:
    print(needed.message, file=sys.stderr)
    return input("Agree? [y/N] ").strip().lower() in ("y", "yes")


def _request(options: argparse.Namespace, consents: list[str]) -> tuple[str, dict[str, Any]]:
    folder = {"folder": os.path.abspath(getattr(options, "folder", "."))}
    cloud = {"cloud": options.cloud}
    match options.verb:
        case "subscriptions":
            return "slipway/subscriptions", cloud
        case "groups":
            return "slipway/resourceGroups", {**cloud, "subscriptionId": options.subscription}
        case "locations":
            return "slipway/locations", {**cloud, "subscriptionId": options.subscription}
        case "create-group":
            given = {"subscriptionId": options.subscription, "name": options.name, "location": options.location}
            return "slipway/createResourceGroup", {**cloud, **given}
        case "init":
            return "slipway/init", folder
        case "provision":
            place = {"subscriptionId": options.subscription, "resourceGroup": options.group}
            return "slipway/provision", {**folder, **cloud, **place, "consents": consents, "operation": ""}
        case "deploy":
            return "slipway/deploy", {**folder, **cloud, "consents": consents, "operation": ""}
        case "status":
            return "slipway/status", {**folder, **cloud}
        case "endpoint":
            return "slipway/endpoint", {**folder, **cloud}
        case _:
            return "slipway/apiKey", {**folder, **cloud}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sidecar",
        description="Turn a fine-tuned model into an inference endpoint on Azure Container Apps, or on the local cloud.",
        epilog=EXIT_CODES,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cloud", default="auto", choices=["auto", "local", "azure", "azureChina", "azureUSGovernment"]
    )
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    common.add_argument(
        "--yes", action="store_true", help="agree to what would be asked (downloads, adding a GPU profile)"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, what: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=what, description=what, parents=[common], epilog=EXIT_CODES)

    def in_folder(name: str, what: str) -> argparse.ArgumentParser:
        made = verb(name, what)
        made.add_argument("folder", nargs="?", default=".", help="the project's folder (default: this one)")
        return made

    verb("subscriptions", "list the subscriptions that can be used")
    for name, what in (
        ("groups", "list a subscription's resource groups"),
        ("locations", "list a subscription's regions"),
    ):
        verb(name, what).add_argument("--subscription", required=True)
    group = verb("create-group", "create a resource group")
    group.add_argument("--subscription", required=True)
    group.add_argument("--name", required=True)
    group.add_argument("--location", required=True)
    in_folder("init", "create infra/ and inference/ where they are missing")
    made = in_folder("provision", "provision Azure Container Apps for inference")
    made.add_argument("--subscription", required=True)
    made.add_argument("--group", required=True, help="the resource group")
    in_folder("deploy", "sync the code, restart the replica, wait until the model answers")
    in_folder("status", "what runs where; never wakes a GPU")
    in_folder("endpoint", "the endpoint's URL and a single-use login link")
    in_folder("api-key", "the endpoint's API key")
    return parser


def _stop_on_signals(stop: threading.Event) -> None:
    """The first Ctrl-C cancels in order; the second ends the process at once."""

    def cancel(number: int, frame: object) -> None:
        if stop.is_set():
            sys.exit(130)
        print("\ncancelling… (again to leave at once)", file=sys.stderr)
        stop.set()

    signal.signal(signal.SIGINT, cancel)
    signal.signal(signal.SIGTERM, cancel)
