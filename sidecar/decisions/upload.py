"""What of a folder goes to the share, where it goes, and what of it is there already. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from sidecar.decisions.adapter_check import WEIGHTS as ADAPTER_WEIGHTS
from sidecar.decisions.adapter_names import adapter_names
from sidecar.decisions.base_check import INDEX, WEIGHTS
from sidecar.decisions.models_on_share import ADAPTER_CONFIG, CACHE, NOT_WALKED, Models
from sidecar.decisions.share_names import FORBIDDEN, bad_names
from sidecar.gateway.listed import Listed
from sidecar.words.errors import WorkspaceError
from sidecar.words.names import ModelKind
from sidecar.words.text import Text

CONFIG = "config.json"
SHARDED = 16
"""Files that a base is spread over on request: a share serves several at once, each no faster than one."""

STAYS = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack", ".onnx", ".ot", ".tflite", ".gguf", ".npz", ".py")
"""Files that our server does not read, for they may hold code, or that no safetensors model needs."""

TEMPLATES = "additional_chat_templates"
"""The one folder in a model's that the server reads."""

HASHED = (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    f"{TEMPLATES}/tool_use.jinja",
)
"""What an adapter's answers depend on, in the order in which the server makes its hash of them."""

RECORDS = ".slipway/model_uploads"
"""A folder of the mount: one file for each folder that was uploaded to. No app's name has an underscore. The server looks there
too, and takes a new adapter as soon as it is told of."""

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def kind_of(names: Iterable[str]) -> ModelKind | None:
    known = set(names)
    if ADAPTER_CONFIG in known:
        return "adapter"
    return "base" if CONFIG in known else None


@dataclass(frozen=True)
class Travelling:
    """Names of files. `stays`: those that the server would not read."""

    goes: tuple[str, ...]
    stays: tuple[str, ...]


def travelling(kind: ModelKind, names: Iterable[str], index: Sequence[str] | None) -> Travelling:
    """`index`: the files of weights that a base's index names; None where it has none."""
    weights = {ADAPTER_WEIGHTS} if kind == "adapter" else set(index or (WEIGHTS,))
    goes, stays = list[str](), list[str]()
    for name in sorted(names):
        reads = name in weights if name.endswith(".safetensors") else not name.endswith(STAYS)
        if not name.startswith("."):
            (goes if reads else stays).append(name)
    return Travelling(tuple(goes), tuple(stays))


def suggested_name(kind: ModelKind, folder: Sequence[str], config: Mapping[str, object] | None) -> str | None:
    """What it could be called. `folder`: the names on its path, the last one its own."""
    above = [each for each in folder if each.strip("/\\:")]
    if kind == "adapter":
        plain = [each for each in above if each.lower() != "adapter" and not re.fullmatch(r"checkpoint-\d+", each)]
        return _plain(plain[-1]) if plain else None
    cached = [each for each in above if each.startswith("models--") and each.count("--") >= 2]
    if cached:
        return "/".join(cached[-1].split("--")[1:3])
    if len(above) > 2 and above[-3] == CACHE:
        return "/".join(above[-2:])
    stated = (config or {}).get("_name_or_path")
    return stated if isinstance(stated, str) and HUB_NAME.fullmatch(stated) else None


def _plain(name: str) -> str:
    return "".join("-" if each in FORBIDDEN or each.isspace() else each for each in name).strip("-.") or "adapter"


def place_for(kind: ModelKind, name: str, models: Models) -> str:
    """The folder below the mount: the one whose model has this name, else a new one where such are looked for."""
    wrong = bad_names([name])
    parts = name.split("/")
    if wrong or not all(parts) or any(each.startswith(".") or each in NOT_WALKED for each in parts):
        raise WorkspaceError(
            Text("{name} can't be the name of a model on the share.", name=name),
            Text("Choose another one: letters, digits, - and _, with / between folders."),
            code="BadModelName",
        )
    if kind == "base":
        if len(parts) != 2:
            raise WorkspaceError(
                Text("A base model is called organisation/model; {name} is not.", name=name),
                Text("Give its name as --as organisation/model, as it is published."),
                code="BadModelName",
            )
        return f"{CACHE}/{name}"
    if name in models.bases:
        raise WorkspaceError(
            Text("{name} is the name of a base model on the share: no adapter can have it.", name=name),
            Text("Choose another name for the adapter."),
            code="BadModelName",
        )
    known = {called: folder for folder, called in adapter_names(models.adapters, models.bases).items()}
    return known.get(name, f"models/{name}/adapter")


