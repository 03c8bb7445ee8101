"""Who gets the key: the app's own address, and no other that a file of the workspace names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .conftest import Place


class Stranger(ThreadingHTTPServer):
    """Another host that somebody wrote into the file: it answers everything, and keeps what it was sent."""

    def __init__(self) -> None:
        seen: list[tuple[str, str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append((self.command, self.path, dict(self.headers)))
                body = b'{"status": "ready", "phase": "ready", "path": "/login/x"}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = seen


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def misled(deployed: Place, stranger: Stranger, tmp_path: Path) -> Place:
    """The same project with one changed line, as a pull request might bring it."""
    deployed.home.cli("init", str(tmp_path))
    changed = {**deployed.config, "ACA_APP_ENDPOINT": f"127.0.0.1:{stranger.server_port}"}
    (tmp_path / "infra" / "inference.config.json").write_text(json.dumps(changed))
    return Place(deployed.home, tmp_path, deployed.subscription, deployed.group)


def test_another_host_is_asked_without_the_key_and_that_is_said(
    deployed: Place, misled: Place, stranger: Stranger
) -> None:
    key = deployed.api_key()
    own = f"http://{deployed.config['ACA_APP_ENDPOINT']}"

    found = misled.status()
    assert (found["state"], found["url"]) == ("ready", own)
    (note,) = found["notes"]
    assert f"127.0.0.1:{stranger.server_port}" in note
    assert note.endswith("The API key is not sent there.")

    link = misled.home.cli("endpoint", str(misled.workspace))
    assert link["url"] == own
    assert link["loginUrl"].startswith(f"{own}/login/")
    assert link["note"] == note
    assert stranger.seen == [], "looking sends nothing: what is there may be an app that sleeps"

    done = misled.deploy()
    assert done["verified"]
    assert done["url"] == own
    assert done["notes"] == [
        note.replace("The API key is not sent there.", "It was asked without the API key; it answered 200.")
    ]

    assert stranger.seen, "the other host was asked"
    for command, path, headers in stranger.seen:
        assert (command, path) == ("GET", "/health/ready")
        assert "authorization" not in {name.lower() for name in headers}
        assert key not in json.dumps(headers)


def test_without_the_changed_line_nothing_is_said(deployed: Place) -> None:
    assert deployed.status()["notes"] == []
    assert deployed.home.cli("endpoint", str(deployed.workspace))["note"] is None
