"""What a lock says of a requirements file on the container's platform, and what it leaves to pip."""

from __future__ import annotations

import pytest

from sidecar.core.lock import NotUnderstood, covered, holds, read
from sidecar.core.platforms import DEFAULT_IMAGE, Platform, platform_of

AZURE = Platform((3, 12), "x86_64", 39, "2.13.0")
ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64
LOCK = (
    f"starlette==1.10.0 --hash=sha256:{ONE}\nanyio==4.16.0 \\\n    --hash=sha256:{TWO} \\\n    --hash=sha256:{THREE}\n"
)


def test_a_lock_that_names_all_leaves_nothing_to_pip():
    """What comes along with a package is in a lock of the file's own, and is taken too; hashes are sorted."""
    found = covered("torch==2.13.0  # tensors\nStarlette==1.10.0\n", LOCK, AZURE, own=True)
    assert found.left == ()
    assert found.torch
    assert found.lines == (
        f"anyio==4.16.0 --hash=sha256:{TWO} --hash=sha256:{THREE}",
        f"starlette==1.10.0 --hash=sha256:{ONE}",
    )
    assert [each.split("==")[0] for each in covered("starlette==1.10.0", LOCK, AZURE, own=False).lines] == ["starlette"]


@pytest.mark.parametrize(
    ("asked", "lines", "left"),
    [
        ("starlette==1.9.0", [], ["starlette==1.9.0"]),
        ("starlette==1.10.0\nsentencepiece==0.2.1", ["starlette"], ["sentencepiece==0.2.1"]),
        ("starlette>=1", ["starlette"], ["starlette"]),
        ("starlette", ["starlette"], ["starlette"]),
        ("starlette==1.10.0\n--index-url x", ["starlette"], ["--index-url x"]),
        ("starlette==1.10.0 ; sys_platform == 'win32'", [], []),
        ("starlette==1.10.0 ; platform_release > '4'", [], ["starlette==1.10.0"]),
        (f"other==1 --hash=sha256:{ONE}", ["other"], []),
    ],
)
def test_what_no_lock_says_is_left_to_pip(asked: str, lines: list[str], left: list[str]):
    """Another version, a range (pip knows whether the locked one fits), what is no package's name, a marker that is not read. A
    requirements file with hashes is a lock itself."""
    found = covered(asked, LOCK, AZURE, own=False)
    assert [each.split("==")[0] for each in found.lines] == lines
    assert list(found.left) == left


def test_another_torch_than_the_images_is_pips():
    assert not covered("torch==2.12.0\nstarlette==1.10.0", LOCK, AZURE, own=True).torch
    asked = "torch\nnvidia-cublas==13.0\nnvidia-cudnn-cu13==9\ntriton==3.7.1\nstarlette==1.10.0"
    assert covered(asked, LOCK, AZURE, own=True).left == ()
    others = "nvidia-ml-py==13.615.71\ntorchmetrics==1.0\ntorchvision==0.28"
    assert len(covered(others, LOCK, AZURE, own=True).left) == 3


@pytest.mark.parametrize(
    ("marker", "true"),
    [
        ('sys_platform != "win32"', True),
        ('python_version < "3.12"', False),
        ('python_version >= "3.9" and python_full_version < "3.13"', True),
        ("(os_name == 'nt' or platform_machine == 'x86_64') and platform_system == 'Linux'", True),
        ("'arm' in platform_machine", False),
        ("platform_machine not in 'arm64 aarch64'", True),
    ],
)
def test_markers_are_read_for_the_container_not_for_this_machine(marker: str, *, true: bool):
    assert holds(marker, AZURE.markers) is true


@pytest.mark.parametrize("marker", ["", "python_version", "python_version ~= '3.9'", "(os_name == 'nt'", "a == b", "$"])
def test_a_marker_that_is_not_read_is_no_guess(marker: str):
    with pytest.raises(NotUnderstood):
        holds(marker, AZURE.markers)


def test_the_default_image_is_known_by_its_full_and_its_short_name():
    assert platform_of(DEFAULT_IMAGE) == platform_of(DEFAULT_IMAGE.removeprefix("docker.io/")) == AZURE
    assert platform_of("acme.azurecr.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime") is None
    assert AZURE.tags[0] == "manylinux_2_39_x86_64"
    assert "manylinux2014_x86_64" in AZURE.tags


def test_comments_and_extras_are_no_part_of_a_name():
    asked = read("# head\n\nuvicorn[standard]==0.54.0  # why\nhttpx == 0.28.1\n")
    assert [(each.name, each.version) for each in asked.pins] == [("uvicorn", "0.54.0"), ("httpx", "0.28.1")]
