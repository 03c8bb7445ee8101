"""Reads of a share that hiccups are tried again; what stays is told, and what a new process may mend apart from the rest."""

import errno
import os
from collections.abc import Callable

import pytest

from inference.engine.compute.device import DeviceError, DeviceLost
from inference.engine.files.folder import FolderError
from inference.engine.files.patience import ShareAway, passes, patiently

SOON = (0.0, 0.0, 0.0)


def failing(number: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    """Fails so often, then reads."""
    asked: list[int] = []

    def read() -> str:
        asked.append(1)
        if len(asked) <= number:
            raise error
        return "read"

    return read, asked


def of(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/mount/model.safetensors")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN])
def test_what_passes_is_read_again(number: int) -> None:
    read, asked = failing(3, of(number))
    assert patiently(read, SOON) == "read"
    assert len(asked) == 4


def test_what_does_not_pass_in_time_is_told_as_the_shares() -> None:
    read, asked = failing(9, of(errno.EIO))
    with pytest.raises(ShareAway, match=r"the share does not answer: .*Input/output error.*model\.safetensors"):
        patiently(read, SOON)
    assert len(asked) == 4


@pytest.mark.parametrize(
    "error", [of(errno.ENOENT), of(errno.EACCES), of(errno.ENOSPC), FolderError("it is truncated")]
)
def test_what_stays_is_not_tried_again(error: Exception) -> None:
    read, asked = failing(1, error)
    with pytest.raises(type(error)):
        patiently(read, SOON)
    assert len(asked) == 1


def test_a_refusal_for_a_read_that_failed_is_tried_again() -> None:
    refusal = FolderError("it is no tokenizer")
    refusal.__cause__ = of(errno.ESTALE)
    read, asked = failing(1, refusal)
    assert patiently(read, SOON) == "read"
    assert len(asked) == 2


def test_a_restart_may_mend_a_share_and_a_lost_gpu_and_nothing_else() -> None:
    assert passes(ShareAway("the share does not answer"))
    assert passes(DeviceLost("the GPU is lost"))
    assert not passes(DeviceError("the model needs 16 GB"))
    assert not passes(FolderError("it is truncated"))
    assert not passes(RuntimeError("the model does not compute"))
