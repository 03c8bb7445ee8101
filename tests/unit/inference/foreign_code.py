"""Code of a folder's own, as a hostile model or adapter brings it, and the mark that it leaves when anything runs it."""

import json
from pathlib import Path

AUTO_MAP = {"AutoConfig": "trap.Trap", "AutoModelForCausalLM": "trap.Trap", "AutoTokenizer": ["trap.Trap", "trap.Trap"]}


def lay_trap(folder: Path, mark: Path, *files: str) -> None:
    """A module in the folder, and `auto_map` in those JSON files that names it."""
    (folder / "trap.py").write_text(f"open({str(mark)!r}, 'w').close()\n\n\nclass Trap: ...\n")
    for file in (folder / name for name in files):
        written = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**written, "auto_map": AUTO_MAP}))