def adapter_digest(digests: Mapping[str, str]) -> str:
    """As the server makes it. `digests`: sha256 of each file, by name."""
    seen = hashlib.sha256()
    for name in HASHED:
        if name in digests:
            seen.update(name.encode() + bytes.fromhex(digests[name]))
    return seen.hexdigest()


@dataclass(frozen=True)
class Sent:
    """A file as it was put on the share; `stamp` differs once somebody has written to it."""

    size: int
    sha256: str
    stamp: str = ""


@dataclass(frozen=True)
class Upload:
    """The record of an upload: `digest` is what an adapter's hash has to be."""

    folder: str
    kind: ModelKind
    digest: str
    files: Mapping[str, Sent] = field(default_factory=dict[str, Sent])

    def to_json(self) -> bytes:
        files = {name: [each.size, each.sha256, each.stamp] for name, each in sorted(self.files.items())}
        return json.dumps({"folder": self.folder, "kind": self.kind, "digest": self.digest, "files": files}).encode()


def record_path(folder: str) -> str:
    """Of a folder below the mount, whatever the case of its letters: on a share that is one."""
    return f"{RECORDS}/{hashlib.sha256(folder.casefold().encode()).hexdigest()[:16]}.json"


def record_from(content: bytes) -> Mapping[str, Sent]:
    """The files that a record tells of; none where it is damaged: then they are looked at anew."""
    try:
        said: object = json.loads(content)
        files = cast("dict[str, dict[str, list[object]]]", said)["files"]
        return {
            name: Sent(int(cast("int", size)), str(sha256), str(stamp)) for name, (size, sha256, stamp) in files.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


@dataclass(frozen=True)
class Compared:
    """Names of files. `there`: with this content, by the record. `unsure`: of the same size, and no record tells the content.
    `missing`: to be sent. `gone`: to be taken away, since the server would read them beside the new ones. `foreign`: somebody
    else's that would be lost."""

    there: tuple[str, ...]
    unsure: tuple[str, ...]
    missing: tuple[str, ...]
    gone: tuple[str, ...]
    foreign: tuple[str, ...]

    def resolved(self, equal: Iterable[str]) -> Compared:
        """With what was unsure read: `equal` has this content."""
        same = set(equal)
        return Compared(
            tuple(sorted({*self.there, *same})),
            (),
            tuple(sorted({*self.missing, *(each for each in self.unsure if each not in same)})),
            self.gone,
            tuple(sorted({*self.foreign} - same)),
        )


def compared(
    kind: ModelKind, wanted: Mapping[str, Sent], found: Mapping[str, Listed], record: Mapping[str, Sent]
) -> Compared:
    """`found`: what lies in the folder. Of two files of one size the content decides, never the size."""

    def ours(name: str) -> bool:
        known, now = record.get(name), found[name]
        return known is not None and (known.size, known.stamp) == (now.size, now.stamp)

    there = [
        name for name, each in wanted.items() if name in found and ours(name) and record[name].sha256 == each.sha256
    ]
    unsure = [
        name
        for name, each in wanted.items()
        if name in found and name not in there and not ours(name) and found[name].size == each.size
    ]
    missing = [name for name in wanted if name not in (*there, *unsure)]
    gone = [name for name in found if name not in wanted and _is_read(kind, name)]
    foreign = [name for name in (*missing, *unsure, *gone) if name in found and not ours(name)]
    return Compared(*(tuple(sorted(each)) for each in (there, unsure, missing, gone, foreign)))


def _is_read(kind: ModelKind, name: str) -> bool:
    if kind == "adapter":
        return name in HASHED
    return name in (INDEX, "tokenizer.model", *HASHED[2:]) or name.endswith(".safetensors")


def in_order(kind: ModelKind, names: Iterable[str]) -> list[str]:
    """The one by which a model is found comes last: before it nobody looks into the folder."""
    last = ADAPTER_CONFIG if kind == "adapter" else CONFIG
    return sorted(names, key=lambda name: (name == last, name == INDEX, name))
