"""Reads of a share that hiccups: what passes is waited out, and told from what stays wrong until somebody mends it."""

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

Result = TypeVar("Result")

PASSING = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EAGAIN,
        errno.EINTR,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENETRESET,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ENOTCONN,
        errno.EREMOTEIO,
    }
)
"""What a mount of a share answers while its connection or the service behind it is away for a moment."""
PAUSES = (0.5, 2.0, 8.0)  # seconds before a read is tried once more


class Passing(Exception):
    """What a new process may find mended, though this one does not."""


class ShareAway(Passing, OSError):
    """The share went on failing."""


def passes(error: BaseException | None) -> bool:
    """Whether it may be otherwise the next time, here or for a new process."""
    while error is not None:
        if isinstance(error, Passing) or (isinstance(error, OSError) and error.errno in PASSING):
            return True
        error = error.__cause__
    return False


def patiently(read: Callable[[], Result], pauses: tuple[float, ...] = PAUSES) -> Result:
    """What `read` gives, after as many tries as there are pauses at most, and one; ShareAway when the last one failed too."""
    for pause in pauses:
        try:
            return read()
        except (OSError, ValueError) as error:  # a refused folder (ValueError) has what it met as its cause
            if not passes(error):
                raise
            log.warning("the share does not answer (%s); trying again in %g s", error, pause)
            time.sleep(pause)
    try:
        return read()
    except (OSError, ValueError) as error:
        if not passes(error) or isinstance(error, ShareAway):
            raise
        raise ShareAway(f"the share does not answer: {error}") from error
