"""`npm run contract`: the local cloud against Microsoft's clients, recordings and Swagger files; prints what was covered."""

import json
import subprocess
import sys

from sidecar.armlang.functions import FUNCTIONS
from tests.contract import fates, recorded
from tests.contract.localcloud.replay import ROOT, SPECS, read_pairs
from tests.contract.localcloud.test_bicep_types import BICEP_SUMMARY
from tests.contract.localcloud.test_recordings import EXPLAINED
from tests.contract.localcloud.test_swagger import SUMMARY
from tests.support.facts import NOT_COUNTED, listed_facts, read_claims

OBSERVED = ROOT.parent / "shared" / "design" / "azure-observed.md"
CLAIMS = ("-p", "tests.support.facts", "--facts")
CONTRACT_FACTS = ROOT / "build" / "contract" / "facts-contract.json"
OTHER_FACTS = ROOT / "build" / "contract" / "facts-others.json"
NO_TESTS = 5
"""How pytest ends where no test was selected."""


def main() -> int:
    SUMMARY.unlink(missing_ok=True)
    BICEP_SUMMARY.unlink(missing_ok=True)
    CONTRACT_FACTS.unlink(missing_ok=True)
    OTHER_FACTS.unlink(missing_ok=True)
    tests = ["-m", "pytest", "tests/contract/localcloud", "tests/unit/sidecar/test_expressions.py", "-q", *sys.argv[1:]]
    code = subprocess.run([sys.executable, *tests, *CLAIMS, str(CONTRACT_FACTS)], check=False).returncode
    # Facts of real Azure are reproduced by tests of every kind: those outside the contract tests that claim one run too.
    others = [
        "-m",
        "pytest",
        "tests",
        "--ignore=tests/contract/localcloud",
        "-q",
        "-m",
        "fact and not long",
        *CLAIMS,
        str(OTHER_FACTS),
    ]
    further = subprocess.run([sys.executable, *others], check=False).returncode
    code = code or (further if further != NO_TESTS else 0)
    print(f"\ntemplate functions        {len(FUNCTIONS)} plain ones, beside those of the scope, reference and list*")
    if SPECS.exists():
        pairs = read_pairs()
        templates = {
            json.dumps(template, sort_keys=True)
            for pair in pairs
            if isinstance(pair.body, dict) and (template := (pair.body.get("properties") or {}).get("template"))
        }
        print(f"recorded pairs read       {len(pairs)}, with {len(templates)} templates")
        if code == 0:
            print(
                f"    of the recorded shape {len(pairs) - len(EXPLAINED)}; outputs, dependencies and what-ifs all equal"
            )
            for name, reason in EXPLAINED.items():
                print(f"    not {name}: {reason}")
    print_facts()
    print_bicep()
    print_swagger()
    if SPECS.exists():
        code = max(code, recorded.main(), fates.main([]))
    return code


def print_swagger() -> None:
    """What passed ARM's door, against Microsoft's Swagger files, and the deviations by name."""
    if not SUMMARY.exists():
        print("Swagger                   not validated (no ../shared/azure-specs, no node or no oav)")
        return
    summary = json.loads(SUMMARY.read_text())
    print(f"ARM pairs recorded        {summary['pairs']}")
    print(f"validated by oav          {summary['validated']} pairs of {len(summary['operations'])} operations")
    for name, count in sorted(summary["operations"].items()):
        print(f"    {count:5}  {name}")
    print("not validated")
    for why, count in sorted(summary["skipped"].items()):
        print(f"    {count:5}  {why}")
    print("deviations, by name")
    for name, count in sorted(summary["known"].items()):
        print(f"    {count:5}  {name}: {summary['reasons'][name]}")
    print(f"problems                  {len(summary['problems'])}")


def print_facts() -> None:
    """The numbered facts of real Azure that passed tests reproduce, those that none does, and the captures compared."""
    if not OBSERVED.exists():
        print("facts of real Azure       not counted (no ../shared/design/azure-observed.md)")
        return
    known = listed_facts(OBSERVED.read_text(encoding="utf-8"))
    claimed: set[int] = set()
    captures: set[str] = set()
    for file in (CONTRACT_FACTS, OTHER_FACTS):
        facts, used = read_claims(file) if file.exists() else ({}, [])
        claimed |= facts.keys()
        captures |= set(used)
    counted = known - NOT_COUNTED
    missing = sorted(counted - claimed)
    print(f"facts of real Azure       {len(counted & claimed)} of {len(counted)} have a test that passed")
    print(f"    without one: {', '.join(map(str, missing)) or 'none'}")
    if strange := sorted(claimed - known):
        print(f"    claimed, and not in the list: {strange}")
    print(f"captures of real Azure    {len(captures)} compared with what the local cloud or the product answers")
    for name in sorted(captures):
        print(f"           {name}")


def print_bicep() -> None:
    """The bodies that were checked against the bicep types, and the deviations by name."""
    if not BICEP_SUMMARY.exists():
        print("bicep types               not checked (no ../shared/azure-specs/bicep-types-az)")
        return
    summary = json.loads(BICEP_SUMMARY.read_text())
    print(f"bodies against bicep      {sum(summary['bodies'].values())} of {len(summary['bodies'])} types and sides")
    for name, count in sorted(summary["bodies"].items()):
        print(f"    {count:5}  {name}")
    print("deviations from bicep, by name")
    for name, count in sorted(summary["deviations"].items()):
        print(f"    {count:5}  {name}: {summary['reasons'][name]}")
    print(f"problems                  {len(summary['problems'])}")


if __name__ == "__main__":
    sys.exit(main())
