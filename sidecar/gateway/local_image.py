"""The environment that the local cloud's replicas run in: looked for, and made by a process that a cancel ends whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from sidecar.gateway.local import PACKAGES
from sidecar.gateway.makers import make
from sidecar.gateway.patience import Patience
from sidecar.words.errors import CloudError, ConsentNeeded
from sidecar.words.text import Text

CONSENT = "local-image"
COMMAND = (sys.executable, "-m", "sidecar.localcloud.image")


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
    made = make((*COMMAND, "--while-open"), environ, patience, _step)
    if made.status != 0:
        raise CloudError(
            Text("The model server's environment could not be made."),
            Text("Check the network and the disk, then try again; the detail holds pip's last lines."),
            code="ImageBuildFailed",
            detail=made.complaints[-4000:],
        )


def image_python(environ: Mapping[str, str], patience: Patience) -> str:
    """The interpreter of the environment, which is there."""
    return make((*COMMAND, "--while-open"), environ, patience, _step).said


def _step(line: str) -> Text:
    return Text("The model server's environment: {step}", step=line)
