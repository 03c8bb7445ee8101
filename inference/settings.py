"""The server's settings: the environment as one frozen value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

DEFAULT_PORT = 7860
HUB = "https://huggingface.co"
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#]+", re.ASCII)
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)

EngineChoice = Literal["auto", "own", "transformers"]
DeviceChoice = Literal["auto", "cpu", "cuda"]
WeightsChoice = Literal["full", "nf4"]
Choice = TypeVar("Choice", bound=str | bool)

ENGINES: dict[str, EngineChoice] = {"auto": "auto", "own": "own", "transformers": "transformers"}
DEVICES: dict[str, DeviceChoice] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}
WEIGHTS: dict[str, WeightsChoice] = {"auto": "full", "nf4": "nf4"}
AUTHORS: dict[str, bool] = {"auto": True, "none": False}
CLAMPS: dict[str, bool] = {"refuse": False, "clamp": True}


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
    hub_model: str = ""  # organisation/model that is fetched from a hub, once, where it is not on the share
    hub_revision: str = "main"
    hub_url: str = HUB
    hub_token: str = ""
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
    authors_sampling: bool = True  # whether generation_config.json counts where a request leaves something open
    clamp_tokens: bool = False  # whether a max_tokens beyond the context is taken for what fits, not refused
    origins: frozenset[str] = frozenset()  # sites whose pages may call the API
    max_adapters: int = 16
    watch_seconds: float = 10.0  # between two looks at the adapters' files; 0: none
    kv_bytes: int = 0  # 0: a share of the free memory
    max_body: int = 4 << 20
    header_timeout: float = 15.0
    body_timeout: float = 30.0
    send_timeout: float = 60.0  # for which a client may take nothing of its stream
    drain_timeout: float = 25.0
    private_socket: str = ""  # where the container's supervisor asks this server; set by it, as the next two
    supervisor: int = 0  # the descriptor of the channel to it; 0: there is none, and the server listens by itself
    control: str = ""  # the socket that answers requests below /slipway
    held: bool = (
        False  # whether it loads its model only when the supervisor says so: until then another server has the memory
    )
    idle_timeout: float = 3900.0  # for which a connection waits for its next request; see README.md
    begin_after: float = 60.0  # silence after which an answer that is not streamed begins, with white space
    keep_alive: float = 10.0  # silence after which a stream says that it lives; the ingress drops idle ones

    def __repr__(self) -> str:
        """Without the key: a settings value may reach a log."""
        return f"Settings(port={self.port}, host={self.host}, mount={self.mount}, base_model={self.base_model!r})"


NOTHING = "none"
"""What the template's secret holds where no token is stated: a secret can't be empty."""


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Reads the environment; raises SettingsError naming what is wrong."""
    return Settings(
        port=whole(environment, "CONTAINER_APP_PORT", DEFAULT_PORT),
        host=environment.get("SLIPWAY_BIND_HOST") or Settings.host,
        api_key=environment.get("SLIPWAY_API_KEY", ""),
        previous_key=environment.get("SLIPWAY_API_KEY_PREVIOUS", ""),
        mount=Path(environment.get("SLIPWAY_MOUNT") or "/mount").resolve(),  # adapters are named by their path in it
        base_model=environment.get("SLIPWAY_BASE_MODEL") or hub_name(environment),
        hub_model=hub_name(environment),
        hub_revision=environment.get("SLIPWAY_HUB_REVISION") or Settings.hub_revision,
        hub_url=(environment.get("SLIPWAY_HUB_URL") or HUB).rstrip("/"),
        hub_token="" if (token := environment.get("SLIPWAY_HUB_TOKEN", "")) == NOTHING else token,
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
        authors_sampling=one_of(environment, "SLIPWAY_GENERATION_CONFIG", AUTHORS),
        clamp_tokens=one_of(environment, "SLIPWAY_TOO_MANY_TOKENS", CLAMPS),
        origins=origins(environment),
        max_adapters=whole(environment, "SLIPWAY_MAX_ADAPTERS", Settings.max_adapters),
        watch_seconds=seconds(environment, "SLIPWAY_WATCH_SECONDS", Settings.watch_seconds),
        kv_bytes=whole(environment, "SLIPWAY_KV_BYTES", Settings.kv_bytes),
        max_body=whole(environment, "SLIPWAY_MAX_BODY", Settings.max_body),
        header_timeout=seconds(environment, "SLIPWAY_HEADER_TIMEOUT", Settings.header_timeout),
        body_timeout=seconds(environment, "SLIPWAY_BODY_TIMEOUT", Settings.body_timeout),
        send_timeout=seconds(environment, "SLIPWAY_SEND_TIMEOUT", Settings.send_timeout, 1),
        private_socket=environment.get("SLIPWAY_PRIVATE_SOCKET", ""),
        supervisor=whole(environment, "SLIPWAY_SUPERVISOR_FD", Settings.supervisor),
        control=environment.get("SLIPWAY_CONTROL", ""),
        held=environment.get("SLIPWAY_HOLD", "") == "1",
        idle_timeout=seconds(environment, "SLIPWAY_IDLE_TIMEOUT", Settings.idle_timeout, 1),
        begin_after=seconds(environment, "SLIPWAY_BEGIN_AFTER", Settings.begin_after, 1, 200),
        keep_alive=seconds(environment, "SLIPWAY_KEEP_ALIVE", Settings.keep_alive, 1, 15),
        drain_timeout=seconds(environment, "SLIPWAY_DRAIN_TIMEOUT", Settings.drain_timeout),
    )


def hub_name(environment: Mapping[str, str]) -> str:
    text = environment.get("SLIPWAY_HUB_MODEL", "")
    if text and not HUB_NAME.fullmatch(text):
        raise SettingsError(f"SLIPWAY_HUB_MODEL must be organisation/model, not {text!r}")
    return text


def origins(environment: Mapping[str, str]) -> frozenset[str]:
    """Separated by commas, each as browsers send it; `*` is every one."""
    named = [each.strip() for each in environment.get("SLIPWAY_CORS_ORIGINS", "").split(",") if each.strip()]
    wrong = next((each for each in named if not ORIGIN.fullmatch(each)), None)
    if wrong is not None:
        raise SettingsError(f"SLIPWAY_CORS_ORIGINS must be origins like https://example.com, or *, not {wrong!r}")
    return frozenset(named)


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
