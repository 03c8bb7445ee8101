"""Answers that are lost on the way after the request took effect: what can be asked twice is, and what can't is looked at."""

from __future__ import annotations

from sidecar.gateway import apps, offers, resources, revisions
from tests.contract.localcloud.conftest import eventually
from tests.contract.provision.conftest import Arm, Project
from tests.contract.provision.test_existing import account


def test_a_deactivation_and_an_activation_whose_answers_were_lost_are_asked_for_again(
    project: Project, faults: Arm
) -> None:
    """The SDK asks for no POST again: Deploy ended in the middle of a replacement."""
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    (revision,) = revisions.revisions(place)
    for verb, act, active in (
        ("deactivate", revisions.deactivate, False),
        ("activate", revisions.activate, True),
    ):
        hits = faults({"method": "POST", "path": f"/{verb}", "kind": "reset-after", "times": 1})
        act(place, revision.name)
        assert hits() == [1]
        assert revisions.revision(place, revision.name).active is active
        faults()
    assert any("the answer was lost" in each for each in project.said)


def test_a_changed_template_whose_answer_was_lost_is_sent_again_and_makes_one_revision(
    project: Project, faults: Arm
) -> None:
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    first = eventually(lambda: apps.app(place).latest_revision)
    changed = apps.template_of(place)
    changed["containers"][0]["env"].append({"name": "CHANGED", "value": "yes"})
    hits = faults({"method": "PATCH", "path": "/containerApps/", "kind": "reset-after", "times": 1})
    apps.update_template(place, changed)
    assert hits() == [1]
    assert apps.app(place).env["CHANGED"] == "yes"
    eventually(lambda: apps.app(place).latest_revision not in (None, first), what="its revision")
    assert len(revisions.revisions(place)) == 2


def test_a_restart_whose_answer_was_lost_is_looked_at_and_not_asked_for_twice(project: Project, faults: Arm) -> None:
    project.provision()
    (name,) = project.names("Microsoft.App/containerApps")
    place = project.place.app(name)
    (revision,) = revisions.revisions(place)
    old = eventually(lambda: revisions.replicas(place, revision.name))
    lost = {"method": "POST", "path": "/restart", "kind": "reset-after", "times": None}
    hits = faults(lost)
    revisions.restart(place, revision.name)
    assert hits() == [1]
    assert any("the replicas tell what came of it" in each for each in project.said)
    new = eventually(
        lambda: [e for e in revisions.replicas(place, revision.name) if e.name not in {o.name for o in old}]
    )
    assert len(new) == 1, "one extra replica, for one restart"


def test_a_group_and_a_quota_whose_answers_were_lost_are_asked_for_again(project: Project, faults: Arm) -> None:
    hits = faults({"method": "PUT", "path": "/resourcegroups/lost-", "kind": "reset-after", "times": 1})
    made = resources.create_group(project.session, project.world.subscription, f"lost-{project.group}", "westus3")
    assert (hits(), made.location) == ([1], "westus3")
    name = f"lost{project.group}"
    account(project, name)
    project.world.storage.file_shares.create(project.group, name, "models", {})
    hits = faults({"method": "PATCH", "path": "/shares/models", "kind": "reset-after", "times": 1})
    offers.set_share_quota(project.place, name, "models", 77)
    assert (hits(), offers.share_quota(project.place, name, "models")) == ([1], 77)
