"""A release that a new revision starts before it is current: how its template says so, and who made it. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

VARIABLE = "SLIPWAY_CANDIDATE"
_FORM = re.compile(r"([0-9]+):([0-9a-f]{64}):([0-9a-z]+)")


@dataclass(frozen=True)
class Candidate:
    """Until the share knows generation `number`, the revision starts `release`; from then on what is current, as every other.
    `attempt` tells a second try from the first: Azure makes no revision of a template that has not changed."""

    number: int
    release: str
    attempt: str

    def __str__(self) -> str:
        return f"{self.number}:{self.release}:{self.attempt}"


def candidate_from(said: str) -> Candidate | None:
    found = _FORM.fullmatch(said)
    return None if found is None else Candidate(int(found[1]), found[2], found[3])


def candidate_of(template: Mapping[str, Any]) -> Candidate | None:
    """The one that a revision was made for; None for a revision that was made for nothing of the kind."""
    containers = cast("list[Mapping[str, Any]]", template.get("containers") or [])
    env = cast("list[Mapping[str, Any]]", (containers[0].get("env") if containers else None) or [])
    said = next((str(each.get("value") or "") for each in env if each.get("name") == VARIABLE), "")
    return candidate_from(said)


def with_candidate(template: Mapping[str, Any], candidate: Candidate) -> dict[str, Any]:
    """The template of a revision that starts the candidate; everything else of it stays."""
    changed = copy.deepcopy(dict(template))
    first = changed["containers"][0]
    stated = cast("list[Mapping[str, Any]]", first.get("env") or [])
    env = [each for each in stated if each.get("name") != VARIABLE]
    first["env"] = [*env, {"name": VARIABLE, "value": str(candidate)}]
    return changed
