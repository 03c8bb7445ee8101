"""Code that starts in odd ways: the check of the code may warn of it, and never stops it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.unit.sidecar.test_codecheck import found, told

LOCK = "pip install -r inference/requirements.txt"
RUN = f"{LOCK}\npython -m inference"
ODD: dict[str, tuple[dict[str, str], str]] = {
    "a script that is named with ./": (
        {"app.py": "import helper", "helper.py": ""},
        f"{LOCK}\npython ./inference/app.py",
    ),
    "the shell's search path": (
        {"__main__.py": "import deep", "lib/deep.py": ""},
        f"{LOCK}\nPYTHONPATH=inference/lib python -m inference",
    ),
    "a path that the code adds": (
        {"__main__.py": "import sys\nsys.path.insert(0, 'inference')\nimport deep", "deep.py": ""},
        RUN,
    ),
    "a second package of pip's": ({"__main__.py": "import wandb"}, f"{LOCK} wandb\npython -m inference"),
    "another installer behind &&": (
        {"__main__.py": "import wandb"},
        f"{LOCK} && uv pip install wandb\npython -m inference",
    ),
    "a package that the code installs": (
        {"__main__.py": "import os\nos.system('pip install wandb')\nimport wandb"},
        RUN,
    ),
    "a first program that installs": (
        {"__main__.py": "import wandb", "prepare.py": ""},
        f"{LOCK}\npython inference/prepare.py\npython -m inference",
    ),
    "an ignored folder called like a package": (
        {"__main__.py": "import numpy", ".gitignore": "numpy/", "numpy/x.csv": "1"},
        RUN,
    ),
    "a folder called like a module of the library": (
        {"app.py": "from logging import getLogger", "logging/a.yaml": ""},
        f"{LOCK}\npython inference/app.py",
    ),
    "a name bound in a condition": ({"__main__.py": "from inference.a import V", "a.py": "if (V := 1): pass"}, RUN),
    "a name bound in a match": (
        {"__main__.py": "from inference.a import go", "a.py": "match 1:\n  case 1:\n    def go(): ...\n"},
        RUN,
    ),
    "a global of a function": (
        {"__main__.py": "from inference.a import x", "a.py": "def f():\n  global x\n  x = 1\nf()"},
        RUN,
    ),
    "a module that replaces itself": (
        {
            "__main__.py": "from inference.a import x",
            "a.py": "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(x=1)",
        },
        RUN,
    ),
    "names that every module has": (
        {"__init__.py": "", "__main__.py": "from inference import __file__, __name__"},
        RUN,
    ),
    "an extension module": (
        {"__init__.py": "", "__main__.py": "from inference import fast", "fast.cpython-312-x86_64-linux-gnu.so": ""},
        RUN,
    ),
    "a module that the code writes": (
        {"__init__.py": "", "__main__.py": "open('inference/made.py', 'w').close()\nfrom inference import made"},
        RUN,
    ),
    "a handler of the code's own kind": (
        {"__main__.py": "E = (ImportError,)\ntry:\n  import nix\nexcept E:\n  pass"},
        RUN,
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_code_that_starts_in_an_odd_way_stops_nothing(tmp_path: Path, what: str) -> None:
    files, commands = ODD[what]
    assert [each for each in found(tmp_path, files, commands) if each.certain] == []


def test_what_lies_behind_a_link_and_what_is_too_large_stops_nothing(tmp_path: Path) -> None:
    files = {"__main__.py": "from inference.common.x import y\nimport inference.table", "engine/x.py": "y = 1"}
    found(tmp_path, files)
    (tmp_path / "inference" / "common").symlink_to("engine")
    (tmp_path / "inference" / "table.py").write_text("x = [\n" + "1,\n" * 2**19 + "]\n")
    began = time.process_time()
    problems = found(tmp_path, {})
    assert told(problems) == [("table.py", 1, False)]
    assert time.process_time() - began < 1
