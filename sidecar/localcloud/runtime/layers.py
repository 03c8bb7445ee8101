"""What a container sees as its file system: a writable layer over the image, and its volumes in place of mount paths."""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sidecar.localcloud.runtime.store import link_scripts
from sidecar.localcloud.runtime.system_python import can_be_made, make_system_python, packages_folder_of, packages_of

_PLAIN = re.compile(r"[\w./@%+=:,-]+")


def make_layer(folder: Path, image_python: Path, *, bare: bool = False) -> Path:
    """A Python in `folder` that sees the image's packages and takes new ones itself; returns its bin folder. `bare`: the image
    has PyTorch and pip alone, where a Python can be copied."""
    for part in ("bin", "home", "tmp", "work", "volumes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    if can_be_made():
        make_system_python(folder, image_python, bare=bare)
    else:
        make_environment(folder, image_python)
    return folder / "bin"


def make_environment(folder: Path, image_python: Path) -> None:
    """A virtual environment over the image: where a Python can't be copied. Everything is there at once, pip never refuses."""
    binaries, image = folder / "bin", image_python.parent.parent
    image_packages = packages_folder_of(image)
    packages = folder / image_packages.relative_to(image)
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "image.pth").write_text(f"import site; site.addsitedir({str(image_packages)!r})\n")
    shutil.copyfile(image / "pyvenv.cfg", folder / "pyvenv.cfg")
    real = image_python.resolve()
    for name in ("python", "python3", real.name):
        if not (binaries / name).exists():
            (binaries / name).symlink_to(real)
    link_scripts(packages_of(image).packages.values(), image_python.parent, binaries)


def plain_path(folder: Path) -> Path:
    """The folder under a name that every shell reads as one word: itself, or a link to it where it has spaces and the like.

    A mount path stands in scripts, quoted and unquoted, in variables that scripts compare with it, and in code: no one way of
    quoting fits all of them."""
    if _PLAIN.fullmatch(str(folder)):
        return folder
    links = Path(tempfile.gettempdir(), f"slipway-mounts-{os.getuid()}")
    links.mkdir(mode=0o700, exist_ok=True)
    found = links.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{links} belongs to somebody else: links to mounted folders can't be made there")
    link = links / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with contextlib.suppress(FileExistsError):  # the same name always leads to the same folder
        link.symlink_to(folder)
    return link


def replace_mounts(value: str, mounts: Mapping[str, Path]) -> str:
    """`value` with each mount path, where it stands as a whole path (or leads one), replaced by the folder behind it."""
    for mount in sorted(mounts, key=len, reverse=True):
        whole = re.compile(rf"(?<![\w./-]){re.escape(mount)}(?![\w.-])")
        folder = str(mounts[mount])
        value = whole.sub(lambda _found, folder=folder: folder, value)
    return value


def container_environment(
    own: Mapping[str, str], binaries: Path, machine: Mapping[str, str], mounts: Mapping[str, Path]
) -> dict[str, str]:
    """The variables of a container: a bare Linux one's, what the platform sets, then the template's (mounts replaced)."""
    layer = binaries.parent
    passed = {name: machine[name] for name in ("OMP_NUM_THREADS", "LANG", "LC_ALL", "TZ") if name in machine}
    base = {
        "PATH": os.pathsep.join(
            [str(binaries), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        ),
        "HOME": str(layer / "home"),
        "TMPDIR": str(layer / "tmp"),
        "PYTHONUNBUFFERED": "1",
    }
    return {**base, **passed, **{name: replace_mounts(value, mounts) for name, value in own.items()}}
