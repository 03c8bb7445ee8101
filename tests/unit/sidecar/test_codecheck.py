"""Whether code would start: what is said of broken code, and that nothing is said of code that starts. Python is the oracle."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sidecar.core.codecheck import Start, check, start_of
from sidecar.core.codefiles import read_tree
from sidecar.core.packages import stated
from sidecar.core.scaffold import shipped_packages
from sidecar.words.problems import Problem

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = "set -e\npython3 -m pip install --quiet -r inference/requirements.txt\npython3 -m inference"


def found(root: Path, files: dict[str, str], commands: str = COMMANDS) -> list[Problem]:
    for name, content in {"requirements.txt": "numpy==2.4.6\n", **files}.items():
        file = root / "inference" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return check(read_tree(root / "inference", root), start_of(commands), shipped_packages())


def told(problems: list[Problem]) -> list[tuple[str, int, bool]]:
    return [(Path(each.file).name, each.line, each.certain) for each in problems]


def test_our_own_server_has_no_problem_and_is_looked_through_in_seconds() -> None:
    began = time.process_time()
    tree = read_tree(ROOT / "inference", ROOT)
    assert check(tree, start_of(COMMANDS), shipped_packages()) == []
    assert time.process_time() - began < 5, "half a second where nothing else runs"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import inference.helpers", "There is no module inference.helpers in the code."),
        ("from inference import helpers", "inference has no helpers."),
        ("from .helpers import load", "There is no module inference.helpers in the code."),
        ("from inference.tools import lode", "inference.tools has no lode."),
        ("from inference.tools.deep import load", "There is no module inference.tools.deep in the code."),
        ("from ..inference import tools", "This import leads out of the code's folder."),
        ("import nunpy", "nunpy is in no requirements file, not in the image and not in Python's own library."),
        ("from sklern.base import Model", "sklern is in no requirements file"),
    ],
)
def test_an_import_that_leads_nowhere_is_named_with_file_and_line_and_python_agrees(
    tmp_path: Path, line: str, message: str
) -> None:
    files = {"__init__.py": "", "__main__.py": f"import os\n\n{line}\n", "tools.py": "def load(): ...\n"}
    problems = found(tmp_path, files)
    assert told(problems) == [("__main__.py", 3, True)]
    assert message in str(problems[0].message)
    run = subprocess.run([sys.executable, "-m", "inference"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ImportError" in run.stderr or "ModuleNotFoundError" in run.stderr


FINE = [
    "try:\n    import nunpy\nexcept ImportError:\n    nunpy = None\n",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nunpy\n",
    "import contextlib\nwith contextlib.suppress(ImportError):\n    import nunpy\n",
    "from inference.tools import load, LIMIT, Kind, made, walked, opened, part, rest\n",
    "from inference.dynamic import anything\n",
    "from inference import tools as t, space\nimport inference.space.inner\n",
    "import importlib.metadata, os.path, xml.etree.ElementTree\n",
    "import torch, numpy.typing, yaml, PIL.Image, dateutil, safetensors.torch\n",
    "import cgi\n",
    "from __future__ import annotations\n",
]


@pytest.mark.parametrize("line", FINE)
def test_nothing_is_said_of_code_that_starts(tmp_path: Path, line: str) -> None:
    files = {
        "__init__.py": "",
        "__main__.py": line,
        "tools.py": "import sys\nLIMIT: int = 3\nclass Kind: ...\ndef load(): ...\n(made, _) = 1, 2\n"
        "for walked in (1, 2): pass\nwith open(sys.argv[0]) as opened: pass\n"
        "match [1, 2]:\n    case [part, *rest]: pass\n",
        "dynamic.py": "def __getattr__(name): return name\n",
        "space/inner.py": "",
    }
    assert [each for each in found(tmp_path, files) if each.certain] == []


def test_an_import_in_a_function_is_a_warning_and_so_is_a_package_where_others_may_bring_it(tmp_path: Path) -> None:
    files = {"__main__.py": "def late():\n    import inference.gone\n"}
    assert told(found(tmp_path, files)) == [("__main__.py", 2, False)]
    files = {"__main__.py": "import sentencepiece_model\n", "requirements.txt": "sentencepiece==1.0\n"}
    assert told(found(tmp_path, files)) == [("__main__.py", 1, False)]
    files = {"__main__.py": "import nunpy\n", "requirements.txt": ""}
    assert told(found(tmp_path, files, COMMANDS + "\nconda install nunpy")) == [("__main__.py", 1, False)]


def test_every_file_that_does_not_parse_is_named_whether_it_is_imported_or_not(tmp_path: Path) -> None:
    files = {"__main__.py": "x = 1\n", "a.py": "def f(:\n", "sub/b.py": "\n\nprint('\n", "c.py": "x = 1\0"}
    problems = found(tmp_path, files)
    assert [each[:2] for each in told(problems)] == [("a.py", 1), ("c.py", 1), ("b.py", 3)]
    assert all(each.certain for each in problems)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads what the container's reads")
@pytest.mark.parametrize(
    "line", ["type Pair = tuple[int, int]", "def first[T](x: T) -> T: ...", "x = f'{'a'}'", "class A[T]: ..."]
)
def test_what_an_older_python_here_cannot_read_is_a_warning(tmp_path: Path, line: str) -> None:
    problems = found(tmp_path, {"__main__.py": f"x = 1\n{line}\n"})
    assert told(problems) == [("__main__.py", 2, False)]
    assert "the container's is newer" in str(problems[0].message)


def test_a_module_that_an_ignore_file_leaves_out_is_said_to_be(tmp_path: Path) -> None:
    """A project's .gitignore often has `weights/` or `*.log`: then a release lacks what the folder has."""
    (tmp_path / ".gitignore").write_text("weights/\n")
    files = {
        "__init__.py": "",
        "__main__.py": "from inference.weights import load\n",
        "weights/__init__.py": "load = 1\n",
    }
    [problem] = found(tmp_path, files)
    assert str(problem.message) == "inference.weights does not travel: .gitignore leaves it out."


