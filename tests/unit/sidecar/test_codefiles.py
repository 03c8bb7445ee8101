"""What of a folder is code: names that never travel, and people's ignore files with Git's own answer as the oracle."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.core.codefiles import read_tree
from sidecar.words.errors import WorkspaceError


def made(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root / "inference"


def travelling(root: Path, files: dict[str, str]) -> list[str]:
    code = made(root, files)
    return [entry.path for entry in read_tree(code, root).entries]


def test_secrets_weights_and_what_tools_leave_never_travel_and_the_first_two_are_told(tmp_path: Path) -> None:
    code = made(
        tmp_path,
        {
            "inference/app.py": "",
            "inference/.env": "KEY=1",
            "inference/.env.local": "KEY=1",
            "inference/sub/Model.SafeTensors": "w",
            "inference/adapter_model.bin": "w",
            "inference/lookup.bin": "data",
            "inference/.git/HEAD": "ref",
            "inference/py/pyvenv.cfg": "home = /usr",
            "inference/py/bin/python": "",
            "inference/__pycache__/app.pyc": "",
            "inference/.slipwayignore": "!.env\n!*.bin\n",
        },
    )
    tree = read_tree(code, tmp_path)
    assert [entry.path for entry in tree.entries] == ["app.py", "lookup.bin"]
    assert [(each.path, each.why) for each in tree.left_out] == [
        (".env", "secret"),
        (".env.local", "secret"),
        ("adapter_model.bin", "model"),
        ("sub/Model.SafeTensors", "model"),
    ]


def test_both_ignore_files_count_in_each_folder_and_slipways_has_the_last_word(tmp_path: Path) -> None:
    files = {
        ".gitignore": "*.log\n/inference/generated/\nnotes/\n",
        "inference/a.py": "",
        "inference/a.log": "",
        "inference/generated/table.py": "",
        "inference/notes/x.md": "",
        "inference/sub/b.log": "",
        "inference/sub/c.tmp": "",
        "inference/sub/.gitignore": "*.tmp\n!b.log\n",
    }
    assert travelling(tmp_path, files) == ["a.py", "sub/b.log"]
    assert travelling(tmp_path, {".slipwayignore": "!/inference/generated/\n"}) == [
        "a.py",
        "generated/table.py",
        "sub/b.log",
    ]
    tree = read_tree(tmp_path / "inference", tmp_path)
    assert ("a.log", "ignored", ".gitignore") in [(each.path, each.why, each.by) for each in tree.left_out]


def test_an_ignore_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    code = made(tmp_path, {"inference/a.py": ""})
    (code / ".gitignore").write_bytes(b"\xff\xfe*\x00")
    with pytest.raises(WorkspaceError, match=r"\.gitignore is not UTF-8"):
        read_tree(code, tmp_path)
    (code / ".gitignore").write_text("!\n")
    with pytest.raises(WorkspaceError) as refused:
        read_tree(code, tmp_path)
    assert refused.value.code == "BadIgnoreFile"


names = st.sampled_from(["a", "b", "a.py", "b.txt", "dir"])
patterns = st.sampled_from(
    ["a", "/a", "*.py", "!*.py", "dir/", "!dir/", "/inference/dir", "**/a", "dir/**", "!dir/a", "a*", "[ab].py", "# a"]
)


@settings(max_examples=25, deadline=None)
@example([["dir", "a", "a"]], [], ["a", "!dir/"])
@given(
    st.lists(st.lists(names, min_size=1, max_size=3), min_size=1, max_size=6),
    st.lists(patterns, max_size=3),
    st.lists(patterns, max_size=3),
)
def test_what_travels_is_what_git_would_take(paths: list[list[str]], above: list[str], inside: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        code = root / "inference"
        code.mkdir()
        for parts in paths:
            file = code.joinpath(*parts[:-1], f"{parts[-1]}.f")
            if not any(parent.is_file() for parent in file.parents):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("")
                if not (file.parent / parts[-1]).exists():
                    (file.parent / parts[-1]).write_text("")
        (root / ".gitignore").write_text("\n".join(above))
        (code / ".gitignore").write_text("\n".join(inside))
        subprocess.run(["git", "init", "-q", place], check=True)
        listed = subprocess.run(
            ["git", "-C", place, "ls-files", "-z", "--others", "--exclude-standard", "inference"],
            check=True, capture_output=True,
        ).stdout.decode()  # fmt: skip
        expected = {each.removeprefix("inference/") for each in listed.split("\0") if each} - {".gitignore"}
        assert {entry.path for entry in read_tree(code, root).entries} == expected
