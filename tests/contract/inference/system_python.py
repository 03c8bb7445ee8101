"""SystemPython: a Python to throw away that is as the default image's: managed by its system, refused to pip, PyTorch in it."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import parse

MARKER_NAME = "EXTERNALLY-MANAGED"
MARKER = "[externally-managed]\nError=This stands in for a Python that apt installed: use apt install python3-xyz.\n"
NOT_LINKED = {"ensurepip", "test", "site-packages", "dist-packages", MARKER_NAME}
INDEX_SETTING = re.compile(
    "(extra-)?index-url|find-links|no-index|trusted-host|keyring-provider|(client-)?cert|proxy|(default-)?timeout|retries"
)
NETWORK_VARIABLE = re.compile("(https?|all|no)_proxy|ssl_cert_(file|dir)|(requests|curl)_ca_bundle", re.IGNORECASE)
HEADERS = ("torch", "include")  # two thirds of PyTorch's files, for compilers
PIP_THAT_CAN_BE_ALLOWED = "23.0.1"  # 23.0 refuses whatever it is told, older ones install wherever they are asked to


@dataclass(frozen=True)
class SystemPython:
    """The prefix, which is no virtual environment, and the variables of a container that has it as its `python3`."""

    folder: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["python3", *arguments], env=self.environ, cwd=self.folder, capture_output=True, text=True, check=False
        )

    def says(self, program: str) -> str:
        done = self.run("-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def packages(self) -> Path:
        """Where pip installs: Debian's Pythons have a place of their own for it."""
        return Path(self.says("import sysconfig; print(sysconfig.get_path('purelib'))"))


def hindrance() -> str | None:
    """Why the Python that runs this cannot be made into one."""
    if sysconfig.get_config_var("PYTHONFRAMEWORK"):
        return "a framework's Python finds its standard library in the framework, wherever its program is copied to"
    if parse(version("pip")) < parse(PIP_THAT_CAN_BE_ALLOWED):
        return f"pip {version('pip')} came with this Python, which is older than PIP_BREAK_SYSTEM_PACKAGES"
    return None


def make_system_python(folder: Path) -> SystemPython:
    """A copy of the interpreter that runs this; the standard library, pip, PyTorch and what that needs as links.

    Each file is a link of its own: what pip removes or replaces is removed or replaced here only."""
    for name in ("bin", "lib", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    # A link would not do: a Python looks for its standard library beside the program that a link leads to.
    shutil.copy2(Path(sys.executable).resolve(), folder / "bin" / "python3")
    for shared in shared_libraries():
        (folder / "lib" / shared.name).symlink_to(shared)
    library = Path(sysconfig.get_path("stdlib"))
    own_library = folder / library.relative_to(sys.base_prefix)
    link_tree(library, own_library)
    (own_library / MARKER_NAME).write_text(MARKER)
    python = SystemPython(folder, bare_environment(folder))
    packages = python.packages
    for each in [distribution("pip"), *pytorch()]:
        link_distribution(each, packages)
    return python


def shared_libraries() -> list[Path]:
    """libpython, for an interpreter that was built to load it."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return []
    library = Path(str(sysconfig.get_config_var("LIBDIR")), str(sysconfig.get_config_var("INSTSONAME")))
    return [library] if library.exists() else []  # Debian's interpreter has it built in, whatever the variable says


def link_tree(source: Path, target: Path) -> None:
    for place, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in NOT_LINKED]
        here = target / Path(place).relative_to(source)
        here.mkdir(parents=True, exist_ok=True)
        for name in files:
            if name not in NOT_LINKED:
                (here / name).symlink_to(Path(place, name))


def link_distribution(installed: Distribution, packages: Path) -> None:
    """The package and its metadata; not its scripts and manual pages, which lie elsewhere."""
    assert installed.files, f"{installed.name} does not say which files are its own"
    for file in installed.files:
        source = Path(str(installed.locate_file(file)))
        elsewhere = ".." in file.parts or file.parts[:2] == HEADERS
        if not elsewhere and source.exists():  # byte code that is listed need not have been written
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)


def pytorch() -> Iterator[Distribution]:
    """PyTorch in the model server's environment, and what its metadata says that it needs."""
    home = str(distribution("torch").locate_file(""))
    wanted, seen = [("torch", "")], set[tuple[str, str]]()
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in seen:
            continue
        found = next(iter(Distribution.discover(name=name, path=[home])), None)
        assert found is not None, f"PyTorch needs {name}, which is not in {home}"
        if all(name != other for other, _ in seen):
            yield found
        seen.add((name, extra))
        for line in found.requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                wanted += [(needed.name, each) for each in ("", *needed.extras)]


def bare_environment(folder: Path) -> dict[str, str]:
    """A container's variables: nothing of this machine but the way to the package index."""
    return {
        "PATH": f"{folder / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        **{name: value for name, value in os.environ.items() if NETWORK_VARIABLE.fullmatch(name)},
        **index_settings(),
    }


def index_settings() -> dict[str, str]:
    """What pip's files and variables say here of where packages come from, and where those that were fetched are kept."""
    settings = {"PIP_CONFIG_FILE": os.devnull}  # nothing else of the files: one may allow what the image refuses
    listed = ask_pip("config", "list")
    assert listed.returncode == 0, listed.stderr
    for section in ("global.", "install.", ":env:."):  # as with pip, the later one wins
        for line in listed.stdout.splitlines():
            name, _, value = line.removeprefix(section).partition("=")
            if line.startswith(section) and INDEX_SETTING.fullmatch(name):
                settings[f"PIP_{name.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    cache = ask_pip("cache", "dir")
    if cache.returncode == 0:  # pip says no where a person wants no cache
        settings["PIP_CACHE_DIR"] = cache.stdout.strip()
    return settings


def ask_pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
