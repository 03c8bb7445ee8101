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

import psutil

from sidecar.core.journal import Event
from sidecar.core.scaffold import in_checkout, shipped
from sidecar.core.workspace import Workspace, open_workspace, target_of
from sidecar.gateway import resources
from sidecar.gateway.endpoint import Endpoint
from sidecar.gateway.files import Share, open_share
from sidecar.gateway.local import PACKAGES, known_local_cloud, runs
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.sample import sample_command
from sidecar.gateway.session import Session, Settings, open_session, prepare, settings_from
from sidecar.wire import protocol as wire
from sidecar.words.errors import Cancelled, EndpointError, SlipwayError
from sidecar.words.text import Text
from sidecar.workflows.actions import Context, deploy_action, provision_action
from sidecar.workflows.observe import api_key
from sidecar.workflows.project_files import init

ABOUT = "The whole job on the local cloud, with a sample model: provision, deploy, and ask the model."
GROUP = "slipway-demo"
KEEP_ALIVE_SECONDS = 60
STOP_SECONDS = 75
"""The replicas' grace period of 60 seconds, and a margin."""
KILLED_SECONDS = 10
SAME_PRESS_SECONDS = 0.5


@dataclass(frozen=True)
class Question:
    question: str
    base: str
    adapter: str


def main(arguments: list[str], environ: Mapping[str, str], program: str) -> int:
    usual = shipped() / "build" / "demo" if in_checkout() else settings_from(environ).state / "demo"
    parser = argparse.ArgumentParser(prog=program, description=ABOUT)
    parser.add_argument("--once", action="store_true", help="verify and exit instead of staying up")
    parser.add_argument("--folder", default=str(usual), help="where the demo keeps its state (default: %(default)s)")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    _stop_on_signals(stop)
    home = Path(options.folder)
    # The cloud that this process starts ends with it, also where it is killed before it can see to that.
    own = {"SLIPWAY_STATE": str(home / "state"), "SLIPWAY_LOCAL_WITH": str(os.getpid())}
    settings = settings_from({**environ, **own}, say=say)
    interrupted = False
    try:
        run(home, settings, stop)
        if not options.once:
            stay(settings, stop)
        return 0
    except SlipwayError as error:
        interrupted = stop.is_set()
        if interrupted:
            return 130
        print(f"\nerror: {error.message} [{error.code}]", file=sys.stderr)
        if error.suggestion is not None:
            print(f"  → {error.suggestion}", file=sys.stderr)
        if error.detail:
            print(error.detail, file=sys.stderr)
        return 1
    finally:
        left = stop_cloud(settings, stop)
        print(left or ("\nCancelled. Everything has ended." if interrupted else "\nEverything has ended."), flush=True)


def _stop_on_signals(stop: threading.Event) -> None:
    """Ctrl-C stops in order, and so does closing the terminal. One press may arrive several times: the terminal sends it to
    everybody, npm sends it on."""
    heard = -SAME_PRESS_SECONDS

    def end(number: int, frame: object) -> None:
        nonlocal heard
        now = time.monotonic()
        if now - heard >= SAME_PRESS_SECONDS:
            heard = now
            stop.set()

    def hang_up(number: int, frame: object) -> None:
        nowhere = os.open(
            os.devnull, os.O_WRONLY
        )  # writing to a terminal that is gone fails, and there is work to do yet
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        end(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, hang_up)


def run(home: Path, settings: Settings, stop: threading.Event) -> None:
    """Every step of the main job, then a question to the base and to the adapter, whose answers are checked."""
    began = time.monotonic()
    context = Context(settings, show, stop)
    heading("1  A project, and what a remote fine-tuning run leaves")
    prepare(settings, "local", ("local-image",), context.patience)
    sample, questions = sample_models(settings, stop)
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
            digest=None,
            begins=True,
            operation="demo",
        ),
        context,
    )
    upload_models(session, workspace, sample)

    heading("3  AI Toolkit: Deploy for inference")
    deployed = deploy_action(
        wire.DeployParams(
            folder=str(workspace.folder),
            cloud="local",
            code="workspace",
            stop_unanswered=False,
            strategy="auto",
            consents=[],
            operation="demo",
        ),
        context,
    )

    heading("4  The model answers")
    key = api_key(workspace, session)
    base, adapter = ask(deployed.url, key, questions[0])
    print(how_to_call(deployed.url, key, adapter, base, questions[0].question, time.monotonic() - began), flush=True)


