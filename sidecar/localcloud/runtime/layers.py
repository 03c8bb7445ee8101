"""What a container sees as its file system: a writable layer over the image, and its volumes in place of mount paths."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path


def make_layer(folder: Path, image_python: Path) -> Path:
    """A Python environment in `folder` that sees the image's packages and takes new ones itself; returns its bin folder."""
    binaries = folder / "bin"
    for part in ("bin", "home", "tmp", "work", "volumes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    image = image_python.parent.parent
    image_packages = next((image / "lib").glob("python3*/site-packages"))
    packages = folder / image_packages.relative_to(image)
    packages.mkdir(parents=True, exist_ok=True)
    (packages / "image.pth").write_text(f"import site; site.addsitedir({str(image_packages)!r})\n")
    shutil.copyfile(image / "pyvenv.cfg", folder / "pyvenv.cfg")
    real = image_python.resolve()
    for name in ("python", "python3", real.name):
        if not (binaries / name).exists():
            (binaries / name).symlink_to(real)
    for script in image_python.parent.iterdir():
        if not script.is_symlink() and script.is_file() and not (binaries / script.name).exists():
            _copy_script(script, binaries / script.name, str(image_python.parent), str(binaries))
    return binaries


def _copy_script(script: Path, target: Path, image_binaries: str, binaries: str) -> None:
    """A console script that runs in the layer: the same text with the layer's interpreter in its first line."""
    content = script.read_bytes()
    if content.startswith(b"#!" + image_binaries.encode()):
        target.write_bytes(content.replace(image_binaries.encode(), binaries.encode(), 1))
        target.chmod(0o755)


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
