"""What `npm run contract -- bicep` measures: the compiler and the engine against Microsoft's answers, a line each."""

import importlib.util
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sidecar.armlang.expressions import Scope, evaluate
from sidecar.armlang.values import ExpressionError
from sidecar.localcloud.deployments.scope_functions import place_functions
from tests.support.bicep_compiling import Compiled, Mistake, compiled, compiled_corpus, mistakes
from tests.support.bicep_corpus import corpus, function_cases
from tests.support.bicep_functions import corpus_place, first_sentence, function_answers
from tests.support.bicep_meaning import differences
from tests.support.bicep_residue import comparable
from tests.support.bicep_snapshots import Refused, difference, same_refusal, snapshot

ROOT = Path(__file__).resolve().parents[2]
SHIPPED_AT = "2b04a2e"
"""The commit whose shipped template is in the corpus."""


@dataclass(frozen=True)
class Line:
    """One thing measured: what it is, the numbers, whether the goal holds, and what did not come out, by name."""

    title: str
    numbers: str
    holds: bool
    wrong: tuple[str, ...] = ()


@cache
def read(*parts: str) -> Any:
    return json.loads(corpus().joinpath(*parts).read_text(encoding="utf-8"))


@cache
def valid() -> dict[str, Compiled]:
    return {file.stem: compiled_corpus(file) for file in sorted((corpus() / "ok").glob("*.bicep"))}


def meant(ours: dict[str, Any], official: dict[str, Any]) -> list[str]:
    """Differences by evaluation, then those of the corpus's own comparison, which evaluates nothing."""
    return differences(ours, official) or [f"unevaluated: {each}" for each in _strict()(ours, official)]


