"""Looks for what would fit, where a GPU, a region or a quota says no: in few reads, and not for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decisions.checks import Check, Unread
from sidecar.decisions.fitting import READS, REGIONS, SECONDS, Fitting, Looked, fits_of, is_wanted, nearest, why_these
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.prices import short
from sidecar.gateway import apps, offers, resources
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.prices import SECONDS as PRICE_SECONDS
from sidecar.words.errors import SlipwayError
from sidecar.workflows.prices import meters_for


@dataclass
class Search:
    """What was found so far: one thread looks, another waits no longer than it wants to."""

    place: GroupPlace
    deadline: float
    reads: int = 0
    others: Sequence[resources.Region] = ()
    home: resources.Region | None = None
    asked: int = 0
    looked: list[Looked] = field(default_factory=list[Looked])

    @property
    def spent(self) -> bool:
        """One read is kept for the prices."""
        return self.reads >= READS - 1 or time.monotonic() > self.deadline

    def run(self, stated: str) -> None:
        try:
            self.reads += 1
            regions = resources.regions(self.place.session, self.place.subscription_id)
        except SlipwayError:
            return  # then the stated region is all that there is to tell of
        self.home = next((each for each in regions if short(each.name) == short(stated)), None)
        self.others = nearest(regions, stated)
        for region in self.others:
            if self.spent or len(self.looked) >= REGIONS:
                return
            found = self._look(region.name)
            if found is not None:
                self.looked.append(found)

    def _look(self, region: str) -> Looked | None:
        """None for a region without a GPU, and for one that can't be read."""
        self.asked += 1
        self.reads += 1
        try:
            offered = offers.offers(self.place, region)
        except SlipwayError:
            return None
        if not any(each.gpus for each in offered.values()):
            return None
        if self.spent:
            return Looked(region, offered, None)
        self.reads += 1
        try:
            return Looked(region, offered, apps.gpu_usage(self.place, region))
        except SlipwayError:
            return Looked(region, offered, None)


def would_fit(place: GroupPlace, facts: Facts, checks: Sequence[Check], model: int | None) -> Fitting | None:
    """None where nothing speaks against the place. `model`: bytes that it needs on one GPU; None: unknown."""
    if not is_wanted(checks):
        return None
    patience = (SECONDS - PRICE_SECONDS) * place.session.patience.scale
    search = Search(place, time.monotonic() + patience)
    # A read that hangs is left behind: it changes nothing, and ends with this process.
    looking = threading.Thread(target=search.run, args=(facts.location,), name="fitting", daemon=True)
    looking.start()
    looking.join(timeout=patience)
    here: Mapping[str, offers.Offer] = {} if isinstance(facts.offers, Unread) else facts.offers
    stated = Looked(short(facts.location), here, None if isinstance(facts.usage, Unread) else facts.usage)
    looked = [stated, *tuple(search.looked)[:REGIONS]]
    meters, source = meters_for(place.session, *(each.region for each in looked))
    why = why_these(facts.location, search.home, search.asked, len(search.others), whole=not search.spent)
    return Fitting(fits_of(looked, meters, source, model), why)
