"""`npm start`: the main job on the local cloud, through the same actions as VS Code: provision, deploy, and ask the model."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar import protocol as wire
from sidecar.actions import Context, deploy_action, init, provision_action
from sidecar.errors import EndpointError, SlipwayError
from sidecar.gateway import resources
from sidecar.gateway.endpoint import Endpoint
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.local import known_local_cloud, runs
from sidecar.gateway.session import Session, Settings, open_session, prepare, settings_from
from sidecar.journal import Event
from sidecar.observe import api_key
from sidecar.scaffold import shipped
from sidecar.text import Text
from sidecar.workspace import Workspace, open_workspace, target_of

GROUP = "slipway-demo"
KEEP_ALIVE_SECONDS = 60
STOP_SECONDS = 75
"""The replicas' grace period of 60 seconds, and a margin."""


@dataclass(frozen=True)
class Question:
    question: str
    base: str
    adapter: str


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="npm start --", description=__doc__)
    parser.add_argument("--once", action="store_true", help="verify and exit instead of staying up")
    parser.add_argument("--folder", default=str(shipped() / "build" / "demo"), help="where the demo keeps its state")
    options = parser.parse_args(arguments)
    stop = threading.Event()

    def end(number: int, frame: object) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    home = Path(options.folder)
    settings = settings_from({**environ, "SLIPWAY_STATE": str(home / "state")}, say=say)
    try:
        run(home, settings, stop)
        if not options.once:
            stay(settings, stop)
        return 0
    except SlipwayError as error:
        print(f"\nerror: {error.message} [{error.code}]", file=sys.stderr)
        if error.suggestion is not None:
            print(f"  → {error.suggestion}", file=sys.stderr)
        if error.detail:
            print(error.detail, file=sys.stderr)
        return 130 if stop.is_set() else 1
    finally:
        stop_cloud(settings, stop)


def run(home: Path, settings: Settings, stop: threading.Event) -> None:
    """Every step of the main job, then a question to the base and to the adapter, whose answers are checked."""
    began = time.monotonic()
    context = Context(settings, show, stop)
    heading("1  A project, and what a remote fine-tuning run leaves")
    prepare(settings, "local", ("local-image",))
    sample, questions = sample_models(settings)
    workspace = fresh_workspace(home / "workspace", context)
    say(Text("Project folder: {folder}", folder=workspace.folder))
    session = open_session(settings, "local")
    subscription = resources.subscriptions(session)[0]
    region = resources.locations(session, subscription.id)[0][0]
    group = resources.create_group(session, subscription.id, GROUP, region)
    say(
        Text(
            "Subscription “{name}”, resource group {group} in {region}",
            name=subscription.name,
            group=group.name,
            region=group.location,
        )
    )

    heading("2  AI Toolkit: Provision Azure Container Apps for inference")
    provision_action(
        wire.ProvisionParams(
            folder=str(workspace.folder),
            cloud="local",
            subscription_id=subscription.id,
            resource_group=group.name,
            consents=["gpu-profile"],
            operation="demo",
        ),
        context,
    )
    upload_models(session, workspace, sample)

    heading("3  AI Toolkit: Deploy for inference")
    deployed = deploy_action(
        wire.DeployParams(folder=str(workspace.folder), cloud="local", consents=[], operation="demo"), context
    )

    heading("4  The model answers")
    key = api_key(workspace, session)
    base, adapter = ask(deployed.url, key, questions[0])
    print(how_to_call(deployed.url, key, adapter, base, questions[0].question, time.monotonic() - began), flush=True)


