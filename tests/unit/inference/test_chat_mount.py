"""The chat page's place in the server: what becomes of a page that comes too late."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from inference.service import Service
from inference.settings import Settings
from inference.web.chat_mount import ChatPage

ROOT = Path(__file__).resolve().parents[3]


def test_a_page_that_is_made_while_the_server_stops_is_left_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal to end comes while Gradio is being imported: once it ended the thread with a traceback in the log."""
    loop = asyncio.new_event_loop()
    service = Service(Settings(api_key="key", mount=tmp_path), loop)
    service.draining = True
    try:
        with caplog.at_level(logging.INFO):
            ChatPage(service).prepare()
    finally:
        loop.close()
    assert "no chat page: the server is stopping" in caplog.text
    assert "Traceback" not in caplog.text


def test_the_pages_own_components_leave_no_stub_beside_their_module() -> None:
    """Gradio writes one for each component's class, into the folder of whoever starts the server from a checkout."""
    module = ROOT / "inference" / "web" / "kept.py"
    subprocess.run([sys.executable, "-c", "import inference.web.kept"], cwd=ROOT, check=True, timeout=120)
    assert not module.with_suffix(".pyi").exists()
