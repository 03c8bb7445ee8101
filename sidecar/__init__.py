"""The sidecar: provisioning, code sync and rollout, behind a JSON-RPC door and a terminal door."""

__version__ = "0.1.0"
