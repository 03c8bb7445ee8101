"""Folders of models and adapters that must be refused by name before anything of them is loaded."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.faults.ground import ADAPTER_PATH, BASE, Row, World, chat


def hostile(world: World) -> Row:
    """Hostile model folders; each must be refused before it is loaded, by name."""
    base = f"model-cache/{BASE}"

    def pickled(mount: Path) -> None:
        (mount / base / "model.safetensors").rename(mount / base / "pytorch_model.bin")

    def own_code(mount: Path) -> None:
        needed = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
        change(mount / base / "config.json", model_type="nobody-knows", auto_map=needed)

    def outside(mount: Path) -> None:
        (mount / base / "model.safetensors").unlink()  # it would go before the index
        index = {"weight_map": {"model.norm.weight": "../../../../secret.safetensors"}}
        (mount / base / "model.safetensors.index.json").write_text(json.dumps(index))

    def linked(mount: Path) -> None:
        (mount / base / "model.safetensors").rename(world.folder / "elsewhere.safetensors")
        (mount / base / "model.safetensors").symlink_to(world.folder / "elsewhere.safetensors")

    def truncated(mount: Path) -> None:
        os.truncate(mount / base / "model.safetensors", 1_000_000)

    def wrong_shape(mount: Path) -> None:
        change(mount / base / "config.json", hidden_size=96)

    cases: dict[str, tuple[Callable[[Path], None], str]] = {
        "pickle": (pickled, "pytorch_model.bin"),
        "auto_map": (own_code, "evil.Model"),
        "../ in the index": (outside, "shard"),
        "link out": (linked, "leads out"),
        "truncated": (truncated, "truncated"),
        "wrong shapes": (wrong_shape, "shape"),
    }
    named: list[str] = []
    for number, (name, (spoil, word)) in enumerate(cases.items()):
        mount = world.copy(f"mount{number}")
        spoil(mount)
        with world.server(mount, wait="failed") as server:
            if word in server.http().get("/health/ready").json()["detail"]:
                named.append(name)
    mount = world.copy("adapters")
    for name, (spoil, _) in ADAPTERS.items():
        shutil.copytree(mount / ADAPTER_PATH, mount / "models" / name)
        spoil(mount / "models" / name)
    with world.server(mount) as server:
        for name, (_, word) in ADAPTERS.items():
            refused = chat(server, name)
            if refused.status_code == 404 and word in refused.text:
                named.append(name)
        control = [chat(server, model).status_code for model in (BASE, "gpu_model")]
    number = len(cases) + len(ADAPTERS)
    outcome = f"{len(named)} of {number} refused by name: {', '.join(named)}"
    said, held = f"base and untouched adapter answer {control}", len(named) == number and control == [200, 200]
    return Row("hostile model folder", number, outcome, "before load", said, held)


def other_kind(adapter: Path) -> None:
    change(adapter / "adapter_config.json", peft_type="IA3")


def wrong_rank(adapter: Path) -> None:
    """One matrix of a pair has a rank more than the other."""
    from safetensors.torch import load_file, save_file  # noqa: PLC0415  (loads in seconds; only who needs it waits)

    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    key = next(name for name in tensors if name.endswith(".lora_A.weight"))
    tensors[key] = tensors[key].new_ones(tensors[key].shape[0] + 1, tensors[key].shape[1])
    save_file(tensors, file)


# What is done to a copy of the adapter, and what its refusal must speak of.
ADAPTERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "another-kind": (other_kind, "IA3"),
    "wrong-rank": (wrong_rank, "has shapes"),
}


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
