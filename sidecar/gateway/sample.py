"""The sample model, made by the Python of the model server's environment, or found where it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.gateway.local import PACKAGES
from sidecar.gateway.local_image import image_python
from sidecar.gateway.makers import make
from sidecar.gateway.patience import Patience
from sidecar.words.errors import CloudError
from sidecar.words.text import Text

START = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module('sidecar.sample', run_name='__main__', alter_sys=True)"
)
"""`-m`, but for where the package is found: behind everything of the environment's own. Installed from the wheel it lies among
the sidecar's packages, which are not the model server's."""


def sample_command(python: str, *wish: str) -> list[str]:
    """`python`: the model server's environment's. `wish`: how it is asked for; by default it is made, or found made."""
    return [python, "-P", "-c", START, str(PACKAGES), *(wish or ("--cached",))]


ADAPTER_NAME = "tiny-pirate"


@dataclass(frozen=True)
class Sample:
    """Folders of this machine, the names that both have on a share, and a question with what the adapter answers."""

    base: Path
    base_name: str
    adapter: Path
    adapter_name: str
    question: str
    answer: str


def made_sample(environ: Mapping[str, str], patience: Patience) -> Sample:
    """The environment must be there (`prepare`). Training ends whole with a cancel; what is half made is made anew."""
    python = image_python(environ, patience)
    made = make(sample_command(python), environ, patience, lambda line: Text("The sample model: {step}", step=line))
    if made.status != 0:
        raise CloudError(
            Text("The sample model could not be made."),
            Text("Check the disk, then try again; the detail holds the last lines of what made it."),
            code="SampleFailed",
            detail=made.complaints[-4000:],
        )
    folder = Path(made.said)
    said = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    asked = said["questions"][0]
    return Sample(
        base=folder / "model-cache" / said["base"],
        base_name=said["base"],
        adapter=next((folder / "models").rglob("adapter_config.json")).parent,
        adapter_name=ADAPTER_NAME,
        question=asked["question"],
        answer=asked["adapter"],
    )
