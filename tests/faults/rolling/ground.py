"""A project whose releases tell themselves, on a local cloud; what is read of its roll-outs outside the code under test."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.core.journal import Event, Journal
from sidecar.gateway.patience import Patience as Scaled
from sidecar.gateway.session import open_session, settings_from
from sidecar.words.names import StrategyWish
from sidecar.workflows.deploy import deploy
from sidecar.workflows.outcome import Result
from sidecar.workflows.records import SERVED
from sidecar.workflows.restart import Patience
from tests.faults.deploying.ground import Ended, Ground
from tests.faults.rolling import telling_server

TELLING = Path(telling_server.__file__)
SHORT = Patience(poll=0.2, whole=20, drain=20, keep=0.5, lag=1, settle=1)
REVISION = ("deploy", "--strategy", "revision", "--yes")


@dataclass
class Rolling(Ground):
    """`SLIPWAY_WAIT_SCALE` shortens how long an old revision is kept. `mode`: the app's own, which is given back."""

    mode: str = "Multiple"

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "SLIPWAY_WAIT_SCALE": "0.05"}

    def tell(self, note: str) -> None:
        """Another release of the server that tells its own."""
        self.code.mkdir(exist_ok=True)
        shutil.copy(TELLING, self.code / "__main__.py")
        (self.code / "__init__.py").write_text("")
        (self.code / "note.txt").write_text(note)

    def demand(self, regex: str, rows: int = 8) -> None:
        """A gate: every answer of the base has to match this."""
        infra = self.project.workspace.infra
        asked = [json.dumps({"prompt": f"question {number}", "regex": regex}) for number in range(rows)]
        (infra / "evaluation.jsonl").write_text("\n".join(asked))
        threshold = {"measure": "passes", "model": "tiny/base", "bound": 1}
        (infra / "evaluation.json").write_text(json.dumps({"thresholds": [threshold]}))

    def demand_nothing(self) -> None:
        for each in self.project.workspace.infra.glob("evaluation.*"):
            each.unlink()

    def first(self) -> str:
        """A release that serves; its digest."""
        self.tell("first")
        done = self.deploy()
        assert done.code == 0, done
        return str(done.document["release"])

    def roll(self) -> Ended:
        return self.deploy(*REVISION)

    def rolled(
        self,
        patience: Patience = SHORT,
        wish: StrategyWish = "revision",
        consents: tuple[str, ...] = (),
        cancel_at: str = "",
        scale: float = 1.0,
    ) -> Result:
        """The same in this process, with limits of its own. `cancel_at`: the step at which the person cancels. `scale`: of the
        limits of waits for Azure's writes."""
        stop = threading.Event()

        def hear(event: Event) -> None:
            self.written.append(str(event.text))
            if cancel_at and self.steps()[-1] == cancel_at:
                stop.set()

        journal = Journal(self.journal("deploy"), f"played-{time.time_ns()}", hear, stop)
        session = open_session(settings_from(self.environ), "local", patience=Scaled(stop, scale=scale))
        return deploy(self.project.workspace, session, journal, consents, patience, wish=wish)

    def key(self) -> str:
        known = self.world.apps.container_apps.list_secrets(self.name, self.app).value
        return next(str(each.value) for each in known if each.name == "api-key")

    # What is read outside the code under test

    @property
    def app(self) -> str:
        return self.config["ACA_APP_NAME"]

    @property
    def url(self) -> str:
        return f"http://{self.config['ACA_APP_ENDPOINT']}"

    def revisions(self) -> list[dict[str, Any]]:
        found = self.world.apps.container_apps_revisions.list_revisions(self.name, self.app)
        return [{"name": each.name, **each.as_dict()["properties"]} for each in found]

    def replicas(self, revision: str) -> list[dict[str, Any]]:
        found = self.world.apps.container_apps_revision_replicas.list_replicas(self.name, self.app, revision)
        return [each.as_dict() for each in found.value]

    def active(self) -> list[str]:
        return [str(each["name"]) for each in self.revisions() if each["active"]]

    def routed(self) -> tuple[str, list[dict[str, Any]]]:
        configuration = self.world.apps.container_apps.get(self.name, self.app).as_dict()["properties"]["configuration"]
        return str(configuration["activeRevisionsMode"]), configuration["ingress"].get("traffic") or []

    def at_rest(self) -> list[str]:
        """What of a roll-out is left, where there should be nothing."""
        wrong = [] if len(self.active()) == 1 else [f"active: {self.active()}"]
        mode, traffic = self.routed()
        if (mode, traffic) != (self.mode, [{"latestRevision": True, "weight": 100}]):
            wrong.append(f"{mode}, {traffic}")
        with self.share() as share:
            if share.exists(f"{self.home}/rollout.json"):
                wrong.append("rollout.json is there")
        return wrong

    def served_by(self) -> dict[str, str]:
        """Which revision each generation was seen at."""
        with self.share() as share:
            names = [each.name for each in share.list(f"{self.home}/generations") if each.name.endswith(SERVED)]
            said = {name: json.loads(share.read(f"{self.home}/generations/{name}")) for name in names}
        return {name: str(each.get("revision") or "") for name, each in said.items()}
