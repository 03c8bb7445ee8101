"""What an app costs now by list price, and has cost since its replicas began: told with where the price is from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sidecar.decisions.prices import Price
from sidecar.words.text import Text

NO_GPU = Text("nothing for a GPU: the app's workload profile has none")
ASLEEP = Text("nothing for a GPU: no replica is awake")


def cost_now(price: Price, began: Sequence[str], now: float, *, nodes: int | None = None) -> Text:
    """`began`: of each replica that has a place to run, as ARM has it. `nodes`: of a dedicated profile, how many it keeps at
    least; they are paid for instead of the replicas. None for a serverless profile."""
    if not began and not nodes:
        return ASLEEP
    if price.awake is None:
        return Text("unknown: {source}", source=price.source)
    if nodes and len(began) <= nodes:
        return Text(
            "{amount} {currency} an hour by list price, whether or not a replica is awake: the dedicated profile keeps {nodes} "
            "nodes ({source})",
            amount=f"{price.awake * nodes:.2f}",
            currency=price.currency,
            nodes=nodes,
            source=price.source,
        )
    told = {"amount": f"{price.awake * len(began):.2f}", "currency": price.currency, "source": price.source}
    since = [_seconds(each, now) for each in began]
    spent = sum(each for each in since if each is not None) / 3600 * price.awake
    if None in since or nodes is not None:  # nodes may have been there before the replicas were
        return Text("{amount} {currency} an hour by list price ({source})", **told)
    return Text(
        "{amount} {currency} an hour by list price; about {spent} {currency} since its replicas started ({source})",
        spent=f"{spent:.2f}",
        **told,
    )


def _seconds(began: str, now: float) -> float | None:
    """None where the moment can't be read."""
    try:
        return max(now - datetime.fromisoformat(began).timestamp(), 0.0)
    except ValueError:
        return None
