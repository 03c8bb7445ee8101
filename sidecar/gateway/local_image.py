"""The environment that the local cloud's replicas run in: looked for, and made by a process that a cancel ends whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

from sidecar.gateway.local import PACKAGES
from sidecar.gateway.patience import Patience
from sidecar.words.errors import CloudError, ConsentNeeded
from sidecar.words.text import Text

CONSENT = "local-image"
COMMAND = (sys.executable, "-m", "sidecar.localcloud.image")
SHOWN_LINES = 60


def prepare_image(environ: Mapping[str, str], consents: tuple[str, ...], patience: Patience) -> None:
    """Makes the environment that replicas run in, where it is not there yet.

    Raises ConsentNeeded before it is downloaded for the first time."""
    checked = subprocess.run([*COMMAND, "--check"], env=dict(environ), cwd=PACKAGES, capture_output=True, check=False)
    if checked.returncode == 0:
        return
    if CONSENT not in consents:
        raise ConsentNeeded(
            CONSENT,
            Text(
                "The local cloud runs the model server on this machine. Its environment (PyTorch and the packages of "
                "inference/requirements.txt) is downloaded once: about 0.3 GB with the CPU build of PyTorch, "
                "several GB where the CUDA build is the default."
            ),
            Text("Agree to the download, or choose an Azure subscription."),
        )
    patience.say(Text("Making the model server's environment (once; this takes a few minutes)…"))
    status, printed = _made(environ, patience)
    if status != 0:
        raise CloudError(
            Text("The model server's environment could not be made."),
            Text("Check the network and the disk, then try again; the detail holds pip's last lines."),
            code="ImageBuildFailed",
            detail="".join(printed)[-4000:],
        )


def _made(environ: Mapping[str, str], patience: Patience) -> tuple[int, list[str]]:
    """The exit status of the process that makes it, and its last lines, which are told as they come.

    It and pip are a group of their own, which ends on a cancel, and when its input closes because this process is gone."""
    process = subprocess.Popen(
        [*COMMAND, "--while-open"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=dict(environ),
        cwd=PACKAGES,
        start_new_session=True,
    )
    printed: list[str] = []

    def read() -> None:
        for line in process.stderr or ():
            printed.append(line)
            del printed[:-SHOWN_LINES]
            patience.say(Text("The model server's environment: {step}", step=line.strip()))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with process:
        try:
            while process.poll() is None:
                patience.wait(0.2)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what is half made is made anew
            raise
        finally:
            reader.join()
    return process.returncode, printed
