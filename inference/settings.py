"""The server's settings: the environment as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

DEFAULT_PORT = 7860

EngineChoice = Literal["auto", "own", "transformers"]
DeviceChoice = Literal["auto", "cpu", "cuda"]
WeightsChoice = Literal["full", "nf4"]
Choice = TypeVar("Choice", bound=str)

ENGINES: dict[str, EngineChoice] = {"auto": "auto", "own": "own", "transformers": "transformers"}
DEVICES: dict[str, DeviceChoice] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}
WEIGHTS: dict[str, WeightsChoice] = {"auto": "full", "nf4": "nf4"}


class SettingsError(ValueError):
    """An environment variable that cannot be used; the message names it."""


@dataclass(frozen=True)
class Settings:
    """What the container app tells the server. Sizes in bytes, times in seconds."""

    port: int = DEFAULT_PORT
    host: str = "0.0.0.0"  # noqa: S104  (a container is reached from outside; the local cloud sets 127.0.0.1)
    api_key: str = ""
    previous_key: str = ""  # accepted beside it while callers change from the one to the other
    mount: Path = Path("/mount")
    base_model: str = ""
    release: str = ""
    generation: str = ""
    revision: str = ""
    replica: str = ""
    engine: EngineChoice = "auto"
    device: DeviceChoice = "auto"
    weights: WeightsChoice = "full"  # nf4: the layers' matrices in 4 bits, a quarter of the memory
    max_running: int = 32
    max_waiting: int = 64
    max_context: int = 0  # 0: what the model and the memory allow
    max_adapters: int = 16
    watch_seconds: float = 10.0  # between two looks at the adapters' files; 0: none
    kv_bytes: int = 0  # 0: a share of the free memory
    max_body: int = 4 << 20
    header_timeout: float = 15.0
    body_timeout: float = 30.0
    send_timeout: float = 60.0  # for which a client may take nothing of its stream
    drain_timeout: float = 25.0
    keep_alive: float = 10.0  # silence after which a stream says that it lives; the ingress drops idle ones

    def __repr__(self) -> str:
        """Without the key: a settings value may reach a log."""
        return f"Settings(port={self.port}, host={self.host}, mount={self.mount}, base_model={self.base_model!r})"


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Reads the environment; raises SettingsError naming what is wrong."""
    return Settings(
        port=whole(environment, "CONTAINER_APP_PORT", DEFAULT_PORT),
        host=environment.get("SLIPWAY_BIND_HOST") or Settings.host,
        api_key=environment.get("SLIPWAY_API_KEY", ""),
        previous_key=environment.get("SLIPWAY_API_KEY_PREVIOUS", ""),
        mount=Path(environment.get("SLIPWAY_MOUNT") or "/mount").resolve(),  # adapters are named by their path in it
        base_model=environment.get("SLIPWAY_BASE_MODEL", ""),
        release=environment.get("SLIPWAY_RELEASE_DIGEST", ""),
        generation=environment.get("SLIPWAY_GENERATION", ""),
        revision=environment.get("CONTAINER_APP_REVISION", ""),
        replica=environment.get("CONTAINER_APP_REPLICA_NAME", ""),
        engine=one_of(environment, "SLIPWAY_ENGINE", ENGINES),
        device=one_of(environment, "SLIPWAY_DEVICE", DEVICES),
        weights=one_of(environment, "SLIPWAY_WEIGHTS", WEIGHTS),
        max_running=whole(environment, "SLIPWAY_MAX_RUNNING", Settings.max_running, 1, 4096),
        max_waiting=whole(environment, "SLIPWAY_MAX_WAITING", Settings.max_waiting),
        max_context=whole(environment, "SLIPWAY_MAX_CONTEXT", Settings.max_context),
        max_adapters=whole(environment, "SLIPWAY_MAX_ADAPTERS", Settings.max_adapters),
        watch_seconds=seconds(environment, "SLIPWAY_WATCH_SECONDS", Settings.watch_seconds),
        kv_bytes=whole(environment, "SLIPWAY_KV_BYTES", Settings.kv_bytes),
        max_body=whole(environment, "SLIPWAY_MAX_BODY", Settings.max_body),
        header_timeout=seconds(environment, "SLIPWAY_HEADER_TIMEOUT", Settings.header_timeout),
        body_timeout=seconds(environment, "SLIPWAY_BODY_TIMEOUT", Settings.body_timeout),
        send_timeout=seconds(environment, "SLIPWAY_SEND_TIMEOUT", Settings.send_timeout, 1),
        keep_alive=seconds(environment, "SLIPWAY_KEEP_ALIVE", Settings.keep_alive, 1, 15),
        drain_timeout=seconds(environment, "SLIPWAY_DRAIN_TIMEOUT", Settings.drain_timeout),
    )


def whole(environment: Mapping[str, str], name: str, default: int, least: int = 0, most: int = 1 << 62) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise SettingsError(f"{name} must be a whole number, not {text!r}")
    if not least <= int(text) <= most:
        raise SettingsError(f"{name} must lie between {least} and {most}, not {text}")
    return int(text)


def seconds(environment: Mapping[str, str], name: str, default: float, least: float = 0, most: float = 86400) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.replace(".", "", 1).isdecimal() or not least <= float(text) <= most:
        raise SettingsError(f"{name} must be seconds between {least:g} and {most:g}, not {text!r}")
    return float(text)


def one_of(environment: Mapping[str, str], name: str, choices: Mapping[str, Choice]) -> Choice:
    """What a word stands for; the first where nothing is said."""
    text = environment.get(name) or next(iter(choices))
    if text not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    return choices[text]
