"""Faults of what a plan is made from: what-if, by which ARM says what a deployment would take away."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.deploying.ground import Ended
from tests.faults.provisioning.answers_rows import COUNTED, PUT, answered_with, told
from tests.faults.provisioning.ground import Ground, Row


def what_if_deletes(ground: Ground) -> Row:
    gone = f"/subscriptions/{ground.world.subscription}/resourceGroups/{ground.name}/providers/Microsoft.Portal/dashboards/old"
    changes = {"changes": [{"resourceId": gone, "changeType": "Delete"}]}
    file = str(ground.folder / f"{ground.name}.plan.json")
    place = [str(ground.project.workspace.folder), "--subscription", ground.world.subscription, "--group", ground.name]

    def asked(*verb: str) -> Ended:
        return ground.finish(ground.start(["-m", "sidecar", *verb, "--cloud", "local", "--json"]))

    began = time.monotonic()
    with ground.faults(
        answered_with({"status": "Succeeded", "properties": changes}, "/operationresults/"), {**PUT, **COUNTED}
    ) as hits:
        planned = asked("plan", *place, "--output", file)
        refused = asked("apply", file)
        struck, puts = hits()
        made = sum(ground.counted().values())
        agreed = asked("apply", file, "--yes")
    shown = gone in str(planned.document.get("markdown")) if planned.code == 0 else False
    message = str(refused.error.get("message")) if refused.code else ""
    return Row(
        15, "what-if lists a Delete", "said in the plan; nothing without an explicit yes",
        f"plan names it: {shown}; apply: {told(refused)}, PUTs {puts}, made {made}; with --yes: exit {agreed.code}",
        time.monotonic() - began, 90, struck,
        shown and refused.code == 3 and gone in message and puts == made == 0 and agreed.code == 0 and struck >= 2,
    )  # fmt: skip


PLANS: dict[str, Callable[[Ground], Row]] = {"15": what_if_deletes}
