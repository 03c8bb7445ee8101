"""The user's folder as typed values: configuration and parameters, read strictly, written atomically."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.deployment import VaultSecret
from sidecar.core.jsonedit import strict, with_values
from sidecar.core.parameter_forms import is_placeholder, place_of, refused, wrong_form
from sidecar.core.textfile import read_text
from sidecar.words.errors import WorkspaceError
from sidecar.words.text import Text

CONFIG_KEYS = (
    "SUBSCRIPTION_ID",
    "RESOURCE_GROUP_NAME",
    "STORAGE_ACCOUNT_NAME",
    "FILE_SHARE_NAME",
    "ACA_APP_NAME",
    "ACA_APP_ENDPOINT",
)
"""The documented keys of infra/inference.config.json, in their order."""


class _Config(BaseModel):
    """Fine-tuning's and inference's own keys; others are somebody else's and left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


_M = TypeVar("_M", bound=_Config)


class InferenceConfig(_Config):
    SUBSCRIPTION_ID: str | None = None
    RESOURCE_GROUP_NAME: str | None = None
    STORAGE_ACCOUNT_NAME: str | None = None
    FILE_SHARE_NAME: str | None = None
    ACA_APP_NAME: str | None = None
    ACA_APP_ENDPOINT: str | None = None


class FinetuningConfig(_Config):
    SUBSCRIPTION_ID: str | None = None
    RESOURCE_GROUP_NAME: str | None = None
    STORAGE_ACCOUNT_NAME: str | None = None
    FILE_SHARE_NAME: str | None = None
    ACA_JOB_NAME: str | None = None


@dataclass(frozen=True)
class Target:
    """A complete inference.config: where the endpoint lives."""

    subscription_id: str
    resource_group: str
    storage_account: str
    file_share: str
    app: str
    endpoint: str


@dataclass(frozen=True)
class Workspace:
    """`parameters`: the one file that states them, where a person names it."""

    folder: Path
    parameters: Path | None = None

    @property
    def infra(self) -> Path:
        return self.folder / "infra"

    @property
    def code(self) -> Path:
        return self.folder / "inference"

    @property
    def config_file(self) -> Path:
        return self.infra / "inference.config.json"

    @property
    def bicep_file(self) -> Path:
        return self.infra / "provision" / "inference.bicep"

    @property
    def template_file(self) -> Path:
        return self.infra / "provision" / "inference.json"

    @property
    def parameters_file(self) -> Path:
        return self.infra / "provision" / "inference.parameters.json"


def open_workspace(folder: str | Path, parameters: str | None = None) -> Workspace:
    """`parameters`: a file, from the folder."""
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise WorkspaceError(
            Text("{folder} is not a folder.", folder=folder), Text("Open the project's folder and try again.")
        )
    if not path.is_dir():
        raise WorkspaceError(
            Text("The folder {folder} does not exist.", folder=folder), Text("Open the project's folder and try again.")
        )
    if not parameters:
        return Workspace(path.resolve())
    named = path.resolve() / Path(parameters).expanduser()
    if not named.is_file():
        raise WorkspaceError(
            Text("There is no parameters file {file}.", file=named),
            Text("Name another one (setting slipway.parameters, --parameters), or none."),
            code="ParametersMissing",
        )
    return Workspace(path.resolve(), named)


def read_config(workspace: Workspace) -> InferenceConfig:
    """infra/inference.config.json, or six nulls when there is none."""
    return _read_model(workspace, workspace.config_file, InferenceConfig)


def read_finetuning(workspace: Workspace) -> FinetuningConfig:
    return _read_model(workspace, workspace.infra / "finetuning.config.json", FinetuningConfig)


def target_of(workspace: Workspace) -> Target:
    """The endpoint's place, from the six keys alone. Raises WorkspaceError that names the missing ones."""
    config = read_config(workspace)
    missing = [key for key in CONFIG_KEYS if not getattr(config, key)]
    if missing:
        raise WorkspaceError(
            Text(
                "{file} has no value for {keys}.",
                file=shown(workspace, workspace.config_file),
                keys=", ".join(missing),
            ),
            Text("Run AI Toolkit: Provision Azure Container Apps for inference, or fill the keys in by hand."),
            code="NotProvisioned",
        )
    values = [cast("str", getattr(config, key)) for key in CONFIG_KEYS]
    return Target(*values)


def write_config(workspace: Workspace, outputs: dict[str, str]) -> None:
    """Writes the six keys at once; other keys and comments stay. `outputs`: names in any casing, as ARM mangles them."""
    by_name = {name.upper(): value for name, value in outputs.items()}
    missing = [key for key in CONFIG_KEYS if not by_name.get(key)]
    if missing:
        raise WorkspaceError(
            Text("The deployment's outputs lack {keys}; the configuration was left as it is.", keys=", ".join(missing)),
            Text("Compare the outputs at the end of infra/provision/inference.bicep with the shipped file."),
            code="OutputsMissing",
        )
    _change(workspace, workspace.config_file, {key: by_name[key] for key in CONFIG_KEYS})


def empty_config(workspace: Workspace, keys: Collection[str]) -> None:
    """Nulls in place of what holds no more; everything else of the file stays."""
    if not workspace.config_file.exists():
        return
    known = _read_object(workspace, workspace.config_file)
    _change(workspace, workspace.config_file, {key: None for key in keys if key in known})


