"""The official clients against the deployed endpoint, through the ingress: the files that test the server alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .conftest import ROOT, Place


@pytest.mark.parametrize("suite", ["test_openai_chat.py", "conformance", "test_gradio_chat.py", "test_access.py"])
def test_the_servers_own_suite_passes_through_the_ingress(deployed: Place, suite: str) -> None:
    given = {
        "SLIPWAY_TEST_ENDPOINT": f"http://{deployed.config['ACA_APP_ENDPOINT']}",
        "SLIPWAY_TEST_KEY": deployed.api_key(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"tests/contract/inference/{suite}", "-q", "-x", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**deployed.home.environ, **given},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
