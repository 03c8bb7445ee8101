"""What lists of a provider's resources understand of OData: a filter, pages. A page names the next one by a token."""

from collections.abc import Mapping
from typing import Any

from sidecar.localcloud.cloud import odata
from sidecar.localcloud.core.errors import invalid
from sidecar.localcloud.core.fields import Json, member

# The options that a list of each type takes; all others take none.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "microsoft.app/containerapps/revisions": ("$filter",),
    "microsoft.storage/storageaccounts/fileservices/shares": ("$filter", "$expand", "$maxpagesize", "$skiptoken"),
}
# What `$expand` may name: soft-deleted shares and snapshots, of which there are none here.
_OF_SHARES = ("deleted", "snapshots")


def page(query: Mapping[str, str], kind: str, values: list[Json], here: str) -> Json:
    """The answer of a list. `here`: its address, without the query."""
    odata.require_known(query, OPTIONS.get(kind.lower(), ()))
    if kind.lower().endswith("/revisions"):
        return {"value": _active(query, values)}
    if kind.lower().endswith("/shares"):
        return _shares(query, values, here)
    return {"value": values}


def _active(query: Mapping[str, str], revisions: list[Json]) -> list[Json]:
    alternatives = odata.parsed_filter(query.get("$filter", ""), ("properties/active",))
    return [
        each
        for each in revisions
        if not alternatives or any(all(odata.holds(c, _said(each)) for c in wanted) for wanted in alternatives)
    ]


def _said(revision: Json) -> str:
    return str(bool(member(revision, "properties").get("active"))).lower()


def _shares(query: Mapping[str, str], shares: list[Json], here: str) -> Json:
    for name in (each.strip() for each in query.get("$expand", "").split(",")):
        if name and name.lower() not in _OF_SHARES:
            raise invalid(
                f"The query option '$expand' with the value '{name}' is not supported here.", "InvalidQueryOption"
            )
    alternatives = odata.parsed_filter(query.get("$filter", ""), ("name",))
    if any(each["kind"] != "startswith" for wanted in alternatives for each in wanted):
        raise odata.refused_filter(query["$filter"])
    found = sorted(
        (
            each
            for each in shares
            if not alternatives or any(all(odata.holds(c, each["name"]) for c in wanted) for wanted in alternatives)
        ),
        key=lambda each: str(each["name"]),
    )
    token = next((value for name, value in query.items() if name.lower() == "$skiptoken"), "")
    after = [each for each in found if str(each["name"]) >= token]
    size = query.get("$maxpagesize", "")
    if size and (not size.isdigit() or int(size) < 1):
        raise invalid(f"Invalid $maxpagesize '{size}' specified in the query string.", "InvalidQueryOption")
    most = int(size or 5000)
    answer: dict[str, Any] = {"value": after[:most]}
    if len(after) > most:
        kept = "".join(f"&{name}={query[name]}" for name in ("$maxpagesize", "$filter", "$expand") if name in query)
        answer["nextLink"] = f"{here}?api-version={query['api-version']}{kept}&$skipToken={after[most]['name']}"
    return answer
