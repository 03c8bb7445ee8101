"""What a start has cost that answers nobody, and when that is worth a word; and what is paid for though nobody uses it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.decisions.prices import Price
from sidecar.words.text import Text

USUAL_START = 300.0
"""Seconds for a start that nobody has seen yet: packages, a model of some gigabytes from a share, and its warm-up."""

LEAST = 60.0
"""Seconds: less is no money, whatever the last start took."""

TIMES = 2
"""How many times the expected time a start may take before it is told."""

UNUSED = 24 * 3600.0
"""Seconds after which a dedicated profile counts as unused."""


def overdue_after(usual: float | None, least: float = LEAST) -> float:
    """Seconds of a start after which it is told. `usual`: how long the last one took, None where nobody has seen one."""
    return max(TIMES * (USUAL_START if usual is None else usual), least)


@dataclass(frozen=True)
class Spent:
    """A GPU that has been awake for so many seconds, at this price of an hour."""

    seconds: float
    price: Price

    @property
    def told(self) -> Text:
        amount = self.price.start(self.seconds)
        minutes = f"{self.seconds / 60:.3g}"
        if amount is None:
            return Text(
                "A GPU has been awake for {minutes} minutes and nothing answers. What that costs is unknown: {source}.",
                minutes=minutes,
                source=self.price.source,
            )
        return Text(
            "A GPU has been awake for {minutes} minutes and nothing answers: about {amount} {currency} so far by list price "
            "({source}).",
            minutes=minutes,
            amount=f"{amount:.2f}",
            currency=self.price.currency,
            source=self.price.source,
        )


WAY_OUT = Text("AI Toolkit: Stop inference app ends it; AI Toolkit: Why is it not ready? tells the cause.")


def unused(app: str, profile: str, nodes: int, since: float, *, now: float, price: Price) -> Text | None:
    """Of a dedicated profile that keeps so many nodes, which are paid for day and night. `since`: when anything of the app ran or
    was written last, in seconds since 1970; 0 where that is not known, which proves nothing. Other apps may use the profile."""
    if nodes < 1 or not since or now - since < UNUSED:
        return None
    told = {"app": app, "profile": profile, "nodes": nodes, "days": int((now - since) // UNUSED)}
    if price.awake is None:
        return Text(
            "{app} has run nothing for {days} days. Its dedicated profile {profile} keeps {nodes} nodes at least, which are paid "
            "for all the same.",
            **told,
        )
    return Text(
        "{app} has run nothing for {days} days. Its dedicated profile {profile} keeps {nodes} nodes at least, each of which "
        "costs about {amount} {currency} a day by list price all the same.",
        amount=f"{price.awake * 24:.2f}",
        currency=price.currency,
        **told,
    )
