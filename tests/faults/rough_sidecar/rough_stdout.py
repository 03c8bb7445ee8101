"""An interpreter on which something else writes to the sidecar's standard output, or keeps it from starting: as a start-up file,
a library or a network drive would. Its environment's `.pth` file imports this (tests/e2e/rough.ts makes it).

In the environment's folder `rough`: what `first` holds is printed before anything else; `hang` keeps the process from going on;
what is put there as `say` is written to the output that the window reads, as it is, and taken away.
"""

import os
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(sys.prefix) / "rough"


def listen(out: int) -> None:
    said = FOLDER / "say"
    while True:
        if said.exists():
            data = said.read_bytes()
            said.unlink()
            while data:
                data = data[os.write(out, data) :]
        time.sleep(0.05)  # sleeps: a process that is disturbed looks for what disturbs it


if sys.orig_argv[-3:] == ["-m", "sidecar", "serve"]:
    first = FOLDER / "first"
    if first.exists():
        os.write(1, first.read_bytes())
    while (FOLDER / "hang").exists():
        time.sleep(0.05)  # sleeps: a process that is disturbed looks for what disturbs it
    threading.Thread(target=listen, args=(os.dup(1),), daemon=True).start()
