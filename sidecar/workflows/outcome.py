"""What came of a Deploy: whether the model answers, with what, and what a person should know beside that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.journal import Journal
from sidecar.decisions.serving import Address, elsewhere_note
from sidecar.gateway import apps
from sidecar.gateway.endpoint import Endpoint, Refused, RunsOn, Version, status_without_key
from sidecar.gateway.place import AppPlace
from sidecar.words.errors import Cancelled, EndpointError
from sidecar.words.names import ExchangeForm, Strategy
from sidecar.words.problems import Problem
from sidecar.words.text import Text
from sidecar.workflows.publish import Published
from sidecar.workflows.restart import answered
from sidecar.workflows.rollout import Arrived

ASK_SECONDS = 60
"""For one token of a model that is ready."""

TRIES = 3

UNVERIFIED = Text(
    "The replica runs and / answers; this server has no health routes, so the model itself is unverified."
)


@dataclass(frozen=True)
class Served:
    """A release that serves: what the share holds, which replicas answer with it, and how it came into service. `pause`: seconds
    in which the server that was exchanged took no request; None where none was."""

    published: Published
    arrived: Arrived
    app: apps.App
    strategy: Strategy = "restart"
    form: ExchangeForm | None = None
    pause: float | None = None


@dataclass(frozen=True)
class Result:
    """`verified`: the release answers, and with it every adapter that the server found. `base`, `adapters` and `refused` are
    what it serves and what it does not; None and empty where the server is not ours."""

    endpoint: str
    url: str
    release: str
    generation: int
    code_changed: bool
    verified: bool
    replicas: tuple[str, ...]
    base: str | None
    adapters: tuple[str, ...]
    refused: tuple[Refused, ...]
    notes: tuple[Text, ...]
    problems: tuple[Problem, ...] = ()
    """Of the code: what may be wrong with it, and did not keep it from starting."""
    runs_on: RunsOn | None = None
    strategy: Strategy = "restart"
    form: ExchangeForm | None = None
    pause: float | None = None


def ask_model(url: str, key: str | None, journal: Journal) -> None:
    """One token, at the address that callers use."""

    def ask() -> str:
        with Endpoint(url, key) as endpoint:
            return endpoint.ask(endpoint.models()[-1], "Hello", max_tokens=1)

    if _patiently(journal, ask) is None:
        raise EndpointError(
            Text("The model at {url} did not answer within {seconds} s.", url=url, seconds=ASK_SECONDS),
            Text("Look at its status, then try again."),
            code="EndpointUnreachable",
        )


def _patiently(journal: Journal, ask: Callable[[], str]) -> str | None:
    """A connection that breaks off says nothing of the release: it is asked again."""
    for _ in range(TRIES):
        try:
            return answered(journal, ask, ASK_SECONDS)
        except EndpointError as error:
            if error.code != "EndpointUnreachable":
                raise
        journal.wait(1)
    return answered(journal, ask, ASK_SECONDS)


def told(
    endpoint: str,
    address: Address,
    served: Served,
    *,
    problems: Sequence[Problem],
    notes: Sequence[Text],
    journal: Journal,
) -> Result:
    """What came of it, in the log and as a value."""
    published, version = served.published, served.arrived.version
    known = [*notes, *outcome_notes(version), *asked_elsewhere(address, served.app)]
    refused = () if version is None else version.refused or ()
    for each in refused:
        journal.log(
            Text("The server refuses the adapter {name}: {reason}", name=each.name, reason=each.reason), "warning"
        )
    for note in known:
        journal.log(note, "warning")
    if version is not None and version.runs_on is not None:
        journal.log(runs_on_text(version.runs_on))
    journal.log(Text("The inference endpoint is available at {url}", url=address.url))
    journal.done(release=published.release, generation=str(published.generation))
    return Result(
        endpoint=endpoint,
        url=address.url,
        release=published.release,
        generation=published.generation,
        code_changed=published.changed,
        verified=version is not None and not refused,
        replicas=served.arrived.replicas,
        base=None if version is None else version.base,
        adapters=() if version is None else version.adapters,
        refused=refused,
        notes=tuple(known),
        problems=tuple(problems),
        runs_on=None if version is None else version.runs_on,
        strategy=served.strategy,
        form=served.form,
        pause=served.pause,
    )


def asked_elsewhere(address: Address, app: apps.App) -> list[Text]:
    """What came of one look, without the key, at another host that the workspace names."""
    if address.elsewhere is None:
        return []
    answered = None if address.another_revision else status_without_key(address.elsewhere)
    note = elsewhere_note(address, app, answered, asked=True)
    return [] if note is None else [note]


def outcome_notes(version: Version | None) -> list[Text]:
    """What a person should know of a release that answers, beside what it refuses."""
    if version is None:
        return []
    said = () if version.runs_on is None else version.runs_on.notes
    notes = [Text("The server says: {note}", note=each) for each in said]
    if version.refused is None or version.adapters or version.refused:
        return notes
    return [
        *notes,
        Text("No adapter was found on the share: the base model {base} alone answers.", base=version.base or "?"),
    ]


def runs_on_text(found: RunsOn) -> Text:
    """As it stands in the log: a GPU that is not used, or weights in 4 bits, are nothing to find out later."""
    facts = {"device": found.gpu or found.device, "dtype": found.dtype, "attention": found.attention or "?"}
    if found.weights in ("", "full"):
        return Text("The model runs on {device}: numbers in {dtype}, {attention} attention.", **facts)
    return Text(
        "The model runs on {device}: numbers in {dtype}, {attention} attention, weights in {weights}.",
        weights=found.weights,
        **facts,
    )


def api_key_of(place: AppPlace, app: apps.App, secrets: Mapping[str, str] | None = None) -> str | None:
    """The key from the app's own secret; None for an app that has none. `secrets`: where they were read already."""
    secret = app.secret_env.get("SLIPWAY_API_KEY")
    if secret is None:
        return None
    return (apps.secrets(place) if secrets is None else secrets).get(secret) or None


def cancelled_after(published: Published, cancelled: Cancelled, *, judged: bool = True) -> Cancelled:
    """What goes on without the person who cancelled. `judged` False: it serves, and its gate has not come to an end."""
    if published.release and not judged:
        return Cancelled(
            Text(
                "Cancelled. Release {digest} serves (generation {number}); its gate has not judged it.",
                digest=published.release[:12],
                number=published.generation,
            ),
            Text("Run Deploy again to have it judged, or AI Toolkit: Roll back inference deployment to go back."),
        )
    if not published.changed or not published.release:
        return cancelled
    return Cancelled(
        Text(
            "Cancelled. Release {digest} is current already (generation {number}), and starts by itself.",
            digest=published.release[:12],
            number=published.generation,
        ),
        Text("Run Deploy again to follow it, or AI Toolkit: Roll back inference deployment to go back."),
    )
