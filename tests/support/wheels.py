"""Small wheels as a package index hands them out, and archives of them as a Deploy makes them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sidecar.core.releases import Packages
from sidecar.core.wheels import made


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], *, tag: str = "py3-none-any") -> Path:
    """`files`: by their place in the wheel; those of `<name>-<version>.data/` and `.dist-info/` by these names. One whose text
    begins with `#!` may be run."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-{version}.dist-info"
    whole = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    file = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in whole.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = (0o755 if text.startswith("#!") else 0o644) << 16
            archive.writestr(info, text)
        archive.writestr(
            zipfile.ZipInfo(f"{about}/RECORD"), "".join(f"{path},,\n" for path in whole) + f"{about}/RECORD,,\n"
        )
    return file


def pinned(file: Path) -> str:
    """The line of a lock that names this wheel."""
    name, version = file.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def packages(cache: Path, wheels: Path, requirements: str = "", *, complete: bool = False) -> Packages:
    """An archive of the wheels in a folder, as a release names it."""
    archive = made(cache, hashlib.sha256(str(wheels).encode()).hexdigest(), wheels)
    return Packages(archive.digest, archive.size, "key", requirements, complete, file=archive.file)
