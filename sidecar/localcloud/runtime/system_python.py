"""A layer whose Python is as the default image's: its system's own, marked against pip, without ensurepip, with PyTorch."""

import csv
import functools
import importlib.metadata
import re
import shutil
import subprocess
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from sidecar.localcloud.runtime import store
from sidecar.localcloud.runtime.store import Package, Store, normalized

MARKER = "EXTERNALLY-MANAGED"
_MARKER_TEXT = """[externally-managed]
Error=To install Python packages system-wide, try apt install
 python3-xyz, where xyz is the package you are trying to
 install.
"""
_LEFT_OUT = {"ensurepip", "test", "site-packages", "dist-packages", MARKER}
AT_ONCE = ("torch", "pip")
_NEED = re.compile(r"([\w.-]+)\s*(?:\[([^\]]*)\])?(?:.*extra\s*==\s*['\"]([\w.-]+)['\"])?")


def can_be_made() -> bool:
    """A framework's Python (macOS) finds its standard library in the framework, wherever its program is copied to."""
    return not sysconfig.get_config_var("PYTHONFRAMEWORK")


def make_system_python(folder: Path, image_python: Path, *, bare: bool = False) -> None:
    """Puts a prefix of its own into `folder`: no virtual environment, so that pip looks for the marker. `bare`: pip finds nothing
    of the image's but PyTorch, and asks the package index as on Azure."""
    real, binaries, image = image_python.resolve(), folder / "bin", image_python.parent.parent
    for name in ("python3", "python", real.name):
        if not (binaries / name).exists():
            # A link would not do: a Python looks for its standard library beside the program that a link leads to.
            shutil.copy2(real, binaries / name)
    (folder / "lib").mkdir(exist_ok=True)
    for shared in real.parent.parent.glob("lib/libpython*.so*"):
        _link(folder / "lib" / shared.name, shared)
    library = Path(sysconfig.get_path("stdlib"))
    own = folder / library.relative_to(sysconfig.get_config_var("installed_base"))
    own.mkdir(parents=True, exist_ok=True)
    for each in library.iterdir():
        if each.name not in _LEFT_OUT:
            _link(own / each.name, each)
    (own / MARKER).write_text(_MARKER_TEXT)
    held = packages_of(image)
    packages = folder / _packages_folder(binaries / "python3", folder)
    packages.mkdir(parents=True, exist_ok=True)
    new = store.link(held.closure(AT_ONCE), packages_folder_of(image), packages)
    store.link_scripts(new, image / "bin", binaries)
    if bare:
        return
    if any(each.name == "pip" for each in new):
        (packages / store.PIP_MAIN).unlink()
        (packages / store.PIP_MAIN).symlink_to(Path(store.__file__).resolve())
        for script in binaries.glob("pip*"):
            store.write_script(script, "import runpy\nrunpy.run_module('pip', run_name='__main__', alter_sys=True)\n")
    store.write_plan(held, folder)


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


_known: dict[Path, Path] = {}


def _packages_folder(python: Path, folder: Path) -> Path:
    """Where pip installs, below the prefix: Debian's Pythons have a place of their own for it. The same in every layer."""
    real = Path(sysconfig.get_path("stdlib"))
    if real not in _known:
        program = "import sysconfig; print(sysconfig.get_path('purelib'))"
        asked = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True)
        _known[real] = Path(asked.stdout.strip()).relative_to(folder)
    return _known[real]


def packages_folder_of(image: Path) -> Path:
    return next((image / "lib").glob("python3*/site-packages"))


@functools.cache
def packages_of(image: Path) -> Store:
    """What the image holds; read once, since an image never changes."""
    found = list(importlib.metadata.distributions(path=[str(packages_folder_of(image))]))
    records = {normalized(each.name): _recorded(each) for each in found}
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for name, files in records.items():
        for folder in {_folder_of(file) for file in files}:
            for above in _from_the_top(folder):
                owners[above].add(name)
    requirements = {normalized(each.name): each.requires or [] for each in found}
    packages = [_package(each, records[normalized(each.name)], owners, requirements) for each in found]
    return Store(image, {each.name: each for each in packages})


def _recorded(distribution: importlib.metadata.Distribution) -> list[str]:
    record = (distribution.read_text("RECORD") or "").splitlines()
    return [row[0] for row in csv.reader(record) if row]


def _package(
    distribution: importlib.metadata.Distribution,
    files: list[str],
    owners: Mapping[str, set[str]],
    requirements: dict[str, list[str]],
) -> Package:
    entries: dict[str, None] = {}
    scripts: list[str] = []
    known: dict[str, str | None] = {}  # of ten thousands of files in some hundred folders
    for file in files:
        folder, _, name = file.rpartition("/")
        if file.startswith("../"):
            scripts += [name] if folder.endswith("/bin") else []
        elif name != "RECORD" or not folder.endswith(".dist-info"):
            if folder not in known:
                known[folder] = _own(folder, owners)
            entries[known[folder] or file] = None
    name = normalized(distribution.name)
    return Package(name, distribution.version, tuple(entries), tuple(scripts), tuple(_needs(name, requirements)))


def _own(folder: str, owners: Mapping[str, set[str]]) -> str | None:
    """The highest folder, from this one up, that holds nothing of another package; None where there is none.

    The metadata's folder, and pip's own, stay folders: something in them is the layer's."""
    for above in _from_the_top(folder):
        top = above.partition("/")[0]
        if len(owners[above]) == 1 and top != "pip" and not top.endswith(".dist-info"):
            return above
        if top == "pip" and "/" in above:
            return above
    return None


def _folder_of(file: str) -> str:
    return file.rpartition("/")[0]


def _from_the_top(folder: str) -> list[str]:
    """`a/b/c` → `a`, `a/b`, `a/b/c`."""
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _needs(name: str, requirements: dict[str, list[str]]) -> Iterator[str]:
    """What a package needs without extras, and what the extras need that it names of others."""
    for line in requirements[name]:
        found = _NEED.match(line)
        if found is None or found[3]:
            continue
        needed = normalized(found[1])
        yield needed
        wanted = {normalized(extra) for extra in (found[2] or "").split(",") if extra.strip()}
        for other in requirements.get(needed, []):
            optional = _NEED.match(other)
            if optional and optional[3] and normalized(optional[3].strip()) in wanted:
                yield normalized(optional[1])
