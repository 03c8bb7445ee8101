"""Whatever can drift, checked: generated files, the compiled template, names in documents, locks. `--write` regenerates,
snapshots too, which tests compare."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from sidecar import __version__
from sidecar.core.schemas import FILES, schemas
from sidecar.core.stamp import stamped
from sidecar.core.workspace import CONFIG_KEYS
from sidecar.decisions.upgrade import digest_of
from sidecar.wire.typescript import typescript
from sidecar.words.names import CLOUDS, PHASES
from tests import lock, manual
from tests.support import fates, snapshots
from tests.support.bicep_text import compile_bicep

ROOT = Path(__file__).resolve().parents[1]
BICEP = ROOT / "infra" / "provision" / "inference.bicep"
START_FOLDER = ROOT / "infra" / "provision"
START_FILES = ("streams", "releases", "packages", "server_process", "course", "container", "exchange", "bootstrap")
"""The container's start, each file after those that it imports: the container gets one text."""
BOOTSTRAP_BEGIN = "var bootstrap = '''\n"
COMPILED = ROOT / "infra" / "provision" / "inference.json"
PARAMETERS = ROOT / "infra" / "provision" / "inference.parameters.json"
UPGRADE = ROOT / "sidecar" / "decisions" / "upgrade.py"
TYPESCRIPT = ROOT / "extension" / "protocol.ts"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
MOST_LINES = 120
BASE = "2b04a2e"  # the last commit before subjects had a length
LONGEST = 72
LOCKS = (
    "sidecar/requirements.txt",
    "inference/requirements.txt",
    "inference/requirements.lock",
    "tests/requirements.txt",
    "package-lock.json",
)


def problems() -> list[str]:
    found: list[str] = []
    if TYPESCRIPT.read_text(encoding="utf-8") != typescript():
        found.append("extension/protocol.ts is not what sidecar/wire/protocol.py makes: npm run fix")
    found += schema_problems()
    bicep = BICEP.read_text(encoding="utf-8")
    if bicep != with_bootstrap(bicep):
        found.append("infra/provision/inference.bicep does not hold the container's start as it is: npm run fix")
    if COMPILED.read_text(encoding="utf-8") != compiled():
        found.append("infra/provision/inference.json is not what inference.bicep compiles to: npm run fix")
    page = manual.PAGE.read_text(encoding="utf-8")
    if manual.with_tables(page) != page:
        found.append("extension/README.md does not list commands and settings as they are: npm run fix")
    found += (
        start_problems(UPGRADE.read_text(encoding="utf-8"), container_start())
        + template_problems()
        + architecture_problems()
        + lock_problems()
        + lock.problems()
        + package_problems()
        + name_problems()
        + fates.problems()
        + subject_problems()
    )
    return found


def schema_problems() -> list[str]:
    """The schemas that the extension brings are those of the models, and contributed for the files that they are for."""
    found = [
        f"extension/schemas/{file.name} is not what sidecar/core/schemas.py makes: npm run fix"
        for file, text in schema_files().items()
        if not file.exists() or file.read_text(encoding="utf-8") != text
    ]
    contributed = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["contributes"]["jsonValidation"]
    said = {Path(each["url"]).stem: tuple(each["fileMatch"]) for each in contributed}
    return (
        found
        if said == dict(FILES)
        else [*found, "package.json's jsonValidation is not FILES of sidecar/core/schemas.py"]
    )


def schema_files() -> dict[Path, str]:
    return {
        ROOT / "extension" / "schemas" / f"{name}.json": json.dumps(schema, indent=2) + "\n"
        for name, schema in schemas().items()
    }


