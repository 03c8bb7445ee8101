"""Whether code would start at all: each file is Python, and what the entry module imports is there. Nothing of it is run."""

from __future__ import annotations

import ast
import builtins
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sidecar.core.codefiles import Entry, LeftOut, Tree
from sidecar.core.packages import provided, stated
from sidecar.core.textfile import read_bytes
from sidecar.words.problems import Problem
from sidecar.words.text import Text

IMAGE_PYTHON = (3, 12)
"""Of the default image; a file that this machine's older Python can't read may be right there."""

_NEWER = re.compile(r"\b(?:def|class)\s+\w+\s*\[|(?:^|[:;])\s*type\s+\w+|\b[fF][rR]?['\"]|\b[rR][fF]['\"]")
"""Lines that IMAGE_PYTHON may read and the one before it does not: type parameters, `type`, and what it allows in an f-string."""

_REMOVED = frozenset(
    {
        "aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "mailcap", "nis", "nntplib", "ossaudiodev", "pipes",
        "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib",
    }
)  # fmt: skip
"""Modules of Python's library that IMAGE_PYTHON has and a newer one on this machine has no more."""

_LIBRARY = sys.stdlib_module_names | _REMOVED


_ONE_AT_A_TIME = threading.Lock()
"""Python 3.11 counts the depth of a tree for all threads together, and two that parse at once meet a SystemError."""


@dataclass(frozen=True)
class Start:
    """What a start command runs: `python -m module`, or a script, below the folder that holds the code's. `lock`: the
    requirements file that pip is given. `known`: whether the commands do nothing else that could install a package."""

    module: str = ""
    script: str = ""
    lock: str = ""
    known: bool = True

    def unknown(self) -> Start:
        return replace(self, known=False)


_PYTHON = re.compile(
    r"^(?:exec\s+)?python3?\s+(?:-u\s+)?(?:-m\s+(?P<module>[\w.]+)|(?:\./)?(?P<script>[\w./-]+\.py))(?:\s+(?P<rest>.*))?$"
)
_PIP = re.compile(r"^(?:python3?\s+-m\s+)?pip3?\s+install\b(?P<rest>.*)$")
_LOCK = re.compile(r"(?:^|\s)(?:-r\s*|--requirement[= ])(?P<file>\S+)")
_SHELL = re.compile(r"[;&|`$<>]")
"""What makes more of a line than one command."""


def start_of(script: str) -> Start:
    """What is read from an app's commands, line by line, as the shell runs them. A line that is not simply one of pip's, for one
    requirements file, or the one that starts the server may do anything: then not all is known."""
    module = program = lock = ""
    known = True
    for line in (each.strip() for each in script.splitlines()):
        if not line or line.startswith(("#", "set ")):
            continue
        known = known and _SHELL.search(line) is None
        if (pip := _PIP.match(line)) is not None:
            given = _LOCK.findall(pip["rest"])
            beside = [each for each in _LOCK.sub(" ", pip["rest"]).split() if not each.startswith("-")]
            known = known and len(given) == 1 and not lock and not beside
            lock = lock or (given[0] if given else "")
        elif (found := _PYTHON.match(line)) is not None:
            known = known and not module and not program
            module, program = found["module"] or "", found["script"] or ""
        else:
            known = False
    return Start(module, program, lock.removeprefix("./"), known)


_ANYTHING = re.compile(
    rb"\bsys\s*\.\s*(?:path|modules)\b|\baddsitedir\b|\bos\s*\.\s*system\b|\bpip\b.{0,20}\binstall\b|\bPYTHONPATH\b"
)
"""What may change where imports are looked for, or install a package: then no import leads nowhere for sure."""

LARGEST = 2**20
"""Bytes of a file that is parsed; a generated table of many megabytes would take minutes, and gigabytes."""


def check(tree: Tree, start: Start, shipped: frozenset[str]) -> list[Problem]:
    """Every file that does not parse; then, from the entry module on, each import that leads nowhere. Sorted by file and line.

    `shipped`: the packages of our own lock, which is whole. What another package brings along, nobody here knows."""
    code = _Code(tree, start, shipped)
    problems = [problem for module in code.modules.values() if (problem := module.broken) is not None]
    problems += code.follow()
    return sorted(problems, key=lambda each: (each.file, each.line, each.column))


