"""A deletion and a change of the API key, killed at each write and journal step: the same command, run again, ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from sidecar.decisions.rotation import PREVIOUS
from sidecar.gateway import apps, revisions
from sidecar.gateway.files import open_share
from tests.contract.localcloud.conftest import eventually
from tests.faults.deploying.ground import Ground, Row
from tests.faults.deploying.sweep import Command, Point, killed_at, points

APP_KEYS = ("ACA_APP_NAME", "ACA_APP_ENDPOINT")
KINDS = {
    "environment": "Microsoft.App/managedEnvironments",
    "logs": "Microsoft.OperationalInsights/workspaces",
    "account": "Microsoft.Storage/storageAccounts",
}
APP = "Microsoft.App/containerApps"
MODEL = "models/adapter.bin"

FIRST = ("releases", "mount", "environment", "logs")
WITH_SHARE = ("share",)
"""What goes beside the app: in one sweep all but the storage, in the other one the share with all that is on it."""

WRITING = r"^(?!.*(oauth2|listKeys|listSecrets|getAuthtoken))"
"""Requests that write: these are a POST, and sign in or only read."""

Wrong = Generator[tuple[Point, list[str]]]


def distinct(ground: Ground, command: Command) -> list[Point]:
    """Moments at which something differs: what is there after a write is there before the next one; a run that asked for consent
    has only looked, and looks again."""
    found = points(ground, command)
    steps = ground.steps(command.kind)[-sum(each.where == "journal" for each in found) :]
    again = {n for n, step in enumerate(steps) if step == "failed" or (step == "look" and n > 0)}
    return [
        each
        for each in found
        if (each.number not in again if each.where == "journal" else each.after or each.number == 0)
    ]


def untold(ground: Ground, command: Command) -> bool:
    """A run may have asked for consent just then, or have come to its end."""
    return ground.unfinished(command.kind) is None and ground.steps(command.kind)[-1] not in ("failed", "done")


# Delete


def deleting(ground: Ground, also: Sequence[str]) -> Command:
    """The share is named by its name: after the first time Provision has found it there."""
    known = ground.config
    words = [f"share:{known['FILE_SHARE_NAME']}" if each == "share" else each for each in also]
    return Command("delete", ("delete", "--name", known["ACA_APP_NAME"], "--also", ",".join(words)), WRITING)


def put_there(ground: Ground) -> None:
    """Everything that Provision makes, a release as Deploy leaves it, and a model. What is there is not provisioned again: then
    it would be found, not made, and be another's by the record."""
    if not ground.config["ACA_APP_NAME"]:
        ground.project.provision()
    digest = "0" * 64
    with ground.share() as share:
        for path in (f"releases/{digest}", "generations/1.json"):
            share.replace(f"{ground.home}/{path}", b"{}")
        share.replace(MODEL, b"weights")


def deletions(ground: Ground, also: Sequence[str], chosen: Sequence[Point]) -> Wrong:
    for point in chosen:
        put_there(ground)
        known, command = ground.config, deleting(ground, also)
        came, alive = killed_at(ground, command, point)
        if not came:
            yield point, []
            continue
        wrong: list[str] = []
        if alive and untold(ground, command):
            wrong.append("the journal does not tell that it was cut off")
        ended = ground.steps("delete")[-1] == "done"  # then the app's name is no name any more
        done = ground.deploy(*command.arguments)
        if done.code != 0 and done.error["code"] not in ("NotProvisioned", *(["NameDiffers"] if ended else [])):
            wrong.append(f"the next run ended with {done.code}: {done.out[:300]}")
        if ground.unfinished("delete") is not None:
            wrong.append("the journal still tells of it after the next run")
        yield point, [*wrong, *not_as_asked(ground, also, known)]


def not_as_asked(ground: Ground, also: Sequence[str], known: dict[str, str]) -> list[str]:
    """Read outside the code under test: what should be gone and is not, what is gone and should not be, what the file says."""
    wrong = [f"the app {each} is there" for each in ground.project.names(APP)]
    for kind, resource in KINDS.items():
        there, stays = bool(ground.project.names(resource)), kind not in also
        if there is not stays:
            wrong.append(f"the {kind} is {'there' if there else 'gone'}")
    emptied = {key for key, value in ground.config.items() if not value}
    expected = {*APP_KEYS, *(["FILE_SHARE_NAME"] if "share" in also else [])}
    if emptied != expected:
        wrong.append(f"the configuration has {sorted(emptied)} emptied")
    if "share" in also:
        return wrong
    with open_share(ground.project.place, known["STORAGE_ACCOUNT_NAME"], known["FILE_SHARE_NAME"]) as share:
        if not share.exists(MODEL):
            wrong.append("the model is gone")
        left = [each.name for each in share.list(".slipway")]
    if "releases" in also and known["ACA_APP_NAME"] in left:
        wrong.append("releases are there")
    return wrong


def delete_row(grounds: Sequence[Ground], every: int = 1) -> Row:
    """The points are shared out among grounds, each on a cloud of its own."""
    began = time.monotonic()
    played: list[tuple[Point, list[str]]] = []
    total = 0
    for also in (FIRST, WITH_SHARE):
        put_there(grounds[0])
        found = distinct(grounds[0], deleting(grounds[0], also))
        total += len(found)
        played += together(grounds, found[::every], lambda ground, part, also=also: deletions(ground, also, part))
    return judged(
        "delete killed", "the next run takes the rest, nothing that stays; the configuration names what is there",
        total, played, time.monotonic() - began,
    )  # fmt: skip


# Rotate


