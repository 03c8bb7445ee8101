"""What the whole suite said to ARM and heard from it, the journeys in VS Code included, against Microsoft's Swagger files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.contract.localcloud.replay import SPECS

ROOT = Path(__file__).resolve().parents[2]


def main(traffic: Path) -> int:
    """Validates a folder of recorded traffic; 1 when a pair is not as the files say, or none was validated."""
    if not SPECS.exists():
        print("skipped: the Swagger files are not beside the project (../shared/azure-specs)")
        shutil.rmtree(traffic)
        return 0
    summary = traffic.with_suffix(".json")
    script = ROOT / "tests" / "contract" / "localcloud" / "validate.mjs"
    command = ["node", str(script), str(SPECS / "specification"), str(traffic), str(summary)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print((done.stdout + done.stderr)[-4000:])
        return done.returncode
    found = json.loads(summary.read_text())
    print(
        f"{found['pairs']} pairs recorded; {found['validated']} pairs of {len(found['operations'])} operations validated"
    )
    for problem in found["problems"]:
        print(json.dumps(problem))
    if found["problems"] or not found["validated"]:
        return 1
    shutil.rmtree(traffic)  # the bodies hold the keys of clouds that are gone
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