@cache
def _strict() -> Callable[[dict[str, Any], dict[str, Any]], list[str]]:
    spec = importlib.util.spec_from_file_location("corpus_armtext", corpus() / "armtext.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError("armtext.py of the corpus can't be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.static_differences


def valid_files() -> Line:
    count: Counter[str] = Counter()
    wrong: list[str] = []
    for name, made in valid().items():
        kind = {"taken": "equal", "mistake": "called a mistake", "outside": "refused", "crashed": "crashed"}[made.kind]
        found = meant(made.template, read("golden", f"{name}.json")) if made.template else [made.told]
        if made.template and found:
            kind = "different"
        count[kind] += 1
        if kind != "equal":
            wrong.append(f"{kind}: {name}: {found[0]}")
    whole = len(valid())
    holds = count["equal"] >= 0.7 * whole and not count["different"] + count["crashed"] + count["called a mistake"]
    kinds = ("different", "crashed", "called a mistake", "refused")
    numbers = f"{count['equal']} of {whole} equal" + "".join(f", {count[kind]} {kind}" for kind in kinds)
    return Line("valid files", numbers, holds, tuple(wrong))


@cache
def all_mistakes() -> tuple[tuple[Mistake, Compiled], ...]:
    found = mistakes(read("bad-diagnostics.json"))
    return tuple((each, compiled(each.source, each.file.parent, each.file.name)) for each in found)


def mistakes_told() -> Line:
    count: Counter[str] = Counter()
    wrong: list[str] = []
    for each, made in all_mistakes():
        elsewhere = sorted(made.lines - each.stated - each.official)
        kind = (
            made.kind if made.kind in ("taken", "crashed") else "told" if made.lines & each.stated else "told elsewhere"
        )
        count[kind] += 1
        count["an error elsewhere"] += bool(elsewhere) and made.kind == "mistake"
        if kind != "told" or elsewhere:
            wrong.append(f"{kind}: {each.file.name}: line {sorted(each.stated)}: {made.told}")
    whole = len(all_mistakes())
    bad = count["crashed"] + count["an error elsewhere"]
    holds = count["told"] >= 0.95 * whole and count["taken"] <= 2 and not bad
    rest = f"{count['taken']} accepted, {count['told elsewhere']} told elsewhere only, {count['crashed']} crashed"
    numbers = f"{count['told']} of {whole} told at the line, {rest}, {count['an error elsewhere']} with an error where none is"
    return Line("mistakes", numbers, holds, tuple(wrong))


_DECLARED = re.compile(r"^(?:param|var|resource|output|module|type|func|metadata) (\w+)", re.MULTILINE)
# Their mistake swallows what comes after it, or is none where something does: they can only be the second of two.
_AT_THE_END = ("01-", "02-", "14-", "31-", "32-")


def pairs_told(number: int = 50, seed: int = 22) -> Line:
    """Two mistakes in one file: what the second one declares is renamed where the first one speaks of it."""
    chosen = random.Random(seed)
    found = [each for each, made in all_mistakes() if made.kind in ("mistake", "outside")]
    pairs = [(first, second) for first in found for second in found if _can_follow(first, second)]
    told = 0
    wrong: list[str] = []
    for first, second in chosen.sample(pairs, number):
        head = first.source.rstrip("\n") + "\n"
        made = compiled(head + _renamed(second.source, first.source), first.file.parent)
        shift = head.count("\n")
        both = made.lines & first.stated and made.lines & {line + shift for line in second.stated}
        told += bool(both)
        if not both:
            wrong.append(f"{first.file.stem} and {second.file.stem} (from line {shift + 1}): {made.told}")
    return Line("pairs of mistakes", f"{told} of {number} both told", told == number, tuple(wrong))


def _can_follow(first: Mistake, second: Mistake) -> bool:
    """Whether both mistakes are still there: what the second one misses must not be what the first one declares."""
    declared = set(_DECLARED.findall(first.source)) - set(_DECLARED.findall(second.source))
    mentioned = set(re.findall(r"\w+", second.source))
    return first is not second and not first.file.name.startswith(_AT_THE_END) and not declared & mentioned


def _renamed(source: str, before: str) -> str:
    taken = set(re.findall(r"\w+", before))
    for name in dict.fromkeys(each for each in _DECLARED.findall(source) if each in taken):
        source = re.sub(rf"(?<![\w.'@]){name}(?![\w':(])", f"{name}Two", source)
    return source


def snapshots() -> Line:
    official = ours = taken = 0
    wrong: list[str] = []
    for name, made in valid().items():
        wanted = read("snapshots", f"{name}.snapshot.json")
        for which, template in (("official", read("golden", f"{name}.json")), ("ours", made.template)):
            if template is None:
                continue
            given = {"apiKey": "apikey0"} if "apiKey" in template.get("parameters", {}) else {}
            try:
                found = difference(snapshot(template, given), wanted)
            except Refused as refused:
                found = f"refused: {refused}"
            if which == "official":
                official += not found
            else:
                taken += 1
                ours += not found
            if found:
                wrong.append(f"{name} ({which}): {found}")
    whole = len(valid())
    numbers = f"{official} of {whole} official templates planned equal, {ours} of {taken} of our own"
    return Line("snapshots", numbers, official == whole and ours == taken, tuple(wrong))


def public_templates() -> Line:
    wrong: list[str] = []
    files = sorted((corpus() / "templates").glob("*.json"))
    for file in files:
        recorded = read("templates", file.name)
        source = shipped() if file.stem == "shipped" else file.with_suffix(".bicep").read_bytes().decode("utf-8")
        made = compiled(source, file.parent, file.with_suffix(".bicep").name)
        found = meant(made.template, recorded["template"]) if made.template else [made.told]
        if found:
            wrong.append(f"{file.stem}: {found[0]}")
    numbers = f"{len(files) - len(wrong)} of {len(files)} equal, the shipped one as commit {SHIPPED_AT} has it"
    return Line("public templates", numbers, not wrong, tuple(wrong))


def shipped() -> str:
    """The shipped template at that commit; the history must be there."""
    git = ["git", "-C", str(ROOT), "show", f"{SHIPPED_AT}:infra/provision/inference.bicep"]
    return subprocess.run(git, check=True, capture_output=True).stdout.decode("utf-8")


def evaluations() -> Line:
    equal = refused = whole = 0
    wrong: list[str] = []
    for file in sorted((corpus() / "templates").glob("*.json")):
        recorded = read("templates", file.name)
        for number, each in enumerate(recorded["evaluations"]):
            whole += 1
            try:
                made = snapshot(recorded["template"], each["parameters"])
            except Refused as problem:
                alike = "error" in each and same_refusal(str(problem), each["error"])
                refused += alike
                found = "" if alike else f"refused: {problem}"
            else:
                found = difference(made, each["snapshot"]) if "snapshot" in each else f"taken, not: {each['error']}"
                equal += not found
            if found:
                wrong.append(f"{file.stem} {number}: {found}")
    numbers = f"{equal} equal and {refused} refused alike of {whole}"
    return Line("evaluations", numbers, equal + refused == whole, tuple(wrong))


def functions() -> Line:
    answers = function_answers()
    count = Counter(each.kind for each in answers)
    valued = count["equal"] + count["other value"] + count["an error instead of a value"]
    refusals = count["refused alike"] + count["refused in other words"]
    never = ("other value", "a value instead of an error", "crashed")
    holds = not any(count[kind] for kind in never) and count["equal"] >= 0.95 * valued
    holds = holds and count["refused alike"] >= 0.9 * refusals
    wrong = [f"{each.kind}: {each.id}: {each.got} instead of {each.wanted}" for each in answers]
    kept = tuple(each for each in wrong if not each.startswith(("equal", "refused alike")))
    rest = "".join(f", {count[kind]} {kind}" for kind in (*never, "an error instead of a value"))
    numbers = f"{count['equal']} of {valued} values equal, {count['refused alike']} of {refusals} refusals alike{rest}"
    return Line("template functions", numbers, holds, kept)


def expressions() -> Line:
    """Each `bicep` of the table that we take is compiled to its `arm`; none that the official compiler refuses is taken."""
    count: Counter[str] = Counter()
    wrong: list[str] = []
    for case in function_cases():
        if case.get("crash"):
            continue  # the official compiler has no answer
        made = compiled(f"var probe = {case['bicep']}\n", corpus())
        if made.kind == "crashed":
            count["crashed"] += 1
            wrong.append(f"crashed: {case['id']}: {made.told}")
        elif (case.get("diagnostic") or {}).get("code"):
            count["refused alike" if made.template is None else "taken, not refused"] += 1
            if made.template is not None:
                wrong.append(f"taken: {case['id']}: {case['bicep']}: {case['diagnostic']['message']}")
        elif made.template is None:
            count["outside" if made.kind == "outside" else "called a mistake"] += 1
            if made.kind == "mistake":
                wrong.append(f"called a mistake: {case['id']}: {case['bicep']}: {made.told}")
        elif _same_expression(made.template.get("variables", {}).get("probe"), case.get("arm")):
            count["equal"] += 1
        else:
            count["different"] += 1
            wrong.append(f"different: {case['id']}: {made.template.get('variables')} instead of {case['arm']}")
    holds = not any(count[kind] for kind in ("different", "crashed", "taken, not refused"))
    rest = "".join(f", {count[kind]} {kind}" for kind in ("different", "crashed", "outside", "called a mistake"))
    stated = count["refused alike"] + count["taken, not refused"]
    numbers = f"{count['equal']} compiled equal{rest}; {count['refused alike']} of {stated} wrong ones refused"
    return Line("expressions", numbers, holds, tuple(wrong))


def _same_expression(ours: Any, official: Any) -> bool:
    if comparable(ours) == comparable(official):
        return True
    mine, theirs = _outcome(ours), _outcome(official)
    return json.dumps(mine) == json.dumps(theirs)


def _outcome(expression: Any) -> tuple[str, Any]:
    try:
        return "value", evaluate(expression, Scope(functions=place_functions(corpus_place())))
    except ExpressionError as refused:
        return "refused", first_sentence(str(refused))


def measured() -> Iterator[Line]:
    for measure in (
        valid_files,
        mistakes_told,
        pairs_told,
        snapshots,
        public_templates,
        evaluations,
        functions,
        expressions,
    ):
        yield measure()
