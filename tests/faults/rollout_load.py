"""`npm run faults -- rollout-load`: releases rolled out by each strategy, and restarts by the platform, under streaming clients.

Ten exchanges in place of each form, ten switches to another revision, three restarts with two replicas, each with at least 2,000
requests of 16 clients and more. The clients try nothing twice and judge each answer. What is rolled out is the real model
server with the sample, deployed to the local cloud; the requests come through its ingress."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.faults.rolling import loads
from tests.faults.rolling.table import Group, chosen_from
from tests.faults.rolling.table import main as play

GROUPS = (Group(tuple(loads.ROWS), loads.opened),)


def main(arguments: Sequence[str] | None = None) -> int:
    description = "Roll releases out under load, on the local cloud."
    return play("faults rollout-load", GROUPS, chosen_from(arguments, description, GROUPS))


if __name__ == "__main__":
    sys.exit(main())
