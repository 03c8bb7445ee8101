"""Adapters as versions of PEFT and as trl write them, each in an environment of its own; and what became of them.

An environment sees the model server's packages for all that it does not pin. Where one cannot be made or does not run
with that PyTorch its row is `unverified`, with the reason.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from sidecar.localcloud.image import image_for, shipped_requirements
from tests.support.published_rows import TOKENS, prompts
from tests.support.published_shapes import NUMBERS, Published, shrunk
from tests.support.rows import Row
from tests.support.tiny_models import write_model
from tests.support.whole_load import Asked, answers, loaded

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / "build" / "contract" / "adapters"
WRITER, TRAINER = (ROOT / "tests" / "support" / f"adapter_{each}.py" for each in ("writer", "trainer"))
MODEL = "Llama 3 70B"
WEB = ("requests==2.32.5", "urllib3==2.5.0", "charset_normalizer==3.4.4")  # what huggingface_hub once needed
VERSIONS: Mapping[str, tuple[str, ...]] = {
    "0.5.0": ("transformers==4.33.3", "tokenizers==0.13.3", "huggingface_hub==0.17.3", "accelerate==0.23.0", *WEB),
    "0.8.2": ("transformers==4.37.2", "tokenizers==0.15.2", "huggingface_hub==0.20.3", "accelerate==0.27.2", *WEB),
    "0.11.1": ("transformers==4.41.2", "tokenizers==0.19.1", "huggingface_hub==0.23.4", "accelerate==0.31.0", *WEB),
    "0.14.0": ("transformers==4.47.1", "tokenizers==0.21.0", "huggingface_hub==0.27.1", "accelerate==1.2.1", *WEB),
    "0.17.1": ("transformers==4.55.4", "tokenizers==0.21.4", "huggingface_hub==0.34.4", "accelerate==1.10.1", *WEB),
    "": (),
}
"""By PEFT's version, what it ran with at its time; the last is the model server's own."""

TRL = (
    "trl==1.16.0",
    "datasets==5.2.0",
    "pyarrow==26.0.1",
    "dill==0.4.1",
    "multiprocess==0.70.19",
    "xxhash==4.1.0",
    "requests==2.34.2",
)
NO_FILE = "no adapter_config.json of it under a free licence was found"
OTHERS: Mapping[str, str] = {
    "unsloth": "not run here: it needs xformers and a GPU; files that it published are rows below",
    "axolotl": "not run here: it needs xformers and torchao; files that it published are rows below",
    "LLaMA-Factory": f"not run here: it needs transformers up to 5.6, trl up to 0.24 and torchaudio; {NO_FILE}",
    "ms-swift": f"not run here: it needs transformers below 5.20 and trl below 1.0; {NO_FILE}",
    "AI Toolkit (Olive)": f"not run here: it trains in containers on a GPU; {NO_FILE}",
}
"""Trainers that were not run, and why."""

REFUSED = {"dora": "uses use_dora", "by-default of peft 0.5.0": "adapter_model.bin may hold code"}
"""What the server says instead of serving a variant on its own engine."""


def version_rows(folder: Path, chosen: list[str]) -> Generator[Row]:
    base = folder / "base"
    write_model(base, *shrunk(Published(MODEL, NUMBERS[MODEL])))
    for version, packages in VERSIONS.items():
        name = f"peft {version}".strip()
        if not chosen or name in chosen:
            wanted = (f"peft=={version}", *packages) if version else ()
            yield from rows_of(base, folder / name, name, WRITER, wanted)
    if not chosen or "trl" in chosen:
        yield from rows_of(base, folder / "trl", "trl", TRAINER, TRL)
    yield from (Row(name, "unverified", why) for name, why in OTHERS.items() if not chosen or name in chosen)


def rows_of(base: Path, mount: Path, name: str, script: Path, packages: tuple[str, ...]) -> Generator[Row]:
    """`script` writes adapters, each with its tokens, in an environment with these packages."""
    try:
        written = written_by(environment(name, packages), script, base, mount / "models")
    except subprocess.CalledProcessError as error:
        yield Row(name, "unverified", f"does not install or run here: {last_line(error.stderr)}")
        return
    shutil.copytree(base, mount / "model-cache" / "acme" / "tiny")
    yield from judged(mount, written["writer"], written["tokens"])


def judged(mount: Path, name: str, written: Mapping[str, list[list[int]]]) -> Generator[Row]:
    with loaded(mount) as served:
        refused, taken = served.adapters.refused, served.adapters.installed
        if more := sorted(taken.keys() - written.keys()):
            yield Row(f"{name}, its checkpoints", "RED", f"served beside their result: {', '.join(more)}")
        for variant, tokens in written.items():
            expected = REFUSED.get(variant) or REFUSED.get(f"{variant} of {name}") or ""
            if expected or variant not in taken:
                said = refused.get(variant, "served")
                right = bool(expected) and expected in said
                yield Row(
                    f"{name}, {variant}", "ok" if right else "RED", f"refused: {said}" if variant in refused else said
                )
                continue
            said = answers(served, [Asked(prompt, variant) for prompt in prompts()], TOKENS)
            right = said == tokens
            told = f"{served.engine.kind} engine: {'the' if right else 'other'} tokens {'of' if right else 'than'} its writer"
            yield Row(f"{name}, {variant}", "ok" if right else "RED", told)


def environment(name: str, packages: tuple[str, ...]) -> Path:
    """Its Python, made once; without packages of its own the model server's."""
    image = image_for(shipped_requirements(), os.environ).python
    if not packages:
        return image
    place = MADE / name.replace(" ", "-")
    python, done = place / "bin" / "python", place / ".made"
    wanted = "\n".join([*packages, str(image)])
    if done.exists() and done.read_text() == wanted:
        return python
    ran([str(image), "-m", "venv", "--clear", "--without-pip", str(place)])
    own = next((place / "lib").glob("python3*/site-packages"))
    seen = ran([str(image), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    (own / "zz_image.pth").write_text(f"{seen}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    ran([*pip, "--no-deps", *packages])
    done.write_text(wanted)
    return python


def written_by(python: Path, script: Path, base: Path, out: Path) -> dict[str, Any]:
    out.mkdir(parents=True)
    ran([str(python), str(script), str(base), str(out), json.dumps(prompts()), str(TOKENS)])
    return json.loads((out / "written.json").read_text())


def ran(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout


def last_line(said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[-1][:200] if lines else "it says nothing"
