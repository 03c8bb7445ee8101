"""What the environment may say, and what holds when it says nothing."""

from typing import Any

import pytest

from inference.settings import SettingsError, settings_from
from sidecar.localcloud.core.settings import Times


def test_nothing_said_is_what_the_container_app_expects():
    settings = settings_from({})
    assert (settings.port, settings.host) == (7860, "0.0.0.0")
    assert settings.keep_alive <= 15  # seconds; the ingress drops a stream that is silent for 240
    assert settings.drain_timeout < 30  # the platform kills after that
    assert (
        settings.idle_timeout > Times().upstream_idle
    )  # the ingress closes a connection first: else a request may be lost


def test_the_platform_tells_the_port():
    assert settings_from({"CONTAINER_APP_PORT": "8080"}).port == 8080


def test_times_may_be_parts_of_a_second():
    settings = settings_from({"SLIPWAY_KEEP_ALIVE": "1.5", "SLIPWAY_DRAIN_TIMEOUT": "0", "SLIPWAY_BODY_TIMEOUT": ".5"})
    assert (settings.keep_alive, settings.drain_timeout, settings.body_timeout) == (1.5, 0.0, 0.5)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("SLIPWAY_ENGINE", {"": "auto", "auto": "auto", "own": "own", "transformers": "transformers"}),
        ("SLIPWAY_DEVICE", {"": "auto", "auto": "auto", "cpu": "cpu", "cuda": "cuda"}),
        ("SLIPWAY_WEIGHTS", {"": "full", "auto": "full", "nf4": "nf4"}),
    ],
)
def test_a_choice_is_one_of_its_words(name: str, chosen: dict[str, Any]):
    field = name.removeprefix("SLIPWAY_").lower()
    for word, meant in chosen.items():
        assert getattr(settings_from({name: word} if word else {}), field) == meant
    with pytest.raises(SettingsError, match=f"{name} must be one of {', '.join(filter(None, chosen))}, not 'Auto'"):
        settings_from({name: "Auto"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONTAINER_APP_PORT", "http", "CONTAINER_APP_PORT must be a whole number, not 'http'"),
        ("SLIPWAY_KEEP_ALIVE", "16", "SLIPWAY_KEEP_ALIVE must be seconds between 1 and 15, not '16'"),
        ("SLIPWAY_KEEP_ALIVE", "0", "SLIPWAY_KEEP_ALIVE must be seconds between 1 and 15, not '0'"),
        ("SLIPWAY_SEND_TIMEOUT", "0", "SLIPWAY_SEND_TIMEOUT must be seconds between 1 and 86400, not '0'"),
        ("SLIPWAY_HEADER_TIMEOUT", "soon", "SLIPWAY_HEADER_TIMEOUT must be seconds between 0 and 86400, not 'soon'"),
        ("SLIPWAY_WATCH_SECONDS", "1.5.2", "SLIPWAY_WATCH_SECONDS must be seconds between 0 and 86400, not '1.5.2'"),
        ("SLIPWAY_MAX_RUNNING", "0", "SLIPWAY_MAX_RUNNING must lie between 1 and 4096, not 0"),
        ("SLIPWAY_MAX_RUNNING", "-1", "SLIPWAY_MAX_RUNNING must be a whole number"),
        ("SLIPWAY_ENGINE", "vllm", "SLIPWAY_ENGINE must be one of auto, own, transformers, not 'vllm'"),
        ("SLIPWAY_DEVICE", "tpu", "SLIPWAY_DEVICE must be one of auto, cpu, cuda"),
        ("SLIPWAY_BEGIN_AFTER", "230", "SLIPWAY_BEGIN_AFTER must be seconds between 1 and 200, not '230'"),
        ("SLIPWAY_GENERATION_CONFIG", "vllm", "SLIPWAY_GENERATION_CONFIG must be one of auto, none"),
        ("SLIPWAY_TOO_MANY_TOKENS", "yes", "SLIPWAY_TOO_MANY_TOKENS must be one of refuse, clamp"),
        ("SLIPWAY_CORS_ORIGINS", "example.com", "SLIPWAY_CORS_ORIGINS must be origins like https://example.com"),
        ("SLIPWAY_WEIGHTS", "int3", "SLIPWAY_WEIGHTS must be one of auto, nf4"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str, said: str):
    with pytest.raises(SettingsError, match=said):
        settings_from({name: value})


def test_origins_are_separated_by_commas():
    assert settings_from({}).origins == frozenset()
    given = settings_from({"SLIPWAY_CORS_ORIGINS": "https://a.example, http://localhost:3000,"}).origins
    assert given == {"https://a.example", "http://localhost:3000"}
    assert settings_from({"SLIPWAY_CORS_ORIGINS": "*"}).origins == {"*"}


def test_the_key_is_in_no_text_of_the_settings():
    assert "secret" not in f"{settings_from({'SLIPWAY_API_KEY': 'secret'})!r}"