def rotating(*more: str) -> Command:
    return Command("rotate", ("rotate-key", "--yes", *more), WRITING)


def keys_of(ground: Ground) -> dict[str, str]:
    return apps.secrets(ground.project.place.app(ground.config["ACA_APP_NAME"]))


def answered(ground: Ground, key: str, seconds: float = 10) -> int:
    """The status with which a caller's question is answered; 0: no answer in time."""
    found = apps.app(ground.project.place.app(ground.config["ACA_APP_NAME"]))
    headers = {"Authorization": f"Bearer {key}"}
    try:
        return httpx.get(
            f"http://{found.fqdn}/v1/models", headers=headers, timeout=seconds, trust_env=False
        ).status_code
    except httpx.HTTPError:
        return 0


def deployed(ground: Ground) -> None:
    """An app with one key that answers, and whose template has never had a second one."""
    ground.write("serve", "first")
    assert ground.deploy().code == 0


def forget_second_key(ground: Ground) -> None:
    """As before the first rotation, which makes a revision."""
    place = ground.project.place.app(ground.config["ACA_APP_NAME"])
    template = apps.template_of(place)
    first = template["containers"][0]
    if all(each["name"] != PREVIOUS for each in first["env"]):
        return
    first["env"] = [each for each in first["env"] if each["name"] != PREVIOUS]
    before = {each.name for each in revisions.revisions(place)}
    apps.update_template(place, template)
    for name in before:
        revisions.deactivate(place, name)
    eventually(lambda: answered(ground, keys_of(ground)["api-key"], 2) == 200, 180, "the app with one key")


def rotations(ground: Ground, chosen: Sequence[Point], *, first: bool) -> Wrong:
    """A rotation and its end, each killed at the same point, each run again. `first`: the app has no second key yet, each time;
    the end is then let be."""
    for point in chosen:
        if first:
            forget_second_key(ground)
        old = keys_of(ground)["api-key"]
        wrong = list(cut_off(ground, rotating(), point, old))
        new = keys_of(ground)["api-key"]
        if new == old:
            wrong.append("there is no new key")
        wrong += [f"{what} is answered with {said}" for what, key in (("the old key", old), ("the new key", new))
                  if (said := answered(ground, key)) != 200]  # fmt: skip
        if first:
            assert ground.deploy(*rotating("--finish").arguments).code == 0
        else:
            wrong += cut_off(ground, rotating("--finish"), point, new)
        if any(key in text for key in (old, new) for text in ground.written):
            wrong.append("a key was printed")
        if (said := answered(ground, new)) != 200:
            wrong.append(f"the new key is answered with {said} in the end")
        if (said := answered(ground, old)) != 401:
            wrong.append(f"the old key is answered with {said} in the end")
        yield point, wrong


def cut_off(ground: Ground, command: Command, point: Point, held: str) -> Generator[str]:
    """`held`: the key that callers have, which no moment may refuse."""
    before = keys_of(ground)["api-key"]
    came, alive = killed_at(ground, command, point)
    between = keys_of(ground)["api-key"]
    if came and alive and untold(ground, command):
        yield f"{command.arguments}: the journal does not tell that it was cut off"
    if answered(ground, held, 2) == 401:
        yield f"{command.arguments}: a caller is refused after the kill"
    done = ground.deploy(*command.arguments)
    if done.code != 0:
        yield f"{command.arguments}: the next run ended with {done.code}: {done.out[:300]}"
    if ground.unfinished("rotate") is not None:
        yield f"{command.arguments}: the journal still tells of it after the next run"
    if between not in (before, keys_of(ground)["api-key"]):
        yield f"{command.arguments}: the next run made a third key"


def rotate_row(grounds: Sequence[Ground], every: int = 1) -> Row:
    """`grounds`: each on a cloud of its own; the first two with one GPU, where the old replica ends first. On the first one each
    rotation is the first one, which makes a revision; on the others it restarts."""
    began = time.monotonic()
    counted: list[int] = []

    def play(number: int) -> list[tuple[Point, list[str]]]:
        ground, first = grounds[number], number == 0
        deployed(ground)
        if not first:
            assert ground.deploy(*rotating().arguments).code == 0
            assert ground.deploy(*rotating("--finish").arguments).code == 0
        found = distinct(ground, rotating())
        assert ground.deploy(*rotating("--finish").arguments).code == 0
        counted.append(len(found) if first else 2 * len(found))
        return list(rotations(ground, found[::every], first=first))

    with ThreadPoolExecutor(len(grounds)) as pool:
        played = [each for part in pool.map(play, range(len(grounds))) for each in part]
    return judged(
        "rotate killed", "no caller is refused, no third key is made; the next run has both, then one", sum(counted), played,
        time.monotonic() - began,
    )  # fmt: skip


def together(
    grounds: Sequence[Ground], chosen: Sequence[Point], sweep: Callable[[Ground, Sequence[Point]], Wrong]
) -> list[tuple[Point, list[str]]]:
    with ThreadPoolExecutor(len(grounds)) as pool:
        parts = pool.map(lambda n: list(sweep(grounds[n], chosen[n :: len(grounds)])), range(len(grounds)))
        return [each for part in parts for each in part]


def judged(fault: str, expected: str, total: int, played: list[tuple[Point, list[str]]], seconds: float) -> Row:
    wrong = [f"{point}: {each}" for point, problems in played for each in problems]
    seen = f"{len(played)} played, {total} points, " + ("; ".join(wrong) or "each run after finished")
    return Row(20, fault, expected, seen, seconds, len(played), not wrong and bool(played))
