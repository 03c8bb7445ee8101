"""Which way a release comes into service: in place, as a revision beside the old, or by a restart; said before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sidecar.decisions.restart import Plan
from sidecar.words.names import ExchangeForm, Strategy, StrategyWish
from sidecar.words.text import Text

PACKAGES = ("requirements.txt",)
"""Ends of the names of files that say which packages the start installs."""

TORCH = "torch"

INGRESS_SECONDS = 240
"""The ingress answers 504 to a request that is held for longer."""

NOT_OURS = "the server that runs is not Slipway's own"
"""How the supervisor's word begins where it can't exchange what runs."""

CHANNEL = "channel.py"
"""Of our server's files the one by which it speaks with a supervisor."""

Packages = Literal["same", "own", "changed", "torch", "unknown"]
"""What a release changes of the packages. `own`: they differ, and it brings all of them along. `unknown`: what runs now is not
known file by file."""

UNDISTURBING = ("same", "own")
"""Then a second server changes nothing under the one that runs."""


@dataclass(frozen=True)
class Container:
    """What the supervisor in the container that runs tells of itself. `beside`: whether a second server would fit; None: it
    can't tell. `why`: in its own words."""

    release: str
    beside: bool | None
    why: str = ""
    asks: bool = True
    """Whether a release that waits to take over can be asked there."""


@dataclass(frozen=True)
class Facts:
    """`ours`: the app starts releases. `supervised`: its start has a supervisor, and a deploy key. `spoken`: the new release's
    server speaks with that. `pinned`: the app's variable names a release. `settled`: its revision is active, the app not
    stopped, and no other start is to be put in. `running`, `ready`: its replicas. `container` None: it was not asked, or does
    not answer so. `usual`: seconds that the last start took."""

    ours: bool
    supervised: bool
    spoken: bool
    pinned: bool
    settled: bool
    running: int
    ready: int
    container: Container | None
    packages: Packages
    usual: float | None = None
    gated: bool = False
    """Whether the release is judged by thresholds before it takes over."""


@dataclass(frozen=True)
class Choice:
    """`form`: of an exchange in place. `why`: what keeps a release from being exchanged in place, where it is not. `downtime`:
    seconds for which a request may wait or fail; None where it can't be told, or the restart itself tells it."""

    strategy: Strategy
    sentence: Text
    form: ExchangeForm | None = None
    downtime: float | None = None
    why: Text | None = None


def obstacle(facts: Facts) -> Text | None:
    """What keeps a release from being exchanged in the container that runs; None where nothing does."""
    if not facts.ours:
        return Text("The app does not start releases.")
    if not facts.settled:
        return Text("The app has to be started first.")
    if not facts.supervised:
        return Text("The app was provisioned without a deploy key: its container can't take a release while it runs.")
    if facts.pinned:
        return Text("The app's SLIPWAY_RELEASE names a release.")
    if facts.running == 0:
        return Text("No replica is running.")
    if facts.running > 1:
        return Text("{count} replicas run: an exchange in place is for one.", count=facts.running)
    if not facts.ready:
        return Text("The replica that runs is not ready.")
    if facts.container is None:
        return Text("The container that runs does not take releases.")
    if facts.gated and not facts.container.asks:
        return Text(
            "The app was provisioned by an older Slipway: its container has no way to ask a release before it serves."
        )
    if facts.container.why.startswith(NOT_OURS):
        return Text("The server that runs can't be exchanged: it is an older one of ours, or another.")
    if not facts.spoken:
        return Text("The code's server can't be exchanged: it is an older one of ours, or another.")
    if facts.packages == "torch":
        return Text("The code asks for another torch than the one that runs.")
    if facts.packages == "unknown":
        return Text("It is not known which packages the release that runs was started with.")
    return None


