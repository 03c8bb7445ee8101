"""Which package a name is imported from: what a requirements file states, what the default image holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

IMAGE = frozenset(
    {"torch", "torchvision", "torchaudio", "triton", "functorch", "torchgen", "pip", "setuptools", "pkg_resources"}
)
"""Import names that the default image brings along before anything is installed."""

PROVIDED_BY: dict[str, tuple[str, ...]] = {
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "crypto": ("pycryptodome",),
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
    "dateutil": ("python-dateutil",),
    "docx": ("python-docx",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "git": ("gitpython",),
    "grpc": ("grpcio",),
    "jose": ("python-jose",),
    "jwt": ("pyjwt",),
    "magic": ("python-magic",),
    "markdown-it": ("markdown-it-py",),
    "multipart": ("python-multipart",),
    "opentelemetry": ("opentelemetry-api",),
    "openssl": ("pyopenssl",),
    "pil": ("pillow",),
    "pptx": ("python-pptx",),
    "pynvml": ("nvidia-ml-py", "pynvml"),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "slugify": ("python-slugify",),
    "socks": ("pysocks",),
    "websocket": ("websocket-client",),
    "yaml": ("pyyaml",),
    "zmq": ("pyzmq",),
}
"""Well-known packages that are not imported by their own name; keys as `_plain` spells them."""

_NAME = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*(?:--|[<>=!~;#@]|$)")


@dataclass(frozen=True)
class Stated:
    """Packages of a requirements file, by plain name. `opaque`: a line says something that is no package's name."""

    names: frozenset[str]
    opaque: bool = False

    def within(self, known: frozenset[str]) -> bool:
        """Whether these packages, and so whatever they bring along, are among those that are known."""
        return not self.opaque and self.names <= known


def stated(requirements: str) -> Stated:
    names: set[str] = set()
    opaque = False
    for line in requirements.replace("\\\n", " ").splitlines():
        plain = line.strip()
        if not plain or plain.startswith(("#", "--hash")):
            continue
        found = _NAME.match(plain)
        if found is None:
            opaque = opaque or not plain.startswith(("--index-url", "--extra-index-url", "--find-links", "-i ", "-f "))
        else:
            names.add(_plain(found["name"]))
    return Stated(frozenset(names), opaque)


def provided(name: str, packages: frozenset[str]) -> bool:
    """Whether an import's first name comes with the image, or with one of these packages."""
    plain = _plain(name)
    return name in IMAGE or bool(packages & {plain, *PROVIDED_BY.get(plain, ())})


def _plain(name: str) -> str:
    """Names that PyPI holds for the same."""
    return re.sub(r"[-_.]+", "-", name).lower()
