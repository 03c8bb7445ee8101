"""A container's layer over the image: whatever Python there is, the image's packages and scripts are found in it."""

import subprocess
from pathlib import Path

import pytest

from sidecar.localcloud.runtime.layers import make_environment
from sidecar.localcloud.runtime.store import Package, Store, asked_for, leaves_nothing, link, may_install
from sidecar.localcloud.runtime.system_python import packages_of


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Three packages: two that share a folder, and one that needs an extra of the first."""
    python = tmp_path / "an image" / "bin" / "python3"
    subprocess.run(["python3", "-m", "venv", "--without-pip", python.parent.parent], check=True)
    packages = next(python.parent.parent.glob("lib/python3*/site-packages"))
    for name, requires, files in [
        ("Big_One", ["small>=1; extra == 'more'", "absent"], ["shared/big/__init__.py", "../../../bin/big"]),
        ("small", [], ["shared/small/__init__.py", "small.py"]),
        ("user", ["Big.One[More]", "other; extra == 'x'"], ["user/__init__.py", "user/part/__init__.py"]),
    ]:
        information = packages / f"{name}-1.0.dist-info"
        information.mkdir()
        needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        for file in files:
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            (packages / file).write_text(f"#!{python}\nprint('ran')\n" if ".." in file else "")
        recorded = [*files, f"{information.name}/METADATA", f"{information.name}/RECORD"]
        (information / "RECORD").write_text("".join(f"{each},,\n" for each in recorded))
    (python.parent / "big").chmod(0o755)
    return python.parent.parent


def test_a_package_is_linked_by_the_highest_folder_that_is_its_own(image: Path):
    held = packages_of(image).packages
    assert set(held["big-one"].entries) == {"shared/big", "Big_One-1.0.dist-info/METADATA"}
    assert set(held["small"].entries) == {"shared/small", "small.py", "small-1.0.dist-info/METADATA"}
    assert set(held["user"].entries) == {"user", "user-1.0.dist-info/METADATA"}
    assert held["big-one"].scripts == ("big",)


def test_an_extra_of_another_package_is_needed_where_it_is_named(image: Path):
    store = packages_of(image)
    assert {each.name for each in store.closure(["user"])} == {"user", "big-one", "small"}
    assert {each.name for each in store.closure(["Big.One"])} == {"big-one"}


def test_what_the_layer_has_in_another_version_is_not_linked_over(image: Path, tmp_path: Path):
    layer, store = tmp_path / "layer", packages_of(image)
    (layer / "small-0.5.dist-info").mkdir(parents=True)
    source = next(image.glob("lib/python3*/site-packages"))
    assert [each.name for each in link(store.closure(["small", "big-one"]), source, layer)] == ["big-one"]
    assert (layer / "Big_One-1.0.dist-info" / "RECORD").read_text().splitlines()[0] == "shared/big,,"
    assert not (layer / "small.py").exists()


def test_pip_is_asked_by_name_or_by_file_and_another_version_is_left_to_it(tmp_path: Path):
    names = ("torch", "big-one", "small")
    store = Store(tmp_path, {name: Package(name, "1.0+cpu", (), (), ()) for name in names})
    file = tmp_path / "requirements.txt"
    file.write_text("# torch\nBig.One[x]==1.0 ; python_version > '3'\nsmall==2.0\nunknown\n")
    assert asked_for(["-r", str(file)], store) == ["big-one"]
    assert asked_for(["--quiet", f"-r{file}", "torch"], store) == ["big-one", "torch"]
    assert asked_for([f"--requirement={file}", "small>=0.1"], store) == ["big-one", "small"]


@pytest.mark.parametrize(
    ("text", "arguments", "nothing"),
    [
        ("Big.One==1.0 ; python_version > '3'  # why\nsmall==1.0\n", ["--quiet"], True),
        ("big-one==1.0\n", ["-q", "--no-input"], True),
        ("big-one==1.0\n", [], False),
        ("big-one==1.0\n", ["--quiet", "--upgrade"], False),
        ("big-one==1.0\n", ["--quiet", "--target=x"], False),
        ("big-one==2.0\n", ["--quiet"], False),
        ("big-one>=1.0\n", ["--quiet"], False),
        ("big-one[x]==1.0\n", ["--quiet"], False),
        ("big-one==1.0\nunknown==1.0\n", ["--quiet"], False),
        ("big-one==1.0 --hash=sha256:0\n", ["--quiet"], False),
        ("user==1.0\n", ["--quiet"], False),
        ("", ["--quiet"], False),
    ],
)
def test_pip_itself_is_left_out_only_where_it_would_do_and_say_nothing(
    tmp_path: Path, text: str, arguments: list[str], *, nothing: bool
):
    """What is there in another version, or without what it needs, is pip's to judge; and what it prints where it is not quiet."""
    packages = {name: Package(name, "1.0+cpu", (), (), ()) for name in ("big-one", "small")}
    packages["user"] = Package("user", "1.0", (), (), ("small", "big-one", "other"))
    packages["other"] = Package("other", "1.0", (), (), ())
    layer = tmp_path / "layer"
    for name in ("Big_One-1.0+cpu", "small-1.0+cpu", "user-1.0", "other-0.9"):
        (layer / f"{name}.dist-info").mkdir(parents=True)
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    assert leaves_nothing([*arguments, "-r", str(file)], Store(tmp_path, packages), layer) is nothing


@pytest.mark.parametrize(
    ("arguments", "environ", "may"),
    [
        (["install", "x"], {}, False),
        (["install", "x"], {"PIP_BREAK_SYSTEM_PACKAGES": "1"}, True),
        (["install", "x"], {"PIP_BREAK_SYSTEM_PACKAGES": "0"}, False),
        (["install", "--break-system-packages", "x"], {}, True),
        (["install", "--dry-run", "x"], {"PIP_BREAK_SYSTEM_PACKAGES": "1"}, False),
        (["list"], {"PIP_BREAK_SYSTEM_PACKAGES": "1"}, False),
    ],
)
def test_nothing_is_linked_where_pip_would_install_nothing_here(
    arguments: list[str], environ: dict[str, str], may: bool
):
    assert may_install(arguments, environ) is may


def test_where_python_can_not_be_copied_an_environment_sees_the_image_at_once(image: Path, tmp_path: Path):
    """macOS' framework Pythons; scripts run from folders with spaces too."""
    layer = tmp_path / "a layer"
    (layer / "bin").mkdir(parents=True)
    make_environment(layer, image / "bin" / "python3")
    run = subprocess.run([layer / "bin" / "big"], capture_output=True, text=True, check=True)
    assert run.stdout == "ran\n"
    done = subprocess.run([layer / "bin" / "python3", "-c", "import small, user.part"], check=False)
    assert done.returncode == 0
