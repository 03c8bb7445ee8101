"""The providers: the types that each offers, and whether a subscription has registered it."""

from collections.abc import Mapping, Sequence

from sidecar.localcloud.cloud.api_versions import versions
from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.identity import Subscription
from sidecar.localcloud.core.state import Resource

# The types that a provider offers, as `GET /providers/{namespace}` lists them.
PROVIDER_TYPES: Mapping[str, tuple[str, ...]] = {
    "Microsoft.App": (
        "managedEnvironments",
        "managedEnvironments/storages",
        "containerApps",
        "containerApps/revisions",
    ),
    "Microsoft.Storage": ("storageAccounts", "storageAccounts/fileServices", "storageAccounts/fileServices/shares"),
    "Microsoft.OperationalInsights": ("workspaces",),
    "Microsoft.Resources": ("resourceGroups", "deployments"),
    "Microsoft.Authorization": ("roleAssignments",),
}


def _versions(kind: str) -> Sequence[str]:
    return versions(kind) or ("2022-04-01",)  # of Authorization, which has no list here


def registration(cloud: LocalCloud, subscription: Subscription, namespace: str) -> str:
    """Registered or NotRegistered."""
    stored = cloud.store.get(f"/subscriptions/{subscription.id}/registrations/{namespace}")
    if stored:
        return stored.body["state"]
    known = {name.lower() for name in cloud.settings.preregistered}
    # Providers that we know nothing of are opaque: nothing is refused there.
    ours = namespace.lower() in {name.lower() for name in PROVIDER_TYPES}
    return "NotRegistered" if ours and namespace.lower() not in known else "Registered"


def register(cloud: LocalCloud, subscription: Subscription, namespace: str, state: str) -> Json:
    key = f"/subscriptions/{subscription.id}/registrations/{namespace}"
    cloud.store.put(Resource(key, "registration", {"state": state}))
    return show_provider(cloud, subscription, namespace)


def require_registered(cloud: LocalCloud, subscription: Subscription, namespace: str) -> None:
    if registration(cloud, subscription, namespace) != "Registered":
        raise ArmError(
            409,
            "MissingSubscriptionRegistration",
            f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how "
            "to register subscriptions.",
            details=[
                {
                    "code": "MissingSubscriptionRegistration",
                    "target": namespace,
                    "message": f"The subscription is not registered to use namespace '{namespace}'. See "
                    "https://aka.ms/rps-not-found for how to register subscriptions.",
                }
            ],
        )


def show_provider(cloud: LocalCloud, subscription: Subscription, namespace: str) -> Json:
    known = next((name for name in PROVIDER_TYPES if name.lower() == namespace.lower()), None)
    if known is None:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
    places = list(cloud.settings.locations.values())
    return {
        "id": f"/subscriptions/{subscription.id}/providers/{known}",
        "namespace": known,
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": places,
                "apiVersions": _versions(f"{known}/{kind}"),
                "defaultApiVersion": _versions(f"{known}/{kind}")[0],
                "capabilities": "CrossResourceGroupResourceMove, SupportsTags, SupportsLocation",
            }
            for kind in PROVIDER_TYPES[known]
        ],
        "registrationState": registration(cloud, subscription, known),
        "registrationPolicy": "RegistrationFree" if known == "Microsoft.Resources" else "RegistrationRequired",
    }
