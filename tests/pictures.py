"""The pictures of the walkthrough, as the tests take them: `python -m tests.pictures` fetches them from build/screenshots."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "extension" / "media" / "walkthrough"
TAKEN = ROOT / "build" / "screenshots"

PICTURES: Mapping[str, tuple[str, str]] = {
    "provision.png": ("tests/e2e/editor.spec.ts", "editor 2 Change it to acaAppName"),
    "deploy.png": ("tests/e2e/failures.spec.ts", "failure 4c rolled back"),
}
"""The test that takes each, and what it calls it."""


def main() -> int:
    missing = [title for _, title in PICTURES.values() if not (TAKEN / f"{title}.png").exists()]
    if missing:
        print(f"not taken yet: {', '.join(missing)}; run their tests first")
        return 1
    for name, (_, title) in PICTURES.items():
        shutil.copyfile(TAKEN / f"{title}.png", PAGES / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
