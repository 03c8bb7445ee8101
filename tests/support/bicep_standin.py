"""A stand-in for Microsoft's Bicep CLI: it speaks exactly as version 0.49.2 was recorded, both ways, for tests.

What it makes of a file is what our own compiler makes of it, in Microsoft's form and, where they are known, words; it also takes
`type NAME = TYPE`, which ours does not. `tests/contract/test_bicep_standin.py` holds it to the recording."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from sidecar.words.refused import Finding

ROOT = Path(__file__).resolve().parents[2]
COMMIT = {"0.49.2": "b34271ac51"}
MODES = ("", "sarif only", "too old", "slow", "slow start", "dying once", "dying", "garbled", "another program")
"""How it behaves; `dying once`: over the first file."""
_ALIAS = re.compile(r"^type (\w+) = (\w+)$", re.MULTILINE)
_REGISTRY = re.compile(r"'(br[:/][^']+)'")
_PUBLIC = ("br/public:", "br:mcr.microsoft.com/bicep/")
_WORDS = {
    "BCP057": 'The name "{name}" does not exist in the current context.',
    "BCP082": 'The name "{name}" does not exist in the current context. Did you mean "{near}"?',
    "no-unused-params": 'Parameter "{name}" is declared but never used.',
    "BCP033": 'Expected a value of type "{wanted}" but the provided value is of type "{given}".',
}
_NETWORK = "Retry failed after 4 tries. (Name or service not known (mcr.microsoft.com:443))"


def standin(folder: Path, mode: str = "", version: str = "0.49.2", *, restores: bool = False) -> Path:
    """Writes the program into a folder; beside it `bicep.log`, a line for each start."""
    assert mode in MODES
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "bicep"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.support.bicep_standin import main\n"
        f"sys.exit(main(sys.argv[1:], {mode!r}, {version!r}, {restores!r}, __file__))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def starts(program: Path) -> list[tuple[int, list[str]]]:
    """Process and arguments of each start."""
    log = program.with_name("bicep.log")
    return (
        [(each["pid"], each["arguments"]) for each in map(json.loads, log.read_text().splitlines())]
        if log.exists()
        else []
    )


def main(arguments: list[str], mode: str, version: str, restores: bool, program: str) -> int:
    beside = Path(program).parent
    with (beside / "bicep.log").open("a") as log:
        log.write(json.dumps({"pid": os.getpid(), "arguments": arguments}) + "\n")
    if mode == "another program":
        print("bicep: biceps curl counter 1.0")
        return 0
    speaks = _Speaker(version, restores, mode, beside)
    match arguments:
        case ["--version"]:
            print(f"Bicep CLI version {version} ({COMMIT.get(version, '0000000000')})")
            return 0
        case ["jsonrpc", "--stdio"] if mode not in ("sarif only", "too old"):
            return speaks.serve(sys.stdin.buffer, sys.stdout.buffer)
        case ["build", file, "--stdout", "--diagnostics-format", "sarif"] if mode != "too old":
            return speaks.build(file, sarif=True)
        case ["build", file, "--stdout"]:
            return speaks.build(file, sarif=False)
        case _:
            print(f'Unrecognized parameter "{arguments[-2] if len(arguments) > 1 else arguments}"', file=sys.stderr)
            return 1


@dataclass
class _Speaker:
    version: str
    restores: bool
    mode: str
    beside: Path

    def serve(self, requests: BinaryIO, answers: BinaryIO) -> int:
        while header := requests.readline():
            length = int(header.partition(b":")[2])
            while requests.readline() != b"\r\n":
                pass
            request = json.loads(requests.read(length))
            method = request["method"]
            if self.mode == "slow start" or (self.mode == "slow" and method == "bicep/compile"):
                threading.Event().wait()
            if self.mode == "garbled" and method == "bicep/compile":
                answers.write(b"Unhandled exception. System.Exception\n")
                answers.flush()
                continue
            if self._dies(method):
                print("Process terminated. Couldn't find a valid ICU package", file=sys.stderr, flush=True)
                return 134
            body = json.dumps({"jsonrpc": "2.0", "id": request["id"], **self._answer(method, request["params"])})
            answers.write(f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())
            answers.flush()
        return 0

    def _dies(self, method: str) -> bool:
        if method != "bicep/compile" or self.mode not in ("dying", "dying once"):
            return False
        died = self.beside / "died"
        if self.mode == "dying once" and died.exists():
            return False
        died.touch()
        return True

    def _answer(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method == "bicep/version":
            return {"result": {"version": self.version}}
        if method != "bicep/compile":
            return {"error": {"code": -32601, "message": f"No method by the name '{method}' is found."}}
        file = Path(params["path"])
        if not file.exists():
            said = f"An error occurred reading file. Could not find file '{file}'."
            data = {
                "type": "Bicep.Core.Diagnostics.DiagnosticException",
                "message": said,
                "stack": "",
                "code": -2146233088,
            }
            return {"error": {"data": data, "code": -32000, "message": said}}
        template, found = self.compiled(file)
        told = [
            {
                "source": each.file,
                "range": {
                    "start": {"line": each.line - 1, "char": each.column - 1},
                    "end": {"line": each.line - 1, "char": each.column - 1 + each.length},
                },
                "level": each.level,
                "code": each.code,
                "message": each.message,
            }
            for each in found
        ]
        contents = {} if template is None else {"contents": json.dumps(template, indent=2)}
        return {"result": {"success": template is not None, "diagnostics": told, **contents}}

    def build(self, name: str, *, sarif: bool) -> int:
        if self.mode == "slow":
            threading.Event().wait()
        file = Path(name).absolute()
        if not file.exists():
            print(f"An error occurred reading file. Could not find file '{file}'.", file=sys.stderr)
            return 1
        template, found = self.compiled(file)
        if template is not None:
            sys.stdout.write(json.dumps(template, indent=2))
        if sarif and found:
            sys.stderr.write(json.dumps(_sarif(found), indent=2))
        for each in () if sarif else found:
            print(f"{each.file}({each.line},{each.column}) : {each.level} {each.code}: {each.linked}", file=sys.stderr)
        return 0 if template is not None else 1

    def compiled(self, file: Path) -> tuple[dict[str, Any] | None, list[_Told]]:
        from sidecar.armlang.bicep import made_of  # noqa: PLC0415  (one that does not compile does not wait for it)
        from sidecar.core.bicep_files import Folder  # noqa: PLC0415  (as above)
        from sidecar.words.refused import Refused  # noqa: PLC0415  (as above)

        source = file.read_text(encoding="utf-8-sig")
        for name, kind in _ALIAS.findall(source):
            source = re.sub(rf"^(param \w+ ){name}\b", rf"\g<1>{kind}", source, flags=re.MULTILINE)
        source = _ALIAS.sub("", source)
        registry = _REGISTRY.search(source)
        if registry is not None:
            if not self.restores:
                line = source[: registry.start()].count("\n") + 1
                column = registry.start() - source.rfind("\n", 0, registry.start())
                said = f'Unable to restore the artifact with reference "{registry[1].replace(*_PUBLIC)}": {_NETWORK}'
                return None, [_Told(str(file), line, column, len(registry[0]), "Error", "BCP192", said)]
            source = re.sub(r"^module .*?^\}$", "", source, flags=re.MULTILINE | re.DOTALL)
        try:
            made = made_of(file.name, source, Folder(file.parent, file.parents[-1]))
        except Refused as refused:
            found = [_told(each, file.parent, "Error") for each in refused.findings] + _unused(source, file)
            return None, sorted(found, key=lambda each: (each.file != str(file), each.line, each.column))
        generator = {"name": "bicep", "version": f"{self.version}.45890", "templateHash": "12299899167024591995"}
        template: dict[str, Any] = dict(made.template)
        head = {key: template.pop(key) for key in ("$schema", "languageVersion", "contentVersion")}
        metadata = {"_generator": generator, **template.pop("metadata", {})}
        return {**head, "metadata": metadata, **template}, [
            _told(each, file.parent, "Warning") for each in made.warnings
        ]


@dataclass(frozen=True)
class _Told:
    file: str
    line: int
    column: int
    length: int
    level: str
    code: str
    message: str

    @property
    def linked(self) -> str:
        kind = "core" if self.code.startswith("BCP") else "linter"
        return f"{self.message} [https://aka.ms/bicep/{kind}-diagnostics#{self.code}]"


def _told(found: Finding, folder: Path, level: str) -> _Told:
    code = found.code or "BCP000"
    args = {name: str(value) for name, value in found.message.args}
    said = _WORDS[code].format(**args) if code in _WORDS else str(found.message)
    file = folder / found.file
    return _Told(str(file), found.line, _units(file, found), found.length, level, code, said)


def _units(file: Path, found: Finding) -> int:
    """The column in UTF-16 units."""
    line = file.read_text(encoding="utf-8-sig").split("\n")[found.line - 1] if file.exists() else ""
    return len(line[: found.column - 1].encode("utf-16-le")) // 2 + 1


def _unused(source: str, file: Path) -> list[_Told]:
    """Parameters that nobody mentions, in a file that is wrong."""
    found: list[_Told] = []
    for each in re.finditer(r"^param (\w+)", source, re.MULTILINE):
        name, line = each[1], source[: each.start()].count("\n") + 1
        if len(re.findall(rf"\b{name}\b(?!:)", source)) == 1:
            said = _WORDS["no-unused-params"].format(name=name)
            found.append(_Told(str(file), line, 7, len(name), "Warning", "no-unused-params", said))
    return found


def _sarif(found: list[_Told]) -> dict[str, Any]:
    results = [
        {
            "ruleId": each.code,
            **({"level": "error"} if each.level == "Error" else {}),
            "message": {"text": each.linked},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": Path(each.file).as_uri()},
                        "region": {"startLine": each.line, "charOffset": each.column},
                    }
                }
            ],
        }
        for each in found
    ]
    run = {"tool": {"driver": {"name": "bicep"}}, "results": results, "columnKind": "utf16CodeUnits"}
    schema = "https://schemastore.azurewebsites.net/schemas/json/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [run]}
