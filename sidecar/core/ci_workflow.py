"""The workflow of GitHub Actions that `slipway ci init` writes: a project's deployment in a pipeline.

What GitHub and its sign-in to Azure make of it nobody here has tried; what it runs itself is tested."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from sidecar import __version__
from sidecar.core.origin import remote_of
from sidecar.core.textfile import read_text
from sidecar.core.workspace import Workspace, write_atomically
from sidecar.words.errors import Conflict, WorkspaceError
from sidecar.words.names import CiFate
from sidecar.words.text import Text

FOLDER = ".github/workflows"
ENVIRONMENT = "slipway"
"""GitHub's: it holds the variables, its reviewers are asked before a run begins, and the credential is for it alone."""

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "api://AzureADTokenExchange"

CREDENTIAL = ".github/slipway-credential.json"
"""Which of GitHub's tokens are the pipeline's own, for Azure's CLI: as a file, since shells differ in how they quote JSON."""

UNKNOWN = "OWNER/REPOSITORY"

CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
PYTHON = "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0"
LOGIN = "azure/login@a457da9ea143d694b1b9c7c869ebb04ebe844ef5 # v2.3.0"
ARTIFACT = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2"
"""Each by its commit: a tag may be moved."""

_PLAIN = re.compile(r"[\w.-][\w. /-]*", re.ASCII)
"""What may stand in the file: GitHub reads patterns and expressions out of other characters."""

_DIGEST = re.compile(r"^# digest: ([0-9a-f]{64})$", re.MULTILINE)
_GITHUB = re.compile(r".*github\.com[:/]([\w.-]+/[\w.-]+?)(\.git)?/?", re.ASCII)


@dataclass(frozen=True)
class Written:
    """`file`: from the repository's top. `repository`: OWNER/NAME on GitHub, where Git tells it."""

    top: Path
    file: str
    fate: CiFate
    repository: str | None


def write_workflow(workspace: Workspace, branch: str) -> Written:
    """Into the repository that the project is in. Raises Conflict, and changes nothing, where the file was edited, or is somebody
    else's."""
    if not workspace.folder.is_dir():
        raise WorkspaceError(
            Text("There is no folder {folder}.", folder=str(workspace.folder)),
            Text("Name the project's folder."),
            code="NoSuchFolder",
        )
    top = _top(workspace.folder)
    inner = "" if top == workspace.folder else workspace.folder.relative_to(top).as_posix()
    for what in (branch, inner or "."):
        if _PLAIN.fullmatch(what) is None:
            raise WorkspaceError(
                Text("{name} can't stand in a workflow: letters, digits, and . _ - / are taken.", name=what),
                Text("Rename the folder, or name another branch by --branch."),
                code="InvalidName",
            )
    name = _name(inner)
    file = f"{FOLDER}/{name}.yml"
    target = top / file
    if not target.parent.resolve().is_relative_to(top.resolve()) or target.is_symlink():
        raise _linked(file)
    wanted, there = workflow(inner, branch, name), target.exists()
    fate: CiFate = "created"
    if there:
        found = read_text(target, file)
        if not is_as_written(found):
            raise Conflict(
                Text("{file} was edited, or is not Slipway's: it is left as it is.", file=file),
                Text("Move it away, then run the command again, and bring your changes into the new one."),
                code="WorkflowEdited",
            )
        fate = "unchanged" if found.replace("\r\n", "\n") == wanted else "replaced"
    repository = repository_of(remote_of(workspace.folder))
    _put_credential(top, repository)
    if fate != "unchanged":
        write_atomically(target, wanted)
    return Written(top, file, fate, repository)


def _put_credential(top: Path, repository: str | None) -> None:
    """One that somebody has edited stays: it may name what nobody here knows."""
    target = top / CREDENTIAL
    if target.is_symlink():
        raise _linked(CREDENTIAL)
    if not target.exists() or read_text(target, CREDENTIAL).replace("\r\n", "\n") == credential(None):
        write_atomically(target, credential(repository))


def credential(repository: str | None) -> str:
    subject = f"repo:{repository or UNKNOWN}:environment:{ENVIRONMENT}"
    said = {"name": "slipway", "issuer": ISSUER, "subject": subject, "audiences": [AUDIENCE]}
    return json.dumps(said, indent=2) + "\n"


def _linked(file: str) -> WorkspaceError:
    return WorkspaceError(
        Text("{path} is a link, or lies behind one that leads out of the project: it is left alone.", path=file),
        Text("Put a plain file or folder there, then try again."),
        code="LinkedFile",
    )


def _name(inner: str) -> str:
    """Of the file, and of what GitHub runs one of at a time: no two folders of a repository share it."""
    if not inner:
        return "slipway"
    told = re.sub(r"[^a-z0-9]+", "-", inner.lower()).strip("-")
    return f"slipway-{told}" if told == inner else f"slipway-{told}-{_digest(inner)[:8]}"


