"""What of the image is linked into a layer: PyTorch at once, the rest when pip in the layer is told to install it.

Standard library only: a layer's `python -m pip` is this file. Fetching some 50 packages at each start would take half a
minute and the network. So what the image holds is linked in place of being fetched, and pip itself then finds it there;
all else, refusing included, is pip's own doing.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

PLAN = "image.json"
PIP_MAIN = "pip/__main__.py"
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\]\s*)?(?:==\s*([\w.+!-]+))?")
_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)\s*==\s*([\w.!-]+)")
_QUIET = {"--quiet", "-q"}
_PLAIN_OPTIONS = _QUIET | {
    "--disable-pip-version-check",
    "--no-input",
    "--break-system-packages",
    "-r",
    "--requirement",
}
_ELSEWHERE = {"--dry-run", "--target", "-t", "--prefix", "--root", "--user", "--help", "-h"}
_YES = {"1", "y", "yes", "t", "true", "on"}


@dataclass(frozen=True)
class Package:
    """One package of the image, and which entries below its site-packages are its own alone."""

    name: str
    version: str
    entries: tuple[str, ...]
    scripts: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Store:
    """The image's packages by their normalized names."""

    image: Path
    packages: Mapping[str, Package]

    def closure(self, names: Iterable[str]) -> list[Package]:
        """These packages with all that they need, as far as the image has them."""
        found: dict[str, Package] = {}
        waiting = [normalized(name) for name in names]
        while waiting:
            name = waiting.pop()
            if name in self.packages and name not in found:
                found[name] = self.packages[name]
                waiting += found[name].needs
        return list(found.values())


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def link(packages: Iterable[Package], image_packages: Path, layer_packages: Path) -> list[Package]:
    """Links those that the layer has in no version yet, and returns them.

    What is recorded as theirs are the links, so that pip removes these where it replaces a package, and nothing of the image."""
    there = {normalized(each.name.split("-")[0]) for each in layer_packages.glob("*.dist-info")}
    new = [package for package in packages if package.name not in there]
    for package in new:
        for entry in package.entries:
            target = layer_packages / entry
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_symlink():
                target.symlink_to(image_packages / entry)
        information = Path(next(entry for entry in package.entries if entry.endswith(".dist-info/METADATA"))).parent
        record = information / "RECORD"
        lines = [f"{entry},,\n" for entry in (*package.entries, record.as_posix())]
        (layer_packages / record).write_text("".join(lines))
    return new


def link_scripts(packages: Iterable[Package], image_binaries: Path, binaries: Path) -> None:
    """Console scripts that run in the layer: the same program, started by the layer's interpreter."""
    for name in (name for package in packages for name in package.scripts):
        script, target = image_binaries / name, binaries / name
        content = script.read_text(errors="replace") if script.is_file() else ""
        if str(image_binaries) in content and content.startswith("#!") and not target.exists():
            lines = content.splitlines(keepends=True)
            write_script(target, "".join(lines[3 if lines[1].startswith("'''exec'") else 1 :]))


def write_script(target: Path, program: str) -> None:
    """In the form that pip gives it where the interpreter's name is too long, or has a space, for a first line."""
    python = target.parent / "python3"
    target.write_text(f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n{program}")
    target.chmod(0o755)


def write_plan(store: Store, folder: Path) -> None:
    plan = {"image": str(store.image), "packages": [asdict(package) for package in store.packages.values()]}
    (folder / PLAN).write_text(json.dumps(plan))


def read_plan(folder: Path) -> Store:
    plan = json.loads((folder / PLAN).read_text())
    lists = ("entries", "scripts", "needs")
    packages = [
        Package(name=each["name"], version=each["version"], **{key: tuple(each[key]) for key in lists})
        for each in plan["packages"]
    ]
    return Store(Path(plan["image"]), {each.name: each for each in packages})


def asked_for(arguments: list[str], store: Store) -> list[str]:
    """The image's packages that `pip install` is asked for by name or file, unless in another version."""
    found = (_REQUIREMENT.match(line.strip()) for line in _lines(arguments))
    asked = [(normalized(each[1]), each[2]) for each in found if each]
    return [
        name
        for name, version in asked
        if name in store.packages and version in (None, store.packages[name].version.partition("+")[0])
    ]


def _lines(arguments: list[str]) -> Iterator[str]:
    rest = iter(arguments)
    for each in rest:
        file = re.fullmatch(r"(?:-r|--requirement=)(.+)", each)
        if each in ("-r", "--requirement"):
            yield from _read(next(rest, ""))
        elif file:
            yield from _read(file[1])
        else:
            yield each


def _read(file: str) -> list[str]:
    return Path(file).read_text().splitlines() if Path(file).is_file() else []  # pip says what is wrong with it


def may_install(arguments: list[str], environ: Mapping[str, str]) -> bool:
    """Whether pip installs into this Python, and does not refuse."""
    allowed = environ.get("PIP_BREAK_SYSTEM_PACKAGES", "").lower() in _YES or "--break-system-packages" in arguments
    return "install" in arguments and allowed and not _ELSEWHERE.intersection(arguments)


def leaves_nothing(arguments: list[str], store: Store, layer_packages: Path) -> bool:
    """Whether pip, asked quietly, would find everything there and say nothing: each thing that is asked for is one of the image's
    packages in its very version, and the layer has all of those with what they need in no other one."""
    if not _QUIET.intersection(arguments) or not set(_options(arguments)) <= _PLAIN_OPTIONS:
        return False
    lines = [line.partition("#")[0].strip() for line in _lines(arguments) if not line.startswith("-")]
    asked = [(line, _PINNED.fullmatch(line.partition(";")[0].strip())) for line in lines if line]
    names = [normalized(found[1]) for _, found in asked if found and _is_held(found[1], found[2], store)]
    if not names or len(names) != len(asked):
        return False
    there = {each.name.removesuffix(".dist-info") for each in layer_packages.glob("*.dist-info")}
    held = {(normalized(each.rpartition("-")[0]), each.rpartition("-")[2]) for each in there}
    return all((each.name, each.version) in held for each in store.closure(names))


def _options(arguments: list[str]) -> Iterator[str]:
    """All that begins with a dash; the file that belongs to `-r` is looked at by its lines."""
    return (each.partition("=")[0] for each in arguments if each.startswith("-"))


def _is_held(name: str, version: str, store: Store) -> bool:
    package = store.packages.get(normalized(name))
    return package is not None and package.version.partition("+")[0] == version


def main() -> int:
    arguments = sys.argv[1:]
    if may_install(arguments, os.environ):
        store = read_plan(Path(sys.prefix))
        asked = arguments[arguments.index("install") + 1 :]
        packages = store.closure(asked_for(asked, store))
        image_packages = next((store.image / "lib").glob("python3*/site-packages"))
        layer_packages = Path(sysconfig.get_path("purelib"))
        new = link(packages, image_packages, layer_packages)
        link_scripts(new, store.image / "bin", Path(sys.executable).parent)
        if leaves_nothing(asked, store, layer_packages):
            return 0
        importlib.invalidate_caches()
    return int(importlib.import_module("pip._internal.cli.main").main())


if __name__ == "__main__":
    sys.path.pop(0)  # as pip itself does: the folder of this file is not one to import from
    sys.exit(main())
