"""`npm run contract -- models`: the models that people fine-tune, by their published files, as this server serves them.

First a row for each configuration: made small, with random weights, loaded the whole way and asked for greedy tokens, which are
to be transformers' own. Then a row for each chat template: every conversation renders as transformers renders it, or is refused
where it is refused there. What is known by numbers alone is `unverified` even where its tokens are equal: nobody has the file.
`npm run contract -- models NAME …` plays those rows only.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path


def main(chosen: list[str]) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("TQDM_DISABLE", "1")
    # torch and tqdm read these when they are imported
    from tests.support.published_rows import model_rows, template_rows  # noqa: PLC0415  (see above)
    from tests.support.published_templates import on_the_day  # noqa: PLC0415  (see above)
    from tests.support.rows import printed  # noqa: PLC0415  (see above)

    logging.disable(logging.WARNING)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slipway-models-") as folder, on_the_day():
        rows = chain(model_rows(Path(folder), chosen), template_rows(Path(folder), chosen))
        return printed("models", rows, began)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
