"""A base fetched from a hub: verified, resumed, once for all replicas, and its token is told to nobody else."""

import errno
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from inference import hub as fetching
from inference.hub import HubError, Wanted, fetch
from inference.settings import SettingsError, settings_from
from inference.turn import Turn
from tests.support.hub import Hub, hub

MODEL = "org/m"
LARGE = 3 << 20


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "additional_chat_templates").mkdir()
    for name, content in {
        "additional_chat_templates/tool_use.jinja": b"{{ tools }}",
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b"{}" + b" " * 2000,
        "generation_config.json": b"{}",
        "model.safetensors": os.urandom(LARGE),
        "pytorch_model.bin": b"pickle" * 500,
        "modeling_x.py": b"import os",
        ".gitattributes": b"*.bin",
    }.items():
        (folder / name).write_bytes(content)
    return folder


def got(mount: Path):
    folder = mount / "model-cache" / MODEL
    return contents(folder) if folder.is_dir() else {}


def contents(folder: Path):
    return {
        each.relative_to(folder).as_posix(): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()
    }


def expected(published: Path):
    left = ("pytorch_model.bin", "modeling_x.py", ".gitattributes")
    return {name: content for name, content in contents(published).items() if name not in left}


def digest_of(made: Hub):
    files = fetching.listed(Wanted(MODEL, "main", made.url)).files
    return next(each.digest for each in files if each.name == "model.safetensors")


def run(made: Hub, mount: Path, token: str = "", revision: str = "main", shares: list[float] | None = None):
    told = [] if shares is None else shares
    wanted = Wanted(MODEL, revision, made.url, token)
    fetch(mount, wanted, lambda share, _: told.append(share), "replica-1", pause=0.01)


def test_what_the_server_reads_is_fetched_whole_and_the_token_goes_to_the_hub_alone(
    published: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    mount, shares = tmp_path / "mount", list[float]()
    with hub({MODEL: published}, gated={MODEL}) as made, caplog.at_level(logging.DEBUG):
        run(made, mount, made.token, shares=shares)
        assert got(mount) == expected(published)
        assert made.told_to_others == set()
        assert {given for host, _, given, _ in made.seen if host == "hub"} == {f"Bearer {made.token}"}
        ours = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("inference"))
        assert "fetching org/m at" in ours
        assert "secret-of-the-link" not in ours
        assert made.token not in repr(Wanted(MODEL, "main", made.url, made.token))
        asked = len(made.seen)
        run(made, mount, made.token)
        assert len(made.seen) == asked, "what is there is not asked for again"
    assert (shares[0] <= shares[-1], shares[-1]) == (True, 1.0)
    assert [each.name for each in (mount / "model-cache" / "org").iterdir()] == ["m"], "nothing is left beside it"


def test_a_connection_that_breaks_off_goes_on_from_there(published: Path, tmp_path: Path):
    with hub({MODEL: published}, cut=[2_000_000, 500_000], refusals=[(503, ""), (429, "0")]) as made:
        run(made, tmp_path / "mount")
        ranges = [
            asked for host, path, _, asked in made.seen if host == "elsewhere" and path.endswith("model.safetensors")
        ]
        assert got(tmp_path / "mount") == expected(published)
    assert len([each for each in ranges if each]) >= 1, "not from the beginning"


def test_a_hub_that_knows_no_ranges_is_asked_from_the_beginning(published: Path, tmp_path: Path):
    with hub({MODEL: published}, cut=[2_000_000], no_ranges=True) as made:
        run(made, tmp_path / "mount")
    assert got(tmp_path / "mount") == expected(published)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_arrives_damaged_is_fetched_again_and_never_served(published: Path, tmp_path: Path, name: str):
    mount = tmp_path / "mount"
    with hub({MODEL: published}, spoiled={name: 1}) as made:
        run(made, mount)
        assert got(mount) == expected(published)
    mount = tmp_path / "other"
    with hub({MODEL: published}, spoiled={name: 9}) as made:
        with pytest.raises(HubError, match=f"{name} of org/m arrived damaged twice"):
            run(made, mount)
        assert "config.json" not in got(mount), "no server takes it for a model"


