"""Captures of real Azure beside the project (../shared/azure-evidence): loaded, noted as used, compared with our answers."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

EVIDENCE = Path(__file__).resolve().parents[2].parent / "shared" / "azure-evidence"
USED: dict[str, set[str]] = {}
"""Captures by the id of the test that loaded them; tests/support/facts.py writes them out."""


def evidence(name: str) -> Any:
    """What a capture holds: its JSON, a list where it has one object a line, else its text. Skips where it is absent."""
    file = EVIDENCE / name
    if not EVIDENCE.exists():
        pytest.skip("the captures of real Azure are not beside the project (../shared/azure-evidence)")
    text = file.read_text(encoding="utf-8")
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    USED.setdefault(test, set()).add(name)
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if file.suffix != ".json":
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # Log streams were saved as they came: an object on every line.
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def same_shape(capture: Any, ours: Any, unlike: Mapping[str, str] | None = None) -> None:
    """Fails where `ours` has other keys, other types or other nulls than `capture`.

    `unlike` names the paths that may differ, each with its reason ("properties.tags": "…", "[].name" for a list's items);
    one that does not differ any more fails too, so that the list stays true.
    """
    stated = dict(unlike or {})
    found = dict(differences(capture, ours))
    surprising = [f"{path or '(all)'}: {what}" for path, what in found.items() if path not in stated]
    assert not surprising, "unlike Azure: " + "; ".join(surprising)
    settled = [path for path in stated if path not in found]
    assert not settled, f"named as unlike Azure, and is like it: {settled}"


def differences(capture: Any, ours: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, what differs) between two answers, values aside."""
    theirs, mine = _kind(capture), _kind(ours)
    if theirs != mine:
        yield path, f"Azure has {theirs}, ours {mine}"
        return
    if isinstance(capture, dict):
        for name in capture.keys() | ours.keys():
            here = f"{path}.{name}" if path else str(name)
            if name not in ours:
                yield here, f"missing, Azure has {_kind(capture[name])}"
            elif name not in capture:
                yield here, f"ours has {_kind(ours[name])}, Azure does not have it"
            else:
                yield from differences(capture[name], ours[name], here)
    elif isinstance(capture, list) and capture and ours:
        # The items of a list are of one kind: each of ours against its fellow, or the last there is.
        for at, item in enumerate(ours):
            yield from differences(capture[min(at, len(capture) - 1)], item, f"{path}[]")


def without_nulls(value: Any) -> Any:
    """`value` without members that are null: Azure's command line writes out those that were not in the answer."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def _kind(value: Any) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "a truth value"),
        (int, "a number"),
        (float, "a number"),
        (str, "a text"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
