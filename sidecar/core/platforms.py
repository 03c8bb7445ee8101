"""What is known of the machine and the Python that an image runs on, and of the packages that it brings along."""

from __future__ import annotations

import re
from dataclasses import dataclass

OLDEST_GLIBC = 5
"""Of manylinux_2_N; older ones have names of their own."""

_OF_TORCH = re.compile(r"nvidia-(cu|nccl|nvjitlink|nvshmem|nvtx)[a-z0-9-]*|cuda-(bindings|pathfinder|toolkit)|triton")


def of_torch(name: str) -> bool:
    """Whether a package comes with the image's PyTorch: it belongs to its version and its GPU's driver. nvidia-ml-py does not."""
    return name == "torch" or _OF_TORCH.fullmatch(name) is not None


@dataclass(frozen=True)
class Platform:
    """`glibc`: minor version of 2.x. `torch`: version of the image's PyTorch. `holds_all`: the image has every package of our
    own requirements too, and nothing has to be brought along."""

    python: tuple[int, int]
    machine: str
    glibc: int
    torch: str
    holds_all: bool = False

    @property
    def version(self) -> str:
        return f"{self.python[0]}.{self.python[1]}"

    @property
    def said(self) -> str:
        """As the container's start says it of itself."""
        return f"{self.version} {self.machine}"

    @property
    def tags(self) -> tuple[str, ...]:
        """Of wheels that run there, the best first, as `pip download --platform` takes them."""
        numbered = (f"manylinux_2_{minor}_{self.machine}" for minor in range(self.glibc, OLDEST_GLIBC - 1, -1))
        named = (f"manylinux{name}_{self.machine}" for name in ("2014", "2010", "1"))
        return (*numbered, *named, f"linux_{self.machine}")

    @property
    def markers(self) -> dict[str, str]:
        """Environment markers of requirements, as they read there."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.version}.0",
            "python_version": self.version,
            "sys_platform": "linux",
            "extra": "",
        }


DEFAULT_IMAGE = "docker.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime"

IMAGES = {DEFAULT_IMAGE: Platform((3, 12), "x86_64", 39, "2.13.0")}
"""Images whose Python is known: the default one is Ubuntu 24.04 with its system's own."""


def platform_of(image: str) -> Platform | None:
    """None for an image of which nobody here knows what it holds."""
    return IMAGES.get(image if "/" in image and "." in image.partition("/")[0] else f"docker.io/{image}")
