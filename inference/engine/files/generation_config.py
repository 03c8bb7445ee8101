"""How a model's authors mean its tokens to be drawn: what generation_config.json says of it."""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

log = logging.getLogger(__name__)

FILE = "generation_config.json"
DRAWING = ("temperature", "top_p", "top_k", "min_p")
"""What counts only where tokens are drawn at all: `do_sample` false leaves it out, as in transformers."""


@dataclass(frozen=True)
class SamplingDefaults:
    """What counts where a request leaves it open. These are the API's own."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def differing(self) -> dict[str, float]:
        """Those that are not the API's."""
        return {name: value for name, value in vars(self).items() if value != getattr(API_DEFAULTS, name)}


API_DEFAULTS = SamplingDefaults()
POSSIBLE: Mapping[str, Callable[[float], bool]] = {
    "temperature": lambda value: 0 <= value <= 2,
    "top_p": lambda value: 0 < value <= 1,
    "top_k": lambda value: value >= 0 and value == int(value),
    "min_p": lambda value: 0 <= value <= 1,
    "repetition_penalty": lambda value: 0 < value <= 4,
}
"""In the API's own bounds: a file cannot ask for what a request cannot."""


def read_defaults(folder: Path) -> SamplingDefaults:
    """Of a model's folder. What cannot be used in the file is named in the log, and the API's own default counts."""
    path = folder / FILE
    if not path.exists():
        return API_DEFAULTS
    try:
        written: Any = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        log.warning("%s: %s cannot be read (%s): the API's defaults count", folder.name, FILE, error)
        return API_DEFAULTS
    defaults, wrong = defaults_in(cast("dict[str, Any]", written) if isinstance(written, dict) else {})
    for name in wrong:
        log.warning("%s: %s of %s cannot be used: the API's default counts", folder.name, name, FILE)
    return defaults


def defaults_in(written: Mapping[str, Any]) -> tuple[SamplingDefaults, list[str]]:
    """And the names whose values cannot be used."""
    drawn = written.get("do_sample") is not False
    asked = {
        name: written[name] for name in POSSIBLE if written.get(name) is not None and (drawn or name not in DRAWING)
    }
    wrong = [name for name, value in asked.items() if type(value) not in {int, float} or not POSSIBLE[name](value)]
    used: dict[str, Any] = {name: value for name, value in asked.items() if name not in wrong}
    return SamplingDefaults(**used), wrong
