"""Of what the checks have read: what the editor tells later, without asking again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.core.last_read import Doubt, LastRead
from sidecar.decisions.azure_names import RULES
from sidecar.decisions.checks import Check, Unread
from sidecar.decisions.fitting import Fitting
from sidecar.decisions.model_check import is_of_models
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.provisioning import SHARE
from sidecar.decisions.restart import GPUS, ROWS
from sidecar.gateway.offers import Offer

SHARE_KEY = "FILE_SHARE_NAME"
"""Of infra/inference.config.json."""


def last_read(
    facts: Facts, checks: Sequence[Check], values: Mapping[str, object], moment: str, fitting: Fitting | None = None
) -> LastRead:
    """`values`: what the files state."""
    offers = dict[str, Offer]() if isinstance(facts.offers, Unread) else facts.offers
    usage = dict[str, tuple[int, int]]() if isinstance(facts.usage, Unread) else facts.usage
    rows = {kind: next((row for row in names if row in usage), None) for kind, names in ROWS.items()}
    profiles = {_short(facts.location): tuple(sorted(offers))} if offers else {}
    for each in () if fitting is None else fitting.fits:
        known = profiles.get(_short(each.region), ())
        profiles[_short(each.region)] = tuple(sorted({*known, each.profile}))
    stated = {name.lower(): value for name, value in values.items()}
    return LastRead(
        moment=moment,
        location=_short(facts.location),
        regions=tuple(profiles),
        profiles=profiles,
        gpus={kind: offer.gpus or GPUS.get(kind, 1) for kind, offer in offers.items() if offer.gpus or kind in GPUS},
        quota={kind: usage[row] for kind, row in rows.items() if row is not None},
        names=_names(facts),
        doubts=tuple(
            Doubt(
                each.parameter,
                stated.get(each.parameter.lower()),
                each.code or "Doubtful",
                each.sentence,
                each.verdict == "FAIL",
            )
            for each in checks
            if each.parameter is not None and each.verdict in ("FAIL", "WARN")
        )
        + _of_share(facts, checks),
    )


def _of_share(facts: Facts, checks: Sequence[Check]) -> tuple[Doubt, ...]:
    """What no parameter states is told where the configuration names the share: a base, or an adapter that does not fit it."""
    share = next((each.name.rpartition("/")[2] for each in facts.planned.resources if each.kind == SHARE), None)
    return tuple(
        Doubt(SHARE_KEY, share, each.code or "Doubtful", each.sentence, each.verdict == "FAIL")
        for each in checks
        if each.parameter is None and is_of_models(each.name) and each.verdict in ("FAIL", "WARN")
    )


def _names(facts: Facts) -> dict[str, tuple[str, ...]]:
    """Of what exists, by the parameter that states such a name."""
    there = frozenset[str]() if facts.existing is None else facts.existing.keys
    found: dict[str, tuple[str, ...]] = {}
    for each in facts.planned.resources:
        rule = RULES.get(each.kind)
        if rule is not None and each.key in there:
            found[rule.parameter] = (each.name.rpartition("/")[2],)
    return found


def _short(region: str) -> str:
    return region.replace(" ", "").lower()