def in_place(facts: Facts) -> Choice:
    """Where nothing keeps it from that: beside the server that runs, or in its turn."""
    assert facts.container is not None, "an obstacle"
    if facts.packages in UNDISTURBING and facts.container.beside:
        text = Text(
            "The server is exchanged in its container, the new one beside the old: no request waits, and no replica is started."
        )
        return Choice("in-place", text, "beside", 0)
    reason = (
        Text("The code's packages have changed.")
        if facts.packages not in UNDISTURBING
        else Text("There is no room for two ({reason}).", reason=facts.container.why or "?")
    )
    return Choice("in-place", _in_turn(reason, facts.usual), "in turn", facts.usual)


def _in_turn(reason: Text, seconds: float | None) -> Text:
    if seconds is None:
        return Text(
            "{reason} The server is exchanged in its container, the old one first: requests wait until the new one answers.",
            reason=reason,
        )
    if seconds >= INGRESS_SECONDS:
        return Text(
            "{reason} The server is exchanged in its container, the old one first: requests wait for about {seconds} s, and "
            "those that wait for more than {limit} s fail.",
            seconds=round(seconds),
            limit=INGRESS_SECONDS,
            reason=reason,
        )
    return Text(
        "{reason} The server is exchanged in its container, the old one first: requests wait for about {seconds} s.",
        seconds=round(seconds),
        reason=reason,
    )


def otherwise(
    wish: StrategyWish, facts: Facts, plan: Plan, why: Text | None, *, offered: frozenset[Strategy]
) -> Choice:
    """Where a release is not exchanged in place. `plan`: of a restart. `offered`: what this Slipway can do."""
    if "revision" in offered and _as_revision(wish, facts, plan):
        text = Text(
            "A new revision starts beside the one that runs, and gets the requests once it has been checked: no request fails. "
            "For that while both run, and both their GPUs are paid for."
        )
        return Choice("revision", text, downtime=0, why=why)
    return Choice("restart", restarts(plan, facts.ready), downtime=0 if _keeps(plan, facts) else None, why=why)


def _as_revision(wish: StrategyWish, facts: Facts, plan: Plan) -> bool:
    """With nobody to serve meanwhile there is nothing that a second revision would save."""
    if not facts.ours or not facts.settled or not facts.ready:
        return False
    return wish == "revision" or (wish == "auto" and plan.way == "rolling")


def _keeps(plan: Plan, facts: Facts) -> bool:
    return not facts.ready or plan.way != "old-first"


def restarts(plan: Plan, ready: int) -> Text:
    if not ready:
        return Text("No replica answers now: nobody is cut off.")
    if plan.way != "old-first":
        return Text("The running replica stays until the new one is ready: no downtime is expected.")
    return Text("The running replica ends before the new one starts: usually several minutes without an answer.")


def refusal(wish: StrategyWish, facts: Facts, choice: Choice) -> Text | None:
    """Why what the person asked for can't be done; None where it is what is done. With no replica that answers every way is a
    start, and nobody is cut off."""
    if wish in ("auto", choice.strategy) or not facts.ready:
        return None
    if wish == "in-place":
        return Text("The release can't be exchanged in place: {reason}", reason=choice.why or "?")
    return Text("A revision beside the one that runs is not possible for this app.")


def when_judged(choice: Choice) -> Text:
    """By its gate, where it has one."""
    if choice.strategy == "revision" or choice.form == "beside":
        return Text("The gate asks the new server before it takes over: where it does not pass, the old one goes on.")
    return Text("The gate asks the new server once it serves: where it does not pass, the release before comes back.")


def packages_of(release: Mapping[str, str], running: Mapping[str, str] | None) -> Packages:
    """By the files that name packages alone, path → sha256: what the start does with them is the same where they are."""
    if running is None:
        return "unknown"
    named = {path for path in (*release, *running) if path.rpartition("/")[2].endswith(PACKAGES)}
    return "same" if all(release.get(path) == running.get(path) for path in named) else "changed"


def torch_of(text: str) -> str:
    """What a requirements file asks for of torch; empty where it does not name it."""
    lines = (line.partition("#")[0].partition(";")[0].replace(" ", "").lower() for line in text.splitlines())
    return next((line for line in lines if line.startswith(TORCH) and line[len(TORCH) :][:1] in ("", *"=<>!~[@")), "")
