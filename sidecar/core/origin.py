"""Where a release comes from: the Git commit of its folder, as far as Git can tell."""

from __future__ import annotations

import subprocess
from pathlib import Path

GIT_SECONDS = 5


def commit_of(folder: Path) -> str:
    """The commit's hash, with `+` where files of the folder differ from it and `?` where Git does not tell; empty without Git, or
    outside a repository."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return ""
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return head + ("?" if changed is None else "+" if changed else "")


def remote_of(folder: Path) -> str | None:
    """Where the repository came from; None where Git names nothing."""
    return _git(folder, "config", "--get", "remote.origin.url")


def _git(folder: Path, *arguments: str) -> str | None:
    """Git's answer. Its hooks for watching files are programs that a repository names: they are not run."""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):  # no Git, or one that hangs: a release needs none
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None