@dataclass
class _Module:
    """A Python file of the code. `name`: dotted, from the folder that holds the code's folder."""

    name: str
    path: str
    entry: Entry
    package: bool
    source: bytes = b""
    tree: ast.Module | None = None
    broken: Problem | None = None
    seen: bool = field(default=False)

    @cached_property
    def names(self) -> frozenset[str] | None:
        """Every name that is bound anywhere in the module, which is more than it defines; None where reading does not tell."""
        if self.tree is None:
            return None
        found: set[str] = set()
        for node in ast.walk(self.tree):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    found.add(node.name)
                case ast.Import() | ast.ImportFrom():
                    found.update((each.asname or each.name).partition(".")[0] for each in node.names)
                case ast.Name():
                    found.add(node.id)
                case ast.Global():
                    found.update(node.names)
                case ast.Attribute():
                    found.update({node.attr} & _OPEN)
                case ast.MatchAs() | ast.MatchStar() | ast.ExceptHandler():
                    found.update({node.name} if node.name else ())
                case ast.MatchMapping():
                    found.update({node.rest} if node.rest else ())
                case _:
                    pass
        return None if found & _OPEN else frozenset(found)


_OPEN = frozenset({"*", "__getattr__", "globals", "locals", "vars", "setattr", "exec", "modules", "__dict__"})
"""What can give a module names that are not written in it."""