def sample_models(settings: Settings) -> tuple[Path, list[Question]]:
    """The trained sample, cached between runs: its folder, and what base and adapter were trained to answer."""
    say(Text("The sample: a tiny base model and a LoRA adapter, really trained (about a minute, once; then cached)…"))
    python = subprocess.run(
        [sys.executable, "-m", "sidecar.localcloud.image"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(settings.environ),
    ).stdout.strip()
    script = Path(__file__).parent / "localcloud" / "finetune.py"
    done = subprocess.run(
        [python.splitlines()[-1], str(script), "--cached"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=dict(settings.environ),
    )
    if done.returncode != 0:
        raise EndpointError(
            Text("The sample model could not be trained; the lines above say why."), code="SampleFailed"
        )
    folder = Path(done.stdout.strip().splitlines()[-1])
    said = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    questions = [Question(each["question"], each["base"], each["adapter"]) for each in said["questions"]]
    return folder, questions


def fresh_workspace(folder: Path, context: Context) -> Workspace:
    """The demo's project: this checkout's code and template, and what an earlier start wrote into infra/."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "inference", ignore_errors=True)
    shutil.rmtree(folder / "infra" / "provision", ignore_errors=True)
    init(wire.FolderParams(folder=str(folder)), context)
    return open_workspace(folder)


def upload_models(session: Session, workspace: Workspace, sample: Path) -> None:
    """Puts base model and adapter where fine-tuning leaves them; what is there already with the same size stays."""
    target = target_of(workspace)
    with open_share(
        session, target.subscription_id, target.resource_group, target.storage_account, target.file_share
    ) as share:
        files = [
            each for top in ("model-cache", "models") for each in sorted((sample / top).rglob("*")) if each.is_file()
        ]
        missing = [
            each for each in files if not _there(share, each.relative_to(sample).as_posix(), each.stat().st_size)
        ]
        for each in missing:
            share.upload(each, each.relative_to(sample).as_posix(), lambda _: None)
    say(
        Text(
            "On the share {share}: {count} model files ({new} uploaded now)",
            share=target.file_share,
            count=len(files),
            new=len(missing),
        )
    )


def _there(share: Share, path: str, size: int) -> bool:
    folder, _, name = path.rpartition("/")
    return any(each.name == name and each.size == size for each in share.list(folder))


def ask(url: str, key: str, question: Question) -> tuple[str, str]:
    """Asks base and adapter, shows both answers, and raises EndpointError unless each is what it was trained to say.

    Returns the two models' names."""
    with Endpoint(url, key) as endpoint:
        version = endpoint.version()
        if version is None or version.base is None or not version.adapters:
            raise EndpointError(Text("The server names no base model or no adapter."), code="NoAdapter")
        base, adapter = version.base, version.adapters[0]
        print(f"  question          {question.question}")
        for kind, model, expected in (("base model", base, question.base), ("adapter", adapter, question.adapter)):
            answer = endpoint.ask(model, question.question)
            print(f"  {kind:<10} says   {answer}   [{model}]")
            if answer.strip() != expected:
                raise EndpointError(
                    Text(
                        "The {kind} {model} should have answered “{expected}”.",
                        kind=kind,
                        model=model,
                        expected=expected,
                    ),
                    code="WrongAnswer",
                )
    return base, adapter


def how_to_call(url: str, key: str, adapter: str, base: str, question: str, seconds: float) -> str:
    """The last lines of `npm start`: where the endpoint is, its key, and how to call it."""
    body = json.dumps({"model": adapter, "messages": [{"role": "user", "content": question}]})
    return f"""
Ready after {seconds:.0f} s. The inference endpoint is available at {url}

  chat page   {url}/   (log in with the key)
  API key     {key}
  models      {base} (base), {adapter} (adapter)

  curl {url}/v1/chat/completions -H "Authorization: Bearer {key}" \\
    -H "Content-Type: application/json" -d '{body}'

  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="{key}")
  client.chat.completions.create(model="{adapter}", messages=[{{"role": "user", "content": "{question}"}}])
"""


def stay(settings: Settings, stop: threading.Event) -> None:
    """Stays until Ctrl-C. The local cloud ends by itself without a client: this is one."""
    print("Press Ctrl-C to stop everything.", flush=True)
    session = open_session(settings, "local")
    while not stop.wait(KEEP_ALIVE_SECONDS):
        resources.subscriptions(session)


def stop_cloud(settings: Settings, stop: threading.Event) -> None:
    """Ends the demo's local cloud and every replica with it. Requests under way may finish, unless Ctrl-C comes again."""
    known = known_local_cloud(settings.local_state)
    if known is None or not runs(known):
        return
    stop.clear()
    say(Text("Stopping the local cloud; requests under way may finish (Ctrl-C again ends them)…"))
    os.kill(known.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while runs(known) and time.monotonic() < deadline and not stop.wait(0.1):
        pass
    if runs(known):
        os.kill(known.pid, signal.SIGKILL)  # its replicas end with it


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def say(text: Text) -> None:
    print(f"  {text}", flush=True)


def show(event: Event) -> None:
    if event.kind == "log" and event.level in ("info", "warning"):
        say(event.text)