def known_project_id(workspace: Workspace) -> str | None:
    """This project's id, kept beside the template: it marks the app, so that two projects can't mix theirs."""
    file = workspace.infra / "slipway.json"
    known = _read_object(workspace, file).get("projectId") if file.exists() else None
    return known if isinstance(known, str) and known else None


def known_made(workspace: Workspace) -> tuple[str, ...]:
    """Ids of what this project's earlier deployments have made, as far as ARM's own record of them was about to be replaced."""
    file = workspace.infra / "slipway.json"
    known = _read_object(workspace, file).get("made") if file.exists() else None
    return tuple(str(each) for each in cast("list[object]", known)) if isinstance(known, list) else ()


def keep_made(workspace: Workspace, made: Collection[str]) -> None:
    """Adds to them; other keys are kept."""
    known = known_made(workspace)
    every = [*known, *(each for each in made if each not in known)]
    if len(every) > len(known):
        file = workspace.infra / "slipway.json"
        _change(workspace, file, {"made": every})


def keep_project_id(workspace: Workspace, project: str) -> None:
    """Writes the id where it is not known yet, other keys kept. To be committed: a clone without it is another project."""
    file = workspace.infra / "slipway.json"
    if known_project_id(workspace) is None:
        _change(workspace, file, {"projectId": project})


def _change(workspace: Workspace, file: Path, values: Mapping[str, object]) -> None:
    """Whole or not at all; what a person wrote beside these values stays. Raises WorkspaceError where it is no JSON."""
    if not file.exists():
        write_atomically(file, json.dumps(dict(values), indent=2, ensure_ascii=False) + "\n")
        return
    _read_object(workspace, file)
    write_atomically(file, with_values(read_text(file, shown(workspace, file)), values))


def write_atomically(file: Path, text: str) -> None:
    """The file holds the old text or the new, never a part: written beside it, flushed, renamed into place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def finetuning_parameter_files(workspace: Workspace) -> list[Path]:
    places = [workspace.infra / "provision", workspace.infra]
    return [file for place in places if (file := place / "finetuning.parameters.json").exists()]


def parameters_of(workspace: Workspace, file: Path) -> dict[str, object]:
    """Of a JSON file: values, and a VaultSecret for a reference to a key vault. Raises WorkspaceError, with places."""
    document = _read_object(workspace, file)
    parameters = document.get("parameters")
    if not isinstance(parameters, dict):
        raise WorkspaceError(
            Text("{file} has no object named parameters.", file=shown(workspace, file)),
            Text("An ARM parameters file has an object parameters; each entry in it is an object with a value."),
        )
    entries = cast("dict[str, object]", parameters)
    wrong = [(name, *found) for name, entry in entries.items() if (found := wrong_form(name, entry)) is not None]
    if wrong:
        raise _misstated(workspace, file, wrong)
    return {name: _value_of(workspace, file, name, cast("dict[str, object]", entry)) for name, entry in entries.items()}


def _value_of(workspace: Workspace, file: Path, name: str, entry: dict[str, object]) -> object:
    if "reference" not in entry:
        return entry["value"]
    line, _ = place_of(strict(read_text(file, shown(workspace, file))), name)
    return VaultSecret(cast("dict[str, object]", entry["reference"]), f"{shown(workspace, file)}:{line}")


def _read_model(workspace: Workspace, file: Path, model: type[_M]) -> _M:
    if not file.exists():
        return model()
    document = _read_object(workspace, file)
    for key, value in document.items():
        if isinstance(value, str) and is_placeholder(value):
            sentence = Text("{value} is a placeholder: write the real value.", value=value)
            raise _misstated(workspace, file, [(key, "Placeholder", sentence)])
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        sentence = Text("{key} must be a string or null.", key=key)
        raise _misstated(workspace, file, [(key, "WorkspaceError", sentence)]) from error


def _read_object(workspace: Workspace, file: Path) -> dict[str, object]:
    text = read_text(file, shown(workspace, file))
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().rstrip(",") == "...":
            raise WorkspaceError(
                Text(
                    "{file}, line {line}: “...” stands for lines left out of an example.",
                    file=shown(workspace, file),
                    line=number,
                ),
                Text("Take the line out, or write what belongs there."),
                code="Placeholder",
            )
    try:
        document = json.loads(strict(text))
    except json.JSONDecodeError as error:
        raise WorkspaceError(
            Text("{file}, line {line}: {problem}", file=shown(workspace, file), line=error.lineno, problem=error.msg),
            Text("Correct the JSON and try again; nothing was changed."),
            code="InvalidJson",
        ) from error
    if not isinstance(document, dict):
        raise WorkspaceError(Text("{file} must hold a JSON object.", file=shown(workspace, file)), code="InvalidJson")
    return cast("dict[str, object]", document)


def _misstated(workspace: Workspace, file: Path, found: list[tuple[str, str, Text]]) -> WorkspaceError:
    name = shown(workspace, file)
    return refused(file, name, strict(read_text(file, name)), found)


def shown(workspace: Workspace, file: Path) -> str:
    return file.relative_to(workspace.folder).as_posix() if file.is_relative_to(workspace.folder) else str(file)
