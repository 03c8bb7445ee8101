"""What would fit, as lines of text: a table, and how it was made. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.decisions.fitting import Fit, Fitting
from sidecar.decisions.plan_document import amount
from sidecar.decisions.prices import Price

HEAD = ("region", "profile", "GPUs needed", "in use", "allowed", "list price an hour", "GPU memory", "this model")
FITS: dict[bool | None, str] = {True: "fits", False: "too large", None: "unknown"}


def fitting_lines(fitting: Fitting) -> str:
    rows = [HEAD, *(_row(each) for each in fitting.fits)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(["What would fit:", *lines, str(fitting.why), *_sources(fitting)])


def _row(each: Fit) -> Sequence[str]:
    return (
        each.region,
        each.profile,
        str(each.needed),
        "unknown" if each.used is None else str(each.used),
        "unknown" if each.limit is None else str(each.limit),
        str(amount(each.price.awake, each.price.currency)),
        memory_text(each.memory),
        FITS[each.fits],
    )


def memory_text(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.0f} GB"


def _sources(fitting: Fitting) -> list[str]:
    """Once each; what an unknown price lacks is in its own words."""

    def said(price: Price) -> str:
        return f"{price.source}."

    return list(dict.fromkeys(said(each.price) for each in fitting.fits if each.price.awake is not None))
