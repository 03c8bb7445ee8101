"""The sidecar's death amid the gate of an exchange in turn: the release is current and answers, and nothing has judged it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sidecar.core.evaluation_runs import ANSWERS, Run, answers_of, runs
from sidecar.core.workspace import open_workspace
from sidecar.gateway.session import open_session
from sidecar.workflows.observe import api_key
from tests.bench.deploy import Ground
from tests.contract.localcloud.conftest import eventually
from tests.faults.rolling.callers import Caller
from tests.faults.rolling.in_place_kills import SECONDS, begun, change
from tests.faults.rolling.table import Told

ROWS, LEAST = 160, 8
BASE = "slipway/tiny-llama"
ANY, NEVER = "", "^never said$"
"""What every answer matches, and what none does."""

OUTAGE = "404 Error 404 - This Container App is stopped or does not exist."
"""As callers hear it while the one GPU is given from the new replica to the old release's."""


def killed(ground: Ground, regex: str) -> Told:
    """Where it passes the next run finishes; where it does not, the release before comes back. What was answered is asked no
    second time in either."""
    workspace = open_workspace(str(ground.project))
    key = api_key(workspace, open_session(ground.settings, "local"))
    endpoint = json.loads((workspace.infra / "inference.config.json").read_text())["ACA_APP_ENDPOINT"]
    change(ground, "in turn", f"killed amid its gate {regex}")
    try:
        with Caller(f"http://{endpoint}", key) as caller:
            old = caller.release()
            demand(ground, regex)
            before = {each.name for each in runs(workspace)}
            stored = _killed_amid(ground, before)
            at, amid = str(ground.entries()[-1]["step"]), caller.release()
            done = json.loads(begun(ground).communicate(timeout=SECONDS)[0])
            now = caller.release()
    finally:
        for each in (ground.project / "infra").glob("evaluation.*"):
            each.unlink()
    (run,) = (each for each in runs(workspace) if each.name not in before)
    kept, lines = {each: answers_of(run).get(each) for each in stored} == stored, _lines(run)
    told = str(done["release"]) if "release" in done else f"{done['error']['code']}: {done['error']['message']}"
    seen = (
        f"killed at {at} with {len(stored)} of {ROWS} answers, kept: {kept}, {lines} were stored in all; the new one answered "
        f"then: {amid != old}; the next run: {told[:160]}; {caller.counts()}"
    )
    right = at == "judge-serving" and LEAST <= len(stored) < ROWS == lines and kept and amid != old
    if regex == NEVER:
        right = right and told.startswith("GateMissed") and now == old and set(caller.failed) <= {OUTAGE}
        return Told("judged again; the old one comes back by a restart, an outage with one GPU", seen, right)
    return Told("gone on with; then it is done", seen, right and now == amid == told and not caller.failed)


def demand(ground: Ground, regex: str) -> None:
    infra = ground.project / "infra"
    asked = [json.dumps({"prompt": f"Who are you, {at}?", "regex": regex, "model": BASE}) for at in range(ROWS)]
    (infra / "evaluation.jsonl").write_text("\n".join(asked))
    threshold = {"measure": "passes", "model": BASE, "bound": 1}
    (infra / "evaluation.json").write_text(json.dumps({"models": [BASE], "max_tokens": 16, "thresholds": [threshold]}))


def _killed_amid(ground: Ground, before: set[str]) -> Mapping[tuple[str, str], object]:
    process = begun(ground)
    workspace = open_workspace(str(ground.project))

    def stored() -> Mapping[tuple[str, str], object]:
        run = next((each for each in runs(workspace) if each.name not in before), None)
        return {} if run is None else answers_of(run)

    eventually(lambda: len(stored()) >= LEAST or process.poll() is not None, SECONDS, "some answers")
    process.kill()
    process.communicate()
    return stored()


def _lines(run: Run) -> int:
    """Answers that were ever put into its file: a row that was asked twice has two."""
    return sum('"row"' in line for line in (run.folder / ANSWERS).read_text().splitlines())
