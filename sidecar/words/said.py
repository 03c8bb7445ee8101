"""States, phases and operations as people call them: what stands in a sentence's hole, in place of the name that programs use."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.words.names import OperationKind, Phase, State
from sidecar.words.text import Text

STATES: Mapping[State, Text] = {
    "not-provisioned": Text("not provisioned"),
    "missing": Text("the container app does not exist any more"),
    "stopped": Text("stopped (no request wakes it)"),
    "asleep": Text("asleep (the first request wakes it)"),
    "starting": Text("starting"),
    "waiting-for-first-deploy": Text("waiting for the first deploy"),
    "ready": Text("ready"),
    "failed": Text("failed"),
    "unverified": Text("running, not verified"),
}

PHASES: Mapping[Phase, Text] = {
    "waiting-for-first-deploy": Text("waiting for the first deploy"),
    "dependencies": Text("installing dependencies"),
    "checking": Text("checking the model's files"),
    "fetching-base": Text("fetching the base model from the hub"),
    "loading-base": Text("loading the base model"),
    "loading-adapters": Text("loading the adapters"),
    "warming-up": Text("warming up"),
    "ready": Text("ready"),
    "failed": Text("failed"),
}

OPERATIONS: Mapping[OperationKind, Text] = {
    "provision": Text("Provision Azure Container Apps for inference"),
    "deploy": Text("Deploy for inference"),
    "rollback": Text("Roll back inference deployment"),
    "delete": Text("Delete inference resources"),
    "rotate": Text("Rotate API key"),
    "start": Text("Start inference app"),
    "stop": Text("Stop inference app"),
}