@pytest.mark.parametrize(
    ("more", "token", "revision", "said"),
    [
        ({"gated": {MODEL}}, "", "main", r"without a token \(HTTP 401\): accept its licence there"),
        ({"gated": {MODEL}}, "hf_wrong", "main", r"with the token that it was given \(HTTP 403\)"),
        ({}, "", "v9", "has no org/m at v9"),
        ({"refusals": [(500, "")] * 9}, "", "main", "does not answer: the hub answers HTTP 500"),
        ({"refusals": [(200, "")]}, "", "main", "does not answer as a hub does"),
    ],
)
def test_what_the_hub_refuses_is_told_by_name_and_never_with_the_token(
    published: Path, tmp_path: Path, more: dict[str, Any], token: str, revision: str, said: str
):
    with hub({MODEL: published}, **more) as made, pytest.raises(HubError, match=said) as refused:
        run(made, tmp_path / "mount", token, revision)
    assert "hf_" not in str(refused.value)
    assert got(tmp_path / "mount") == {}


def test_a_model_that_is_not_there_or_not_servable_is_told(published: Path, tmp_path: Path):
    with hub({"org/other": published}) as made, pytest.raises(HubError, match="has no org/m at main"):
        run(made, tmp_path / "mount")
    (published / "model.safetensors").unlink()
    with hub({MODEL: published}) as made, pytest.raises(HubError, match="no safetensors weights"):
        run(made, tmp_path / "mount")


def test_a_fetch_that_was_killed_goes_on_and_files_of_the_same_size_are_not_taken_for_the_same(
    published: Path, tmp_path: Path
):
    folder = tmp_path / "mount" / "model-cache" / MODEL
    folder.mkdir(parents=True)
    whole = (published / "model.safetensors").read_bytes()
    (folder / "tokenizer.json").write_bytes(b"x" * (published / "tokenizer.json").stat().st_size)
    with hub({MODEL: published}) as made:
        digest = digest_of(made)
        (folder / f".model.safetensors.{digest[:16]}.part").write_bytes(whole[:2_000_000])
        (folder / f".old.safetensors.{digest[:16]}.part").write_bytes(b"of another revision")
        run(made, tmp_path / "mount")
        assert ("bytes=2000000-") in [asked for _, _, _, asked in made.seen]
    assert got(tmp_path / "mount") == expected(published)


def test_of_several_replicas_one_fetches_and_a_dead_ones_turn_is_taken_over(published: Path, tmp_path: Path):
    mount = tmp_path / "mount"
    with hub({MODEL: published}, slow=0.01) as made:
        threads = [threading.Thread(target=run, args=(made, mount)) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(240)
        assert made.names("elsewhere").count("model.safetensors") == 1
    assert got(mount) == expected(published)
    left = tmp_path / "left.fetch"
    left.write_text("a replica that was killed")
    began = time.monotonic()
    with Turn(left, "me", lambda: False, stale=0.2) as turn:
        assert turn.mine
        assert left.read_text() == "me"
    assert 0.2 <= time.monotonic() - began < 60
    assert not left.exists()


def test_a_full_share_is_told_by_name():
    told = fetching.full(OSError(errno.ENOSPC, "No space left on device"), MODEL, 8 << 30)
    assert str(told) == "the share is full (No space left on device): org/m needs 8192 MB on it"
    assert fetching.full(PermissionError(errno.EACCES, "no"), MODEL, 1) is None


def test_the_hub_is_a_setting():
    given = {"SLIPWAY_HUB_MODEL": "Qwen/Qwen3-4B", "SLIPWAY_HUB_TOKEN": "hf_x"}
    assert settings_from(given).base_model == settings_from(given).hub_model == "Qwen/Qwen3-4B"
    assert settings_from({**given, "SLIPWAY_BASE_MODEL": "a/b"}).base_model == "a/b"
    assert "hf_x" not in repr(settings_from(given))
    assert settings_from(given).hub_token == "hf_x"
    assert settings_from({**given, "SLIPWAY_HUB_TOKEN": "none"}).hub_token == ""  # what the template says for none
    for wrong in ("Qwen", "a/b/c", "../up/x", "a/..", "https://x/y"):
        with pytest.raises(SettingsError, match="SLIPWAY_HUB_MODEL must be"):
            settings_from({"SLIPWAY_HUB_MODEL": wrong})