class _Code:
    def __init__(self, tree: Tree, start: Start, shipped: frozenset[str]) -> None:
        self._start = start
        self._top = tree.top
        self._left_out = tree.left_out
        self._files = {f"{tree.top}/{entry.path}": entry for entry in tree.entries}
        self._folders = {folder for path in self._files for folder in _above(path)}
        self.modules = {path: _parsed(path, entry) for path, entry in self._files.items() if path.endswith(".py")}
        lock = self._files.get(start.lock.removeprefix("./"))
        installed = None if lock is None else stated(lock.source.read_text(encoding="utf-8", errors="replace"))
        self._packages = shipped if installed is None else shipped | installed.names
        self._all_known = start.known and installed is not None and installed.within(shipped)
        self._root = start.script.rpartition("/")[0] if start.script else ""
        self._links = {path for path, entry in self._files.items() if entry.kind == "link"}
        self._problems: list[Problem] = []
        self._absent: list[Problem] = []  # packages that nobody is known to install

    def follow(self) -> list[Problem]:
        """From the entry module on. One that is not there is a problem of no file, and the start says it: nothing is followed."""
        entry = self._entry_module()
        if entry is None:
            return []
        self._visit(entry)
        if any(_ANYTHING.search(each.source) for each in self.modules.values() if each.seen):
            self._absent = [replace(each, certain=False) for each in self._absent]
        return [*self._problems, *self._absent]

    def _entry_module(self) -> _Module | None:
        if self._start.script:
            return self.modules.get(self._start.script)
        path = self._start.module.replace(".", "/")
        for each in (f"{path}/__main__.py", f"{path}.py"):
            if each in self.modules:
                self._visit_parents(each)
                return self.modules[each]
        return None

    def _visit(self, module: _Module) -> None:
        waiting = [module]
        while waiting:
            each = waiting.pop()
            if each.seen or each.tree is None:
                continue
            each.seen = True
            for node, late in _imports(each.tree.body):
                waiting += self._followed(each, node, late=late)

    def _visit_parents(self, path: str) -> None:
        for folder in _above(path):
            parent = self.modules.get(f"{folder}/__init__.py")
            if parent is not None:
                self._visit(parent)

    def _followed(self, module: _Module, node: ast.Import | ast.ImportFrom, *, late: bool) -> list[_Module]:
        """The modules of the code that a statement loads; what leads nowhere is written down."""
        if isinstance(node, ast.Import):
            return [found for alias in node.names for found in self._loaded(module, node, alias.name, late=late)]
        name = node.module or ""
        if node.level:
            base = module.name.split(".") if module.package else module.name.split(".")[:-1]
            above = base[: len(base) - node.level + 1]
            if node.level > len(base):
                self._say(module, node, Text("This import leads out of the code's folder."), late=late)
                return []
            name = ".".join([*above, *([node.module] if node.module else [])])
        found = self._loaded(module, node, name, late=late)
        place = self._place(name)
        if place is not None and (place in self._folders or self._module_at(place) is not None):
            found += self._members(module, node, place, late=late)
        return found

    def _members(self, module: _Module, node: ast.ImportFrom, place: str, *, late: bool) -> list[_Module]:
        """`from place import name`: each name is a module below, or one that the module defines."""
        found: list[_Module] = []
        own = self.modules.get(f"{place}/__init__.py") or self.modules.get(f"{place}.py")
        for alias in node.names:
            below = self._module_at(f"{place}/{alias.name}")
            if below is not None:
                found.append(below)
            elif self._is_there(place, alias.name):
                continue
            elif own is None or (own.broken is None and own.names is not None and alias.name not in own.names):
                dotted = place.replace("/", ".")
                self._say(module, node, self._no_name(alias.name, dotted, f"{place}/{alias.name}"), late=late)
        return found

    def _is_there(self, place: str, name: str) -> bool:
        """What every module has, a folder below, or what is no Python file."""
        implicit = name == "*" or (name.startswith("__") and name.endswith("__"))
        return implicit or f"{place}/{name}" in self._folders or self._may_be(f"{place}/{name}")

    def _loaded(self, module: _Module, node: ast.stmt, name: str, *, late: bool) -> list[_Module]:
        """What importing a dotted name runs: each package on the way, and the module itself."""
        place = self._place(name)
        if place is None:
            top = name.partition(".")[0]
            if not self._is_installed(top):
                text = Text(
                    "{name} is in no requirements file, not in the image and not in Python's own library.", name=top
                )
                self._absent.append(_problem(module, node, text, certain=self._all_known and not late))
            return []
        found: list[_Module] = []
        parts = place.split("/")
        for count in range(1, len(parts) + 1):
            step = "/".join(parts[:count])
            here = self._module_at(step)
            if here is not None:
                found.append(here)
            elif self._may_be(step):
                break
            elif step not in self._folders:
                self._say(module, node, self._no_module(step), late=late)
                break
        return found

    def _place(self, name: str) -> str | None:
        """The path of a module of the code, there or not; None for a name that is somebody else's. A folder without `__init__.py`
        gives way to the library and to packages, as in Python."""
        top = name.partition(".")[0]
        below = f"{self._root}/{top}" if self._root else top
        whole = self._module_at(below) is not None
        folder = below in self._folders or below in self._links or self._left(below) is not None
        if not whole and not (folder and not self._is_installed(top)):
            return None
        path = name.replace(".", "/")
        return f"{self._root}/{path}" if self._root else path

    def _is_installed(self, top: str) -> bool:
        return top in _LIBRARY or top == "__main__" or provided(top, self._packages)

    def _may_be(self, path: str) -> bool:
        """Whether something is there that is no Python file: an extension module, what lies behind a link, what the code itself
        writes when it starts."""
        parts = path.split("/")
        steps = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        behind = any(each in self._links or f"{each}.py" in self._links for each in steps)
        compiled = any(each.startswith(f"{path}.") and each.endswith((".so", ".pyd", ".pyc")) for each in self._files)
        written = f"{parts[-1]}.py".encode()
        return behind or compiled or any(written in each.source for each in self.modules.values())

    def _module_at(self, path: str) -> _Module | None:
        return self.modules.get(f"{path}/__init__.py") or self.modules.get(f"{path}.py")

    def _no_module(self, path: str) -> Text:
        left = self._left(path)
        if left is not None:
            return Text(
                "{module} does not travel: {file} leaves it out.",
                module=path.replace("/", "."),
                file=left.by or left.why,
            )
        return Text("There is no module {module} in the code.", module=path.replace("/", "."))

    def _no_name(self, name: str, module: str, path: str) -> Text:
        left = self._left(path)
        if left is not None:
            return self._out(left, f"{module}.{name}")
        return Text("{module} has no {name}.", module=module, name=name)

    def _out(self, left: LeftOut, module: str) -> Text:
        return Text("{module} does not travel: {file} leaves it out.", module=module, file=left.by or left.why)

    def _left(self, path: str) -> LeftOut | None:
        inside = path.removeprefix(f"{self._top}/")
        return next((each for each in self._left_out if each.path.rstrip("/") in (inside, f"{inside}.py")), None)

    def _say(self, module: _Module, node: ast.stmt, text: Text, *, late: bool) -> None:
        self._problems.append(_problem(module, node, text, certain=not late))