def container_start() -> str:
    """The files of the container's start as one: the last one's docstring, what they import of the standard library, then each
    file's own lines in order."""
    texts = {name: (START_FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in START_FILES}
    imports: set[str] = set()
    bodies: list[str] = []
    head = ""
    names: list[str] = []
    for name, text in texts.items():
        tree = ast.parse(text)
        lines = text.splitlines()
        top = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
        own = [each for each in top if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("infra.")]
        imports |= {ast.unparse(each) for each in top if each not in own}
        head = "\n".join(lines[: tree.body[0].end_lineno])
        said = ast.get_docstring(tree) or ""
        title = [] if name == START_FILES[-1] else [f"# {name}.py: {said.splitlines()[0]}"]
        bodies.append("\n".join([*title, *lines[top[-1].end_lineno :]]).strip("\n"))
        names += [
            each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        ]
        names += [
            each.id
            for one in tree.body
            if isinstance(one, ast.Assign)
            for each in one.targets
            if isinstance(each, ast.Name)
        ]
    twice = {each for each in names if names.count(each) > 1}
    assert not twice, f"two files of the container's start define {twice}"
    future = "from __future__ import annotations"
    listed = "\n".join(sorted(imports - {future}, key=lambda each: (each.startswith("from"), each)))
    return f"{head}\n\n{future}\n\n{listed}\n\n\n" + "\n\n\n".join(bodies) + "\n"


def with_bootstrap(bicep: str) -> str:
    """inference.bicep with the container's start in it: ARM takes one file."""
    code = container_start()
    assert "'''" not in code, "Bicep would take it for the end of the text"
    start = bicep.index(BOOTSTRAP_BEGIN) + len(BOOTSTRAP_BEGIN)
    return bicep[:start] + code + bicep[bicep.index("'''", start) :]


def compiled() -> str:
    source = BICEP.read_text(encoding="utf-8")
    return json.dumps(stamped(compile_bicep(source), source), indent=2, ensure_ascii=False) + "\n"


def start_problems(upgrade: str, bootstrap: str) -> list[str]:
    """An app with the start before this one is known by its digest only: a changed start must leave it behind."""
    present, older = starts_in(upgrade)
    if present == digest_of(bootstrap) and present not in older:
        return []
    return [
        "sidecar/decisions/upgrade.py does not know the container's start as it is, or calls it an older one: npm run fix"
    ]


def starts_in(upgrade: str) -> tuple[str, list[str]]:
    """The digests in the text of upgrade.py: of the present start, and of those before."""
    (present,) = re.findall(r'^PRESENT_START = "(\w{64})"$', upgrade, flags=re.MULTILINE)
    return present, re.findall(r'^ +"(\w{64})",$', upgrade, flags=re.MULTILINE)


def with_start(upgrade: str, bootstrap: str, replaced: str) -> str:
    """upgrade.py with this start as the present one, and the one that it replaces among the older."""
    present, older = starts_in(upgrade)
    now = digest_of(bootstrap)
    kept = [each for each in dict.fromkeys((*older, replaced)) if each != now]
    listed = "".join(f'        "{each}",\n' for each in kept)
    changed = upgrade.replace(f'PRESENT_START = "{present}"', f'PRESENT_START = "{now}"')
    return changed.replace("".join(f'        "{each}",\n' for each in older), listed)


def committed_start() -> str:
    """The start as it was last committed: what was tried since then was in no template. Without history, what is written."""
    name = UPGRADE.relative_to(ROOT).as_posix()
    done = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, text=True, check=False)
    known = done.returncode == 0 and "PRESENT_START" in done.stdout
    return starts_in(done.stdout if known else UPGRADE.read_text(encoding="utf-8"))[0]


def template_problems() -> list[str]:
    template = json.loads(COMPILED.read_text(encoding="utf-8"))
    shipped = json.loads(PARAMETERS.read_text(encoding="utf-8"))["parameters"]
    config = json.loads((ROOT / "infra" / "inference.config.json").read_text(encoding="utf-8"))
    found: list[str] = []
    if tuple(template["outputs"]) != CONFIG_KEYS or tuple(config) != CONFIG_KEYS:
        found.append(
            "the template's outputs, infra/inference.config.json and sidecar/core/workspace.py name different keys"
        )
    unknown = sorted(set(shipped) - set(template["parameters"]))
    if unknown:
        found.append(f"the shipped parameters file states {unknown}, which the template does not have")
    commands = shipped["defaultCommands"]["value"]
    if commands != template["parameters"]["defaultCommands"]["defaultValue"]:
        found.append("defaultCommands in the shipped parameters file differ from the template's default")
    return found


