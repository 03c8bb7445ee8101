"""What a server's own words and the end of a container's log say of the cause behind a failed start."""

from __future__ import annotations

import pytest

from sidecar.decisions.reasons import in_log, in_words
from sidecar.gateway.log_lines import ConsoleLine
from tests.support.evidence import evidence


def log(text: str) -> list[ConsoleLine]:
    return [ConsoleLine("", line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("no base model under /mount/model-cache: expected <organisation>/<model>/config.json", "NoBaseModel"),
        ("base model 'a/b' is not under /mount/model-cache; there: c/d", "NoBaseModel"),
        ("the model needs 15.8 GB of GPU memory and 14.2 GB are free", "GpuOutOfMemory"),
        ("CUDA out of memory. Tried to allocate 1.50 GiB", "GpuOutOfMemory"),
        ("/dev/nvidia0 is there, but PyTorch sees no GPU: is the driver too old for its CUDA 13.0?", "GpuUnusable"),
        ("/dev/nvidia0 is there, but this PyTorch is built without CUDA", "GpuUnusable"),
        ("the hub does not give org/m without a token (HTTP 401): accept its licence there", "HubRefused"),
        ("model.safetensors of org/m arrived damaged twice: its digest is not the hub's", "HubRefused"),
        ("the share is full (No space left on device): org/m needs 8192 MB on it", "ShareFull"),
        (
            "the share does not answer: [Errno 5] Input/output error: '/mount/model-cache/a/b/model.safetensors'",
            "ShareAway",
        ),
        ("[Errno 28] No space left on device: '/tmp/x'", "DiskFull"),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes", "OutOfMemory"),
    ],
)
def test_what_the_server_gives_up_with_has_a_name_and_an_advice(said: str, code: str) -> None:
    found = in_words(said)
    assert found is not None
    assert found.code == code
    assert str(found.advice)


def test_what_nobody_knows_keeps_its_own_words() -> None:
    assert in_words("config.json has no model_type") is None
    assert in_log(log("hello\nbye")) is None


@pytest.mark.fact(124)
def test_a_full_disk_is_told_by_its_number_as_it_was_seen() -> None:
    """No size is assumed: errno 28 is what says it."""
    captured = evidence("captured-outputs/ephemeral-disk-full.json")["log"]
    pip = [
        "Collecting torch",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
    ]
    for lines in (captured, pip):
        found = in_log(log("\n".join(lines)))
        assert found is not None
        assert found.code == "DiskFull"


def test_packages_that_are_not_there_are_named() -> None:
    found = in_log(
        log(
            "slipway: phase dependencies\n"
            "ERROR: Could not find a version that satisfies the requirement transfomers (from versions: none)\n"
            "ERROR: No matching distribution found for transfomers\n"
        )
    )
    assert found is not None
    assert (found.code, found.words) == ("PackagesFailed", "No matching distribution found for transfomers")


RAISED = """slipway: starting release 0123456789ab (generation 3)
slipway: phase dependencies
Traceback (most recent call last):
  File "/tmp/slipway-x/inference/__main__.py", line 7, in <module>
    main()
  File "/tmp/slipway-x/inference/server.py", line 42, in main
    import_it()
  File "/usr/lib/python3.12/importlib/__init__.py", line 90, in import_module
    return _bootstrap._gcd_import(name)
ModuleNotFoundError: No module named 'no_such'
"""


def test_code_that_fails_is_told_with_its_own_last_line_not_the_librarys() -> None:
    found = in_log(log(RAISED))
    assert found is not None
    assert found.code == "CodeError"
    assert found.words == "ModuleNotFoundError: No module named 'no_such' (inference/server.py, line 42)"


def test_the_instance_that_ended_last_counts_and_not_the_one_before_it() -> None:
    """A crash loop's log holds several; what one said before the code was corrected is over."""
    assert in_log(log(RAISED + "slipway: starting release fedcba987654 (generation 4)\nslipway: phase ready\n")) is None
    again = in_log(log("MemoryError\n" + RAISED))
    assert again is not None
    assert again.code == "CodeError"


def test_in_a_crash_loop_the_next_instance_has_begun_and_says_nothing_yet() -> None:
    """A person read `has ended`, and no more, while the line that named the cause stood just above."""
    begun = "slipway: starting release 0123456789ab (generation 3)\nslipway: phase dependencies\n"
    found = in_log(log(RAISED + begun))
    assert found is not None
    assert found.words.startswith("ModuleNotFoundError")
    assert in_log(log(RAISED + begun.replace("0123456789ab (generation 3)", "fedcba987654 (generation 4)"))) is None


def test_a_traceback_that_was_caught_and_logged_is_no_reason_by_itself() -> None:
    """Without an exception's line there is nothing to name."""
    assert (
        in_log(log('Traceback (most recent call last):\n  File "/x/inference/a.py", line 1, in f\nstill at it')) is None
    )
