"""The same promises through the official npm client: conformance.test.mjs under Node's own test runner."""

import os
import re
import subprocess
from pathlib import Path

from tests.contract.inference.conftest import Endpoint, Sample

HERE = Path(__file__).resolve().parent


def test_the_official_npm_client_passes_every_case(endpoint: Endpoint, sample: Sample):
    given = {
        "SLIPWAY_TEST_ENDPOINT": endpoint.url,
        "SLIPWAY_TEST_KEY": endpoint.key,
        "SLIPWAY_TEST_MODEL": os.environ.get("SLIPWAY_TEST_MODEL") or sample.base,
    }
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", str(HERE / "conformance.test.mjs")],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed.group(1)) >= 40