def architecture_problems() -> list[str]:
    """The page stays one page, and every file and folder that it names exists."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:sidecar|inference|extension|infra|tests)/[\w./-]*)`", text))
    found = [
        f"ARCHITECTURE.md names {name}, which does not exist" for name in sorted(named) if not (ROOT / name).exists()
    ]
    if len(text.splitlines()) > MOST_LINES:
        found.append(f"ARCHITECTURE.md has more than {MOST_LINES} lines")
    return found


def subject_problems() -> list[str]:
    """Subjects of commits after BASE; where there is no history (an archive, a shallow clone) there is nothing to look at."""
    command = ["git", "log", "--no-merges", "--format=%h %s", f"{BASE}..HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"commit subjects are not looked at: {done.stderr.strip()}")
        return []
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    return [
        f"commit {number}: the subject is longer than {LONGEST}" for number, _, said in lines if len(said) > LONGEST
    ]


def package_problems() -> list[str]:
    """The wheel asks for what the sidecar's requirements name, and every part has the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "sidecar/requirements.in").read_text(encoding="utf-8").splitlines()
    wanted = [required for line in lines if (required := line.partition("#")[0].strip())]
    found: list[str] = []
    if project["dependencies"] != wanted:
        found.append("pyproject.toml's dependencies are not those of sidecar/requirements.in")
    package = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["version"]
    service = (ROOT / "inference/service.py").read_text(encoding="utf-8")
    served = re.search(r'^VERSION = "(.+)"$', service, flags=re.MULTILINE)
    versions = {
        "package.json": package,
        "sidecar/__init__.py": __version__,
        "inference/service.py": served and served[1],
    }
    if len(set(versions.values())) != 1:
        found.append(f"the parts have different versions: {versions}")
    return found


def name_problems() -> list[str]:
    """Names that stand in several languages: phases on the wire, in server and bootstrap; clouds in the manifest."""
    found: list[str] = []
    service = (ROOT / "inference/service.py").read_text(encoding="utf-8")
    (server,) = re.findall(r"^Phase = Literal\[([^\]]+)\]", service, flags=re.MULTILINE)
    said = re.findall(r'"phase": "([\w-]+)"|say\("phase ([\w-]+)"\)', BICEP.read_text(encoding="utf-8"))
    if {*(word for words in said for word in words if word), *re.findall(r'"([\w-]+)"', server)} != set(PHASES):
        found.append("sidecar/words/names.py's phases are not those of inference/service.py and the bootstrap")
    manifest = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    if manifest["contributes"]["configuration"]["properties"]["slipway.cloud"]["enum"] != list(CLOUDS):
        found.append("package.json's clouds are not those of sidecar/words/names.py")
    return found


def lock_problems() -> list[str]:
    found: list[str] = []
    for name in LOCKS:
        text = (ROOT / name).read_text(encoding="utf-8")
        if re.search(
            r"--(?:extra-)?index-url|--find-links|file:/|https?://[^\s\"]*(?:registry|pypi|files\.pythonhosted)", text
        ):
            found.append(f"{name} carries an index, a link or a path of one machine")
    torch = [
        line
        for line in (ROOT / "inference/requirements.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("torch==")
    ]
    if [line.split()[0] for line in torch] != ["torch==2.13.0"]:
        found.append("inference/requirements.txt must pin torch==2.13.0, without a local version and without a hash")
    return found


def write() -> None:
    upgrade, bootstrap = UPGRADE.read_text(encoding="utf-8"), container_start()
    UPGRADE.write_text(with_start(upgrade, bootstrap, committed_start()), encoding="utf-8")
    BICEP.write_text(with_bootstrap(BICEP.read_text(encoding="utf-8")), encoding="utf-8")
    COMPILED.write_text(compiled(), encoding="utf-8")
    TYPESCRIPT.write_text(typescript(), encoding="utf-8")
    for file, text in schema_files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    fates.README.write_text(fates.with_kept(fates.README.read_text(encoding="utf-8")), encoding="utf-8")
    manual.PAGE.write_text(manual.with_tables(manual.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    snapshots.write()


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        write()
    seen = problems()
    print("\n".join(seen) or "drift: none")
    sys.exit(1 if seen else 0)