def _top(folder: Path) -> Path:
    """Of the repository; the project's own folder outside of any."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)


def repository_of(remote: str | None) -> str | None:
    found = None if remote is None else _GITHUB.fullmatch(remote)
    return None if found is None else found[1]


def commands(subscription: str | None, group: str | None) -> list[str]:
    """Of Azure's CLI, in the repository's top, as every shell takes them (PowerShell's too): an application that is the pipeline,
    what it may do, and which of GitHub's tokens are its own. What nobody here knows stands in capitals."""
    scope = f"/subscriptions/{subscription or 'SUBSCRIPTION_ID'}/resourceGroups/{group or 'RESOURCE_GROUP'}"
    return [
        "az ad app create --display-name slipway-pipeline --query appId --output tsv",
        "az ad sp create --id APP_ID",
        f"az role assignment create --assignee APP_ID --role Contributor --scope {scope}",
        f"az ad app federated-credential create --id APP_ID --parameters {CREDENTIAL}",
    ]


def is_as_written(text: str) -> bool:
    """Whether nobody has edited it since, whichever Slipway wrote it; how lines end is Git's business."""
    plain = text.replace("\r\n", "\n")
    found = _DIGEST.search(plain)
    return found is not None and found[1] == _digest(_DIGEST.sub("# digest:", plain, count=1))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def workflow(inner: str, branch: str, name: str) -> str:
    """`inner`: the project's folder below the repository's top; empty where it is that itself."""
    text = _WORKFLOW
    below = f"{inner}/" if inner else ""
    for hole, value in (
        ("<VERSION>", __version__),
        ("<NAME>", name),
        ("<BRANCH>", json.dumps(branch)),
        ("<INFRA>", json.dumps(f"{below}infra/**")),
        ("<CODE>", json.dumps(f"{below}inference/**")),
        ("<ITSELF>", json.dumps(f"{FOLDER}/{name}.yml")),
        ("<WHERE>", json.dumps(inner or ".")),
        ("<REPORTS>", f"{below}infra/evaluations/*/report.*"),
        ("<ENVIRONMENT>", ENVIRONMENT),
        ("<CHECKOUT>", CHECKOUT),
        ("<PYTHON>", PYTHON),
        ("<LOGIN>", LOGIN),
        ("<ARTIFACT>", ARTIFACT),
    ):
        text = text.replace(hole, value)
    return text.replace("# digest:", f"# digest: {_digest(text)}", 1)


_SIGN_IN = """\
      - name: Sign in to Azure<AGAIN> (unverified)
        uses: <LOGIN>
        with:
          client-id: ${{ vars.AZURE_CLIENT_ID }}
          tenant-id: ${{ vars.AZURE_TENANT_ID }}
          subscription-id: ${{ vars.AZURE_SUBSCRIPTION_ID }}
"""

_WORKFLOW = """\
# Written by `slipway ci init` of Slipway <VERSION>. It is yours to edit; an edited one is never overwritten.
# digest:
#
# UNVERIFIED: nobody has run this on GitHub, or signed in to Azure by it. What its steps run is tested on Slipway's local cloud.
#
# It needs, in the environment <ENVIRONMENT> (Settings, Environments), and no secret:
#   variables AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP,
#   and SLIPWAY_WHEEL: what pip installs, a wheel's path (from the project's folder) or its address;
# and in Azure an application with a federated credential for that environment: `slipway ci init` says how to make it.
# The reports hold the questions of the data set and the models' answers: whoever may read this repository's runs can read them.
name: <NAME>

on:
  workflow_dispatch:
  push:
    branches: [<BRANCH>]
    paths: [<INFRA>, <CODE>, <ITSELF>]

permissions: {}

concurrency: # one at a time, each to its end
  group: <NAME>
  cancel-in-progress: false

jobs:
  deploy:
    runs-on: ubuntu-24.04
    timeout-minutes: 180
    environment: <ENVIRONMENT>
    permissions:
      contents: read
      id-token: write # the sign-in, and nothing else
    env:
      AZURE_SUBSCRIPTION_ID: ${{ vars.AZURE_SUBSCRIPTION_ID }}
      AZURE_RESOURCE_GROUP: ${{ vars.AZURE_RESOURCE_GROUP }}
      AZURE_CORE_OUTPUT: none
      SLIPWAY_WHEEL: ${{ vars.SLIPWAY_WHEEL }}
    defaults:
      run:
        shell: bash # with pipefail: a step fails where slipway does
        working-directory: <WHERE>
    steps:
      - name: Check out
        uses: <CHECKOUT>
        with:
          persist-credentials: false
      - name: Python
        uses: <PYTHON>
        with:
          python-version: "3.12"
      - name: Install Slipway
        run: |
          mkdir -p "$RUNNER_TEMP/slipway"
          pip install --quiet "${SLIPWAY_WHEEL:?the variable SLIPWAY_WHEEL is not set}"
<SIGN_IN>
      - name: Preflight
        run: slipway preflight | tee "$RUNNER_TEMP/slipway/preflight.txt"
      - name: Plan
        run: slipway plan --output "$RUNNER_TEMP/slipway/plan.json" | tee -a "$GITHUB_STEP_SUMMARY"
      - name: Apply
        run: slipway apply "$RUNNER_TEMP/slipway/plan.json" --yes --json > "$RUNNER_TEMP/slipway/provisioned.json"
      # GitHub's token is good for minutes: before each long step it is fetched anew.
<SIGN_IN_AGAIN>
      - name: Deploy
        run: slipway deploy --yes --json > "$RUNNER_TEMP/slipway/deployed.json"
<SIGN_IN_AGAIN>
      - name: Evaluate
        run: slipway evaluate --yes | tee -a "$GITHUB_STEP_SUMMARY"
      - name: Reports
        if: always()
        uses: <ARTIFACT>
        with:
          name: <NAME>-reports
          path: |
            ${{ runner.temp }}/slipway
            <REPORTS>
          if-no-files-found: ignore
          retention-days: 30
""".replace("<SIGN_IN>\n", _SIGN_IN.replace("<AGAIN>", "")).replace(
    "<SIGN_IN_AGAIN>\n", _SIGN_IN.replace("<AGAIN>", " again")
)
