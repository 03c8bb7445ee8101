"""`npm run contract -- adapters`: adapters as trainers write them, served beside a base of the form that they are for.

First what versions of PEFT write, each in an environment of its own, made once below build/contract (this asks the package
index): their tensors, their files, and the tokens that they draw themselves. Then
a row for each adapter_config.json that a trainer or PEFT's experiments published (../shared/models/README.md names the sources):
the file word for word, tensors as PEFT makes them of it, the answers PEFT's own; or a refusal that says why.
`npm run contract -- adapters NAME …` plays those rows only.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from itertools import chain
from pathlib import Path


def main(chosen: list[str]) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("TQDM_DISABLE", "1")
    # torch and tqdm read these when they are imported
    from tests.support.adapter_rows import layout_rows  # noqa: PLC0415  (see above)
    from tests.support.adapter_versions import version_rows  # noqa: PLC0415  (see above)
    from tests.support.rows import printed  # noqa: PLC0415  (see above)

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-adapters-") as folder:
        rows = chain(version_rows(Path(folder), chosen), layout_rows(Path(folder), chosen))
        return printed("adapters", rows, began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
