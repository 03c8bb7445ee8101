"""Messages about a plan: what a Provision would make, change, leave and cost, with the digest that applying it is bound to."""

from __future__ import annotations

from sidecar.wire.message import Message, Operation, Sentence
from sidecar.wire.preflight import CheckLine
from sidecar.wire.releases import FileProblem
from sidecar.words.names import CloudName, PlanAction


class PlanParams(Operation):
    folder: str
    cloud: CloudName
    subscription_id: str
    resource_group: str
    parameters: str | None = None
    """The parameters file, from the folder; None: the one that is there."""
    app: str | None = None
    """The container app that is ours, where the template makes several and does not tell."""
    raw: bool
    """With ARM's own what-if beside what is meant by it."""


class PlanMember(Message):
    """A part of a resource that changes; values are cut short."""

    path: str
    before: str
    after: str


class PlanResource(Message):
    """`foreseen`: by ARM's what-if, of parts of the template that nobody can look at from here."""

    kind: str
    name: str
    action: PlanAction
    members: list[PlanMember]
    foreseen: bool


class PlanFile(Message):
    path: str
    action: PlanAction
    why: Sentence


class PlanPrice(Message):
    """List prices; None is unknown. `month`: with `replicas` awake all month, or with every node of a dedicated profile. `start`:
    of one replica that starts for `start_seconds`."""

    awake: float | None
    asleep: float | None
    month: float | None
    replicas: int
    start: float | None
    start_seconds: int
    start_why: Sentence
    currency: str
    source: Sentence
    note: Sentence | None


class Plan(Message):
    """`nothing`: applying it would change nothing. `registers`: providers. `risks`: what goes or can't change by ARM's word,
    which wants a consent of its own. `raw`: ARM's own list, as JSON."""

    digest: str
    nothing: bool
    folder: str
    parameters: str | None
    """The parameters file that was named; None: none was."""
    app: str | None
    """The app that was named; likewise."""
    cloud: CloudName
    subscription_id: str
    resource_group: str
    location: str
    profile: str | None
    summary: Sentence
    registers: list[str]
    resources: list[PlanResource]
    effects: list[Sentence]
    files: list[PlanFile]
    risks: list[str]
    price: PlanPrice
    notes: list[Sentence]
    checks: list[CheckLine]
    problems: list[FileProblem]
    """Of what these checks warn of, what stands in the person's files."""
    unforeseen: Sentence | None
    raw: str | None
    markdown: Sentence
