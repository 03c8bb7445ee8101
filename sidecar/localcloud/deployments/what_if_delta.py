"""The delta of a what-if: a resource as it reads compared with what a template states, in Azure's form and with its noise.

Arrays are compared by position, as one change of the kind Array with a child for each member that differs. Of container apps and
environments people have seen that defaults which a template leaves out read as deleted; of other types nobody wrote it down.
"""

from typing import Any

from sidecar.localcloud.core.fields import Json, as_list, as_object

_NOISY = ("microsoft.app/containerapps", "microsoft.app/managedenvironments")
_READ_ONLY = frozenset(
    (
        *(
            "provisioningstate",
            "latestrevisionname",
            "latestreadyrevisionname",
            "latestrevisionfqdn",
            "deploymenterrors",
        ),
        *("customdomainverificationid", "eventstreamendpoint", "environmentid", "managedenvironmentid", "fqdn"),
        *("defaultdomain", "staticip", "systemdata"),
    )
)
"""What ARM knows to be read-only, and leaves out. `runningStatus` and `outboundIpAddresses` were seen not to be among them."""


def delta(kind: str, before: Json, after: Json, stated: tuple[str, ...]) -> list[Json]:
    """`stated`: the parts of a resource that a template writes."""
    wanted = {name: value for name, value in after.items() if name in stated}
    changes = _differences(before, wanted, "")
    if kind.lower() in _NOISY:
        changes += _left_out(before.get("properties"), after.get("properties"), "properties")
    return changes


def _differences(before: Any, after: Json, path: str) -> list[Json]:
    changes: list[Json] = []
    for name, value in after.items():
        place = f"{path}.{name}" if path else name
        old = (as_object(before) or {}).get(name)
        inner = as_object(value)
        if inner is not None and as_object(old) is not None:
            changes += _differences(old, inner, place)
        elif _same(old, value):
            continue
        elif old and value and as_list(old) is not None and as_list(value) is not None:
            children = _members(as_list(old) or [], as_list(value) or [])
            changes += [_changed(place, "Array", None, None, children)] if children else []
        else:
            kind = "Create" if old is None else ("Delete" if value is None else "Modify")
            changes.append(_changed(place, kind, old, value))
    return changes


def _members(before: list[Any], after: list[Any]) -> list[Json]:
    """Each position that differs; those that one side alone has come to be, or go."""
    found: list[Json] = []
    for number in range(max(len(before), len(after))):
        if number >= len(before):
            found.append(_changed(str(number), "Create", None, after[number]))
        elif number >= len(after):
            found.append(_changed(str(number), "Delete", before[number], None))
        elif (inner := as_object(after[number])) is not None and as_object(before[number]) is not None:
            children = _differences(before[number], inner, "")
            found += [_changed(str(number), "Modify", None, None, children)] if children else []
        elif not _same(before[number], after[number]):
            found.append(_changed(str(number), "Modify", before[number], after[number]))
    return found


def _left_out(before: Any, after: Any, path: str) -> list[Json]:
    """What is there and the template does not state, inside of what it states: read as deleted."""
    have, stated = as_object(before), as_object(after)
    if have is None or stated is None:
        olds, news = as_list(before), as_list(after)
        if olds is None or news is None:
            return []
        children: list[Json] = []
        for number, (old, new) in enumerate(zip(olds, news, strict=False)):
            inside = _left_out(old, new, "")
            children += [_changed(str(number), "Modify", None, None, inside)] if inside else []
        return [_changed(path, "Array", None, None, children)] if children else []
    found: list[Json] = []
    for name, value in have.items():
        place = f"{path}.{name}" if path else name
        if name in stated:
            found += _left_out(value, stated[name], place)
        elif value is not None and name.lower() not in _READ_ONLY:
            found.append(_changed(place, "Delete", value, None))
    return found


def _changed(path: str, kind: str, before: Any, after: Any, children: list[Json] | None = None) -> Json:
    return {"path": path, "propertyChangeType": kind, "before": before, "after": after, "children": children}


def _same(old: Any, value: Any) -> bool:
    return (
        value == old
        or (value in (None, [], {}) and old in (None, [], {}))
        or _unknown(value)
        or (isinstance(value, str) and isinstance(old, str) and _same_text(value, old))
    )


def _same_text(left: str, right: str) -> bool:
    """Locations and enumerated values come back in another casing."""
    return left.replace(" ", "").lower() == right.replace(" ", "").lower()


def _unknown(value: Any) -> bool:
    """Azure reads reference() and list*() already here; other values that it can't know it reports as changed."""
    read = isinstance(value, str) and value.startswith("[") and value.endswith("]")
    return read and ("reference(" in value or "list" in value)
