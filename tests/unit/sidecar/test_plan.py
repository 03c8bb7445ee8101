"""What a plan decides by itself: effects on revisions and traffic, what a configuration holds, what a start is counted for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.deployment import Planned, Stated
from sidecar.decisions.app_changes import Change
from sidecar.decisions.checks import Unread
from sidecar.decisions.members import KNOWN_LATER
from sidecar.decisions.plan import Reality, digest_of, effects_of, outputs_of, work_of
from sidecar.decisions.plan_cost import Cost, Nodes, cooldown_of, replicas_of, size_of, start_bound
from sidecar.decisions.plan_document import PlanDocument, amount, markdown
from sidecar.decisions.prices import Price, Size
from sidecar.decisions.provisioning import APP, Existing
from sidecar.decisions.whatif import ResourceChange
from sidecar.gateway.apps import App
from sidecar.gateway.offers import Offer
from sidecar.words.text import Text

T4 = "Consumption-GPU-NC8as-T4"
PLANNED = Planned({APP: "app"}, {"containers": []}, (Stated("app", APP, "app", "/app", "v", "createApp"),))
BEFORE: dict[str, Any] = {"containers": [{"name": "inference", "image": "a"}]}
AFTER: dict[str, Any] = {"containers": [{"name": "inference", "image": "b"}]}
KEYS = ("SUBSCRIPTION_ID", "ACA_APP_NAME", "ACA_APP_ENDPOINT")
CONFIG: dict[str, str | None] = {"SUBSCRIPTION_ID": "s", "ACA_APP_NAME": "app", "ACA_APP_ENDPOINT": "f"}


def app(**more: Any) -> App:
    return replace(App("app", "f", "r", "Multiple", ((None, 100),), {}, {}, {}, template=BEFORE), **more)


def reality(found: App | None, change: Change | None = None, **more: Any) -> Reality:
    existing = Existing(frozenset({"app"} if found else ()), None, None, None, found)
    known: dict[str, Any] = {
        "subscription": "s", "group": "g", "template": {}, "stated": {}, "planned": PLANNED, "wanted": None, "project": "p",
        "marked": True, "existing": existing, "change": change, "moved": None, "renewed": None,
        "outputs": CONFIG if found else None, "config": CONFIG, "registers": (), "foreseen": None, "resizes": (),
    }  # fmt: skip
    return Reality(**{**known, **more})


CHANGED = Change(AFTER, (Text("The image changes to b."),), ())


def effects(found: Reality, usage: tuple[int, int, int] | None = (1, 0, 1), kind: str | None = T4) -> str:
    return " ".join(map(str, effects_of(found, work_of(found), kind, usage, 300)))


def test_an_app_that_is_as_stated_restarts_nothing_and_there_is_nothing_to_do() -> None:
    found = reality(app(), Change(BEFORE, (), ()))
    assert work_of(found).nothing
    assert effects(found) == "Nothing restarts; traffic stays as it is."


def test_a_new_revision_without_a_free_gpu_waits_for_the_old_one_and_that_is_said() -> None:
    assert "GPUs needed: 1, in use: 1, allowed: 1. The new revision waits" in effects(
        reality(app(), CHANGED), (1, 1, 1)
    )
    assert "waits" not in effects(reality(app(), CHANGED), (1, 1, 2))
    assert "is unknown" in effects(reality(app(), CHANGED), None)
    assert "GPU" not in effects(reality(app(), CHANGED), None, kind=None)


@pytest.mark.parametrize(
    ("mode", "traffic", "said"),
    [
        ("Multiple", ((None, 100),), "Traffic follows the newest revision."),
        ("Multiple", (("old", 100), ("older", 0)), "Traffic stays where it is: old 100 %."),
        ("Single", ((None, 100),), "Traffic goes to the new revision once it is ready."),
    ],
)
def test_traffic_is_told_by_what_the_app_says(
    mode: str, traffic: tuple[tuple[str | None, int], ...], said: str
) -> None:
    assert effects(reality(app(mode=mode, traffic=traffic), CHANGED)).endswith(said)


def test_a_change_that_failed_is_made_once_more_though_nothing_else_differs() -> None:
    failed = reality(app(state="Failed"), Change(BEFORE, (), ()))
    assert not work_of(failed).nothing
    assert "gets a new revision" in effects(failed)


def test_the_digest_is_of_what_is_meant() -> None:
    def digest(found: Reality) -> str:
        return digest_of(found, work_of(found))

    one = digest(reality(app(), CHANGED))
    assert one == digest(reality(app(), CHANGED, config=dict(CONFIG)))
    others = [
        reality(app(), Change(BEFORE, (), ())),
        reality(app(), CHANGED, group="other"),
        reality(app(), CHANGED, template={"resources": {"x": {}}}),
        reality(app(), CHANGED, registers=("Microsoft.App",)),
        reality(app(), CHANGED, renewed="storage"),
        reality(app(), CHANGED, marked=False),
        reality(app(), CHANGED, outputs=None),
        reality(None),
    ]
    assert len({one, *map(digest, others)}) == len(others) + 1
    assert digest(reality(app(), CHANGED, foreseen=Unread(Text("away")))) == one, "that ARM was away means nothing"


def test_what_a_line_cuts_short_is_whole_in_the_digest() -> None:
    def started(by: str) -> Change:
        return Change(
            {"containers": [{"name": "inference", "image": "a", "args": ["x" * 200 + by]}]}, (Text("Changed."),), ()
        )

    one, other = (reality(app(), started(by)) for by in ("one", "other"))
    assert work_of(one).lines == work_of(other).lines
    assert digest_of(one, work_of(one)) != digest_of(other, work_of(other))


def test_secrets_that_are_stated_are_in_no_digest() -> None:
    secure = {"parameters": {"apiKey": {"type": "secureString"}}}
    one, other = (reality(None, template=secure, stated={"apiKey": {"value": value}}) for value in ("a", "b"))
    assert digest_of(one, work_of(one)) == digest_of(other, work_of(other))


def test_what_a_configuration_holds_is_known_where_nothing_contradicts_what_is_there() -> None:
    there = {"ACA_APP_NAME": "APP", "ACA_APP_ENDPOINT": "f"}
    empty: dict[str, str | None] = dict.fromkeys(KEYS)
    told = {"SUBSCRIPTION_ID": "s", "ACA_APP_NAME": "app", "ACA_APP_ENDPOINT": "f", "MORE": "m"}
    assert outputs_of(told, empty, there) == {key: told[key] for key in KEYS}
    assert outputs_of(None, CONFIG, there) == CONFIG
    assert outputs_of({**told, "ACA_APP_ENDPOINT": "gone"}, empty, there) is None
    assert outputs_of({**told, "ACA_APP_ENDPOINT": "gone"}, CONFIG, there) == CONFIG
    assert outputs_of(None, {**CONFIG, "ACA_APP_NAME": "another"}, there) is None


def template(**probe: object) -> dict[str, object]:
    resources = {"cpu": 8, "memory": "56Gi"}
    return {
        "containers": [{"resources": resources, "probes": [{"type": "Startup", **probe}]}],
        "scale": {"maxReplicas": 3},
    }


def test_a_start_is_counted_for_the_start_up_probes_budget_or_azures_deadline() -> None:
    assert start_bound(template(periodSeconds=5, failureThreshold=240, initialDelaySeconds=9))[0] == 1209
    seconds, why = start_bound(template(periodSeconds=1, failureThreshold=3))
    assert (seconds, "it ends nothing" in str(why)) == (600, True)
    assert start_bound({})[0] == 600


def test_what_is_paid_for_is_a_replicas_share_or_a_whole_node() -> None:
    assert size_of(T4, template(), None) == Size(8, 56, 1)
    assert size_of("NC48-A100", template(), Offer(2, "GPU", 48, 440)) == Size(48, 440, 2)
    assert size_of("NC48-A100", template(), None) is None
    assert size_of(T4, {"containers": [{"resources": {"cpu": 8, "memory": "much"}}]}, None) is None
    assert (replicas_of(template()), replicas_of({}), cooldown_of({})) == (3, 10, 300)


def test_an_amount_is_unknown_or_has_the_digits_that_tell_it_apart() -> None:
    assert [str(amount(each, "USD")) for each in (None, 0.0, 1482.188, 0.0123)] == [
        "unknown",
        "0.00 USD",
        "1,482.19 USD",
        "0.0123 USD",
    ]


def test_a_name_with_a_pipe_or_a_backtick_breaks_no_table() -> None:
    found = reality(app(), CHANGED, group="odd|`group`")
    cost = Cost(Price(None, None, "", Text("No list")), 1, 600, Text(""))
    plan = PlanDocument(
        digest="d" * 64, subscription="s", group=found.group, location="x", profile=T4, work=work_of(found), effects=(),
        notes=(), cost=cost, price_note=None, checks=(), unforeseen=None,
    )  # fmt: skip
    text = str(markdown(plan))
    assert "`odd¦'group'`" in text
    assert "`template.containers[inference].image`: `a` → `b`" in text
    assert "| an hour awake, one replica | unknown |" in text
    nodes = Cost(Price(5.0, 0.1, "USD", Text("A list")), 9, 600, Text(""), dedicated=True, nodes=Nodes(1, 2))
    text = str(markdown(replace(plan, cost=nodes)))
    assert "| an hour awake, one node | 5.00 USD |" in text
    assert "| an hour asleep | 5.10 USD |" in text
    assert "| a month at most (nodes all month: 2) | 7,373.00 USD |" in text


def test_what_has_another_name_each_time_is_told_without_one_whatever_arm_says() -> None:
    """Else each plan would have another digest, and none could be agreed to."""
    dashboards = "microsoft.portal/dashboards"
    planned = replace(PLANNED, new_each_time=(dashboards,), opaque=("board",))
    digests: set[str] = set()
    for name, kind in (("b-1", "Create"), ("b-2", "Create"), ("[newGuid()]", "Unsupported")):
        foreseen = (ResourceChange(f"/x/{name}", dashboards, kind), ResourceChange("/x/other", "a/b", "Create"))
        found = reality(app(), Change(BEFORE, (), ()), planned=planned, foreseen=foreseen)
        work = work_of(found)
        told = [(each.kind, each.name, each.action) for each in work.lines if each.kind != APP]
        assert told == [("a/b", "other", "create"), (dashboards, KNOWN_LATER, "create")]
        assert work.deploys
        digests.add(digest_of(found, work))
    assert len(digests) == 1
