"""What the terminal says of an app that was started, stopped, taken away or looked into."""

from __future__ import annotations

from sidecar.decisions.pace import size
from sidecar.doors.terminal import facts, spoken
from sidecar.wire import protocol as wire


def switched(done: wire.Switched) -> str:
    return spoken(done.sentence)


def removed(found: wire.Removed) -> str:
    """The list, with what goes first; what was not made by this project has to be named to go."""
    rows = [
        *[("gone" if found.done else "goes", _removable(each)) for each in found.goes],
        *[("stays", _removable(each)) for each in found.stays],
        ("emptied", ", ".join(found.emptied) or None),
    ]
    title = f"Deleted: {found.confirm}" if found.done else f"Deleting {found.confirm} would do this:"
    title = title if found.app else f"The app is gone. {'Deleted' if found.done else 'Of what it left'}:"
    return facts(title, rows)


def _removable(each: wire.Removable) -> str:
    foreign = "" if each.ours else "; not made by this project"
    users = f"; used by {', '.join(each.users)}" if each.users else ""
    return f"{each.kind} {each.name} ({spoken(each.holds)}{foreign}{users})"


def diagnostics(done: wire.Diagnostics) -> str:
    """What it holds is said before anybody shares it."""
    rows = [
        *[("holds", f"{each.name} ({each.size} bytes)") for each in done.contents],
        *[("lacks", spoken(each)) for each in done.missing],
        ("next", "look at it before you share it: secrets are taken out, names and addresses are not"),
    ]
    return facts(f"Written: {done.file}", rows)


def rotated(done: wire.Rotated) -> str:
    rows = (
        [("key", "AI Toolkit: Show API key"), ("then", "AI Toolkit: Rotate API key with --finish")]
        if done.between
        else []
    )
    return facts(spoken(done.sentence), rows)


def warmed(done: wire.Warmed) -> str:
    return spoken(done.sentence)


def provision_cancelled(done: wire.ProvisionCancelled) -> str:
    return spoken(done.sentence)


def sampled(done: wire.Sampled) -> str:
    rows = [("base model", done.base), ("adapter", done.adapter), ("ask", done.question), ("answer", done.answer)]
    return facts(spoken(done.sentence), rows)


def uploaded(done: wire.Uploaded) -> str:
    rows = [
        ("folder", done.place),
        ("sent", f"{size(done.sent)}; {size(done.there)} were there already"),
        ("hash", None if done.hash is None else done.hash[:12]),
        *[("note", spoken(each)) for each in done.notes],
    ]
    return facts(spoken(done.sentence), rows)