def test_problems_are_followed_from_the_entry_module_through_packages(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from . import early\n",
        "early.py": "import gone_package\n",
        "__main__.py": "from inference.rooms.first import x\n",
        "rooms/__init__.py": "import inference.nowhere\n",
        "rooms/first.py": "x = 1\n",
        "unused.py": "import another_gone\n",
    }
    assert told(found(tmp_path, files)) == [("early.py", 1, True), ("__init__.py", 1, True)]


@pytest.mark.parametrize(
    ("commands", "start"),
    [
        (COMMANDS, Start("inference", "", "inference/requirements.txt")),
        ("python inference/app.py --port 1", Start(script="inference/app.py")),
        ("cd /mount\npython3 -m inference", Start("inference", known=False)),
        ("pip install -r a.txt\npip install b\npython -m x.y", Start("x.y", lock="a.txt", known=False)),
    ],
)
def test_start_commands_are_read_line_by_line(commands: str, start: Start) -> None:
    assert start_of(commands) == start


def test_a_script_finds_its_modules_beside_itself(tmp_path: Path) -> None:
    files = {"app.py": "import helper\nimport gone_helper\n", "helper.py": ""}
    commands = "python3 -m pip install -r inference/requirements.txt\npython3 inference/app.py"
    assert told(found(tmp_path, files, commands)) == [("app.py", 2, True)]


def test_requirements_are_read_as_pip_reads_them() -> None:
    lock = "# a\ntorch==2.13.0  # b\nuvicorn[standard]>=1 ; python_version > '3'\nPy_YAML \\\n  --hash=sha256:1\n"
    assert stated(lock).names == {"torch", "uvicorn", "py-yaml"}
    assert not stated(lock).opaque
    assert stated("git+https://example.org/x.git").opaque
    assert stated("-r other.txt").opaque


def test_a_name_that_our_own_server_has_not_is_certain(tmp_path: Path) -> None:
    """Our server replaces a finder of modules while Gradio loads: that makes no name of its own doubtful."""
    code = tmp_path / "inference"
    shutil.copytree(ROOT / "inference", code)
    file = code / "api" / "completions.py"
    file.write_text(file.read_text() + "\nfrom inference.messages import Nowhere\n")
    [problem] = check(read_tree(code, tmp_path), start_of(COMMANDS), shipped_packages())
    assert problem.certain
    assert str(problem.message) == "inference.messages has no Nowhere."
