"""List prices as others have quoted them, with date and source: for when no price list can be read. Pure."""

from __future__ import annotations

from sidecar.decisions.prices import Meter
from sidecar.words.text import Text

SOURCE = Text(
    "Quoted from Azure's price list of 2026-01 by others, not read now (East US, US dollars; code on GitHub that asks the Retail "
    "Prices API)"
)
"""Nobody here has compared it with Azure."""

_EAST_US = (
    ("Standard vCPU Active Usage", 0.000024, "1 Second"),
    ("Standard Memory Active Usage", 0.000003, "1 GiB Second"),
    ("Standard NC T4 v3 GPU Usage", 0.000073, "1 Second"),
    ("Standard NC A100 v4 GPU Usage", 0.000529, "1 Second"),
)

TABLE: tuple[Meter, ...] = tuple(Meter(name, "eastus", price, unit, "USD") for name, price, unit in _EAST_US)
"""Of other regions and of dedicated profiles nothing was found that could be dated: they are unknown."""
