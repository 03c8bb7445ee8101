"""`python3 -m inference`: settings → server, which listens at once and loads in the background."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable

from inference.progress import Progress
from inference.server import serve
from inference.settings import SettingsError, settings_from

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
}
# torch takes large tensors as huge pages: reading all weights in every step then misses the page tables less (about 4 %).
FAST = {"THP_MEM_ALLOC_ENABLE": "1"}


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name, value in (QUIET | FAST).items():  # before the libraries that read them are imported
        os.environ.setdefault(name, value)
    try:
        settings = settings_from(os.environ)
    except SettingsError as error:
        Progress().failed(str(error))
        return 2
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        return runner.run(serve(settings, leave_soon))


def event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, which streams a token in microseconds; Python's own where it is not published (Windows)."""
    try:
        import uvloop  # noqa: PLC0415  (see above)
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


LAST = 5.0  # seconds from the last answer on


def leave_soon(code: int) -> None:
    """Ends the process in a while, whatever it still waits for: a thread that reads from a share that hangs never ends."""

    def leave() -> None:
        logging.getLogger("inference").warning("a thread has not ended (a share that hangs?): leaving it")
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(LAST, leave)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
