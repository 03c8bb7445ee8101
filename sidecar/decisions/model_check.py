"""The checks of what is to be served: base model, chat template, memory, and each adapter against the base. Pure."""

from __future__ import annotations

from sidecar.decisions.adapter_check import adapter_check
from sidecar.decisions.base_check import NAME, base_checks, shape
from sidecar.decisions.checks import Check, Unread, unverified, warned
from sidecar.decisions.model_facts import Broken, ModelFacts, unknown
from sidecar.decisions.model_memory import memory_checks
from sidecar.decisions.model_shape import Shape
from sidecar.words.text import Text


def model_checks(facts: ModelFacts, *, needed: bool) -> tuple[Check, ...]:
    """`needed`: see `base_checks`. Adapters are judged where there is a base to judge them against."""
    found = base_checks(facts, needed=needed)
    base = facts.base
    usable = base is not None and all(each.verdict != "FAIL" for each in found if each.name == NAME)
    if base is None or not usable:
        return tuple(found)
    known = shape(base)
    if isinstance(known, Broken):
        return tuple(found)
    own = known if isinstance(known, Shape) and facts.settings.get("SLIPWAY_ENGINE") != "transformers" else None
    untold = unknown(facts.settings, "SLIPWAY_ENGINE") if facts.adapters else None
    adapters = [adapter_check(each, base, own) for each in facts.adapters] if untold is None else []
    adapters += [] if untold is None else [unverified("adapters", untold)]
    return (*found, *memory_checks(facts, base, own), *adapters, *_others(facts))


def is_of_models(name: str) -> bool:
    """Whether a check of this name judges what lies on the share."""
    return name in (NAME, "chat template") or name.split(" ")[0] in ("adapter", "adapters")


def _others(facts: ModelFacts) -> list[Check]:
    if facts.unread:
        reason = Text("Adapters that were not looked into, for there are many: {count}.", count=facts.unread)
        return [unverified("adapters", Unread(reason))]
    if facts.adapters or not facts.models.whole:
        return []
    return [warned("adapters", Text("No adapter is on the share: the base model alone will answer."))]
