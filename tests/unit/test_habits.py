"""The habits that a check of our own holds: each is seen to be missed, and to be kept."""

from __future__ import annotations

from tests.habits import (
    LONGER,
    MOST_LINES,
    asks_which_cloud,
    late_imports,
    long_files,
    takes_more_than_values,
    without_reason,
)


def test_a_file_of_more_than_400_lines_is_named() -> None:
    excepted = dict.fromkeys(LONGER, MOST_LINES + 1)
    assert long_files({"sidecar/short.py": MOST_LINES, "tests/long.py": MOST_LINES + 1, **excepted}) == [
        "tests/long.py has more than 400 lines: split it by subject"
    ]


def test_a_late_import_says_why() -> None:
    late = "    import torch  # noqa: " + "PLC0415"
    assert late_imports("a.py", f"{late}  (takes seconds)\n") == []
    assert late_imports("a.py", f"\n{late}\n") == ["a.py:2 needs a reason behind its noqa: PLC0415  (…)"]


def test_a_patch_of_our_own_and_a_sleep_say_why() -> None:
    patch = "from sidecar.core import sync\nmonkeypatch.setattr(sync, 'PIECE', 1)"
    assert without_reason("t.py", f"{patch}  # patched: a whole piece would be megabytes\n") == []
    assert without_reason("t.py", f"{patch}\n") == ["t.py:2 needs a reason in its line: # patched: …"]
    assert without_reason("t.py", "time.sleep(1)  # patched: it is not\n") == [
        "t.py:1 needs a reason in its line: # sleeps: …"
    ]
    assert without_reason("t.py", "asyncio.sleep(0)\n") == []


def test_which_cloud_answers_is_asked_by_nobody_but_the_session() -> None:
    told = ["w.py:1 asks whether the cloud is local: give the session a property that says what differs"]
    assert asks_which_cloud("w.py", "if session.local is None: ...\n") == told
    assert asks_which_cloud("w.py", "if place.session.local: ...\n") == told
    assert asks_which_cloud("w.py", "if cloud == 'local': ...\n") == told
    assert asks_which_cloud("w.py", "run(cloud='local'); threading.local\n") == []


def test_a_decision_takes_values_from_the_gateway_and_nothing_that_asks() -> None:
    text = "from sidecar.gateway.log_lines import SystemEvent, moment\nfrom sidecar.gateway import apps\n"
    assert takes_more_than_values("d.py", text) == ["d.py:2 takes apps from the gateway: a decision asks nobody"]