def output_of(command: list[str], settings: Settings, stop: threading.Event) -> str:
    """The last line that a program prints; its other words go to the terminal. Stopping ends it and whatever it started."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=PACKAGES, env=dict(settings.environ), start_new_session=True
    )
    printed: list[str] = []
    reader = threading.Thread(target=lambda: printed.extend(process.stdout or ()), daemon=True)
    reader.start()
    while reader.is_alive() and not stop.is_set():
        reader.join(0.1)
    if stop.is_set():
        os.killpg(process.pid, signal.SIGTERM)
    status = process.wait()
    reader.join()
    if stop.is_set():
        raise Cancelled(Text("Cancelled. Nothing more is started."))
    if status != 0:
        raise EndpointError(Text("The sample model could not be made; the lines above say why."), code="SampleFailed")
    return printed[-1].strip()


def sample_models(settings: Settings, stop: threading.Event) -> tuple[Path, list[Question]]:
    """The trained sample, cached between runs: its folder, and what base and adapter were trained to answer."""
    say(Text("The sample: a tiny base model and a LoRA adapter, really trained (about a minute, once; then cached)…"))
    python = output_of([sys.executable, "-m", "sidecar.localcloud.image"], settings, stop)
    trained = output_of(sample_command(python), settings, stop)
    folder = Path(trained)
    said = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    questions = [Question(each["question"], each["base"], each["adapter"]) for each in said["questions"]]
    return folder, questions


def fresh_workspace(folder: Path, context: Context) -> Workspace:
    """The demo's project: this checkout's code and template, and what an earlier start wrote into infra/."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "inference", ignore_errors=True)
    shutil.rmtree(folder / "infra" / "provision", ignore_errors=True)
    init(wire.InitParams(folder=str(folder), beside=False), context)
    return open_workspace(folder)


def upload_models(session: Session, workspace: Workspace, sample: Path) -> None:
    """Puts base model and adapter where fine-tuning leaves them; what is there already with the same size stays."""
    target = target_of(workspace)
    place = GroupPlace(session, target.subscription_id, target.resource_group)
    with open_share(place, target.storage_account, target.file_share) as share:
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
    """Stays until Ctrl-C, also where the local cloud does not answer any more."""
    print("Press Ctrl-C to stop everything.", flush=True)
    failures: list[SlipwayError] = []
    threading.Thread(target=_keep_alive, args=(settings, failures), name="keep-alive", daemon=True).start()
    while not stop.wait(0.2):
        if failures:
            raise failures[0]


def _keep_alive(settings: Settings, failures: list[SlipwayError]) -> None:
    """The local cloud ends by itself without a client: this is one, as long as it can be reached."""
    try:
        session = open_session(settings, "local")
        while True:
            time.sleep(KEEP_ALIVE_SECONDS)
            resources.subscriptions(session)
    except SlipwayError as error:
        failures.append(error)


def stop_cloud(settings: Settings, stop: threading.Event) -> str | None:
    """Ends the demo's local cloud and every replica with it; returns what is left, in words, or None.

    Requests under way may finish, unless Ctrl-C comes again."""
    known = known_local_cloud(settings.local_state)
    if known is None or not runs(known):
        return None
    stop.clear()
    say(Text("Stopping the local cloud; requests under way may finish (Ctrl-C again ends them)…"))
    family = with_children(known.pid)
    os.kill(known.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while runs(known) and time.monotonic() < deadline and not stop.wait(0.1):
        pass
    if runs(known):
        os.kill(known.pid, signal.SIGKILL)  # its replicas end with it
    _, left = psutil.wait_procs(family, timeout=KILLED_SECONDS)
    if not left:
        return None
    return f"\nStill running: {', '.join(str(each.pid) for each in left)}. End them by hand."


def with_children(pid: int) -> list[psutil.Process]:
    """The process and all that it started; empty when it has just ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def say(text: Text) -> None:
    print(f"  {text}", flush=True)


def show(event: Event) -> None:
    if event.kind == "log" and event.level in ("info", "warning"):
        say(event.text)
