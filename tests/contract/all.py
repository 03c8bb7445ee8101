"""`npm run contract`: the local cloud against Microsoft's clients, recordings and Swagger files; prints what was covered."""

import json
import subprocess
import sys

from sidecar.armlang.functions import FUNCTIONS
from tests.contract.localcloud.replay import SPECS, read_pairs
from tests.contract.localcloud.test_bicep_types import BICEP_SUMMARY
from tests.contract.localcloud.test_recordings import EXPLAINED
from tests.contract.localcloud.test_swagger import SUMMARY


def main() -> int:
    SUMMARY.unlink(missing_ok=True)
    BICEP_SUMMARY.unlink(missing_ok=True)
    tests = ["-m", "pytest", "tests/contract/localcloud", "tests/unit/sidecar/test_expressions.py", "-q", *sys.argv[1:]]
    code = subprocess.run([sys.executable, *tests], check=False).returncode
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
    print_bicep()
    if not SUMMARY.exists():
        print("Swagger                   not validated (no ../shared/azure-specs, no node or no oav)")
        return code
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
    return code


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
