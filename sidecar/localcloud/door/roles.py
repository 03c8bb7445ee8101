"""What a role lets its holder do at ARM: the action that a request is, by Azure's name, and whether a role has it. Pure."""

from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.identity import Caller
from sidecar.localcloud.core.resource_id import parse_resource_id

_VERBS = {"PUT": "write", "PATCH": "write", "DELETE": "delete", "GET": "read", "HEAD": "read"}
_GROUP = "Microsoft.Resources/subscriptions/resourceGroups"
# Requests that are POST and, to Azure, no more than reading.
_READS = frozenset(("checknameavailability", "calculatetemplatehash"))


def authorize(caller: Caller, method: str, path: str) -> None:
    """A reader reads: everything else is refused in ARM's words. ArmError AuthorizationFailed."""
    action, scope = action_of(method, path)
    if caller.role != "Reader" or action.endswith("/read"):
        return
    raise ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{caller.client_id}' with object id '{caller.object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your "
        "credentials.",
    )


def permissions_of(caller: Caller) -> list[Json]:
    """What Microsoft.Authorization/permissions tells: the actions of the caller's role, and what it takes back."""
    taken = (
        ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"] if caller.role == "Contributor" else []
    )
    actions = ["*/read"] if caller.role == "Reader" else ["*"]
    return [{"actions": actions, "notActions": taken, "dataActions": [], "notDataActions": []}]


def action_of(method: str, path: str) -> tuple[str, str]:
    """(`Microsoft.App/containerApps/listSecrets/action`, what it is done to): a POST's last part is what is done."""
    if method == "POST":
        scope, _, verb = path.rstrip("/").rpartition("/")
        kind = "read" if verb.lower() in _READS else "action"
        return f"{_type(scope)}/{verb}/{kind}", _scope(scope)
    return f"{_type(path)}/{_VERBS.get(method, 'action')}", path


def _type(path: str) -> str:
    found = parse_resource_id(path)
    if found:
        return found.type
    at = path.lower().rfind("/providers/")
    # A provider itself (register), or its list of a type; what is in no provider is a group or a subscription.
    return path[at + len("/providers/") :] if at >= 0 else _GROUP


def _scope(path: str) -> str:
    """What a provider is asked as a whole is asked of the subscription."""
    before, _, namespace = path.rpartition("/providers/")
    return before if before and "/" not in namespace else path