def _parsed(path: str, entry: Entry) -> _Module:
    package = path.endswith("/__init__.py")
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = _Module(name, path, entry, package)
    if entry.size > LARGEST:
        text = Text("The file is too large to be looked at.")
        module.broken = Problem(str(entry.source), path, 1, 1, text, certain=False)
        return module
    source = module.source = read_bytes(entry.source, str(entry.source))
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape starts all the same
            module.tree = ast.parse(source, path)
    except SyntaxError as error:
        certain = sys.version_info[:2] >= IMAGE_PYTHON or not _newer(error, source)
        where = (max(error.lineno or 1, 1), max(error.offset or 1, 1))
        module.broken = Problem(str(entry.source), path, *where, _syntax(error.msg, certain=certain), certain)
    except ValueError as error:  # null bytes
        module.broken = Problem(str(entry.source), path, 1, 1, Text("{problem}", problem=error))
    except RecursionError:
        module.broken = Problem(
            str(entry.source), path, 1, 1, Text("The file is nested too deeply to be looked at."), certain=False
        )
    return module


def _newer(error: SyntaxError, source: bytes) -> bool:
    """Whether the container's Python may read what this one does not. An expression's error may be told at its last line."""
    last = error.lineno or 1
    lines = [each.decode("utf-8", "replace") for each in source.splitlines()[max(0, last - 4) : last]]
    return error.msg.startswith("f-string") or any(_NEWER.search(each) for each in lines)


def _syntax(message: str, *, certain: bool) -> Text:
    if certain:
        return Text("{problem}", problem=message)
    version = ".".join(map(str, sys.version_info[:2]))
    return Text("{problem} (read by Python {version}; the container's is newer)", problem=message, version=version)


def _imports(body: Sequence[ast.stmt], *, late: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Imports that run, and whether only later, in a function. What is tried, or meant for type checkers, may be missing."""
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node, late
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(node.body, late=True)
            case ast.If() if "TYPE_CHECKING" in ast.dump(node.test):
                yield from _imports(node.orelse, late=late)
            case ast.If():  # which way it goes is known when it runs
                yield from _imports([*node.body, *node.orelse], late=True)
            case ast.Try() | ast.TryStar():
                yield from () if _forgiving(node) else _imports(node.body, late=late)
                yield from _imports([*node.orelse, *node.finalbody], late=late)
            case ast.With() | ast.AsyncWith():
                yield from _imports(node.body, late=late or "suppress" in ast.dump(node.items[0].context_expr))
            case ast.ClassDef() | ast.For() | ast.While():
                yield from _imports(node.body, late=late)
            case _:
                pass


def _forgiving(node: ast.Try | ast.TryStar) -> bool:
    """Whether a handler may be there for an import that fails: one of its kinds, or a name that is nobody's but the code's."""
    kinds = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    for each in node.handlers:
        names = {name.id for name in ast.walk(each.type) if isinstance(name, ast.Name)} if each.type else set[str]()
        if each.type is None or names & kinds or not all(hasattr(builtins, name) for name in names):
            return True
    return False


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _problem(module: _Module, node: ast.stmt, text: Text, *, certain: bool) -> Problem:
    return Problem(str(module.entry.source), module.path, node.lineno, node.col_offset + 1, text, certain)
