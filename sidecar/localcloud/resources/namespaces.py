"""Which namespaces and types Azure has, as far as templates for container apps name them; what it says to the others. Pure.

Types of our own namespaces are all listed: a misspelt one is refused. Of other namespaces only the names are known, and any
type in them is taken.
"""

import re
from collections.abc import Mapping

from sidecar.localcloud.cloud.registration import PROVIDER_TYPES, VERSIONS
from sidecar.localcloud.core.errors import ArmError

# Real types of our namespaces that are stored without being acted on. Not listed, and so refused: what would have to do
# something to be of use, as deployment stacks and scripts or the tags of a scope.
_STORED: Mapping[str, tuple[str, ...]] = {
    "Microsoft.App": (
        "connectedEnvironments",
        "connectedEnvironments/certificates",
        "connectedEnvironments/daprComponents",
        "connectedEnvironments/storages",
        "containerApps/authConfigs",
        "containerApps/detectors",
        "containerApps/revisions/replicas",
        "containerApps/sourcecontrols",
        "jobs",
        "jobs/executions",
        "logicApps",
        "managedEnvironments/certificates",
        "managedEnvironments/daprComponents",
        "managedEnvironments/dotNetComponents",
        "managedEnvironments/httpRouteConfigs",
        "managedEnvironments/javaComponents",
        "managedEnvironments/maintenanceConfigurations",
        "managedEnvironments/managedCertificates",
        "managedEnvironments/privateEndpointConnections",
        "sessionPools",
    ),
    "Microsoft.Storage": (
        "storageAccounts/blobServices",
        "storageAccounts/blobServices/containers",
        "storageAccounts/encryptionScopes",
        "storageAccounts/inventoryPolicies",
        "storageAccounts/localUsers",
        "storageAccounts/managementPolicies",
        "storageAccounts/objectReplicationPolicies",
        "storageAccounts/privateEndpointConnections",
        "storageAccounts/queueServices",
        "storageAccounts/queueServices/queues",
        "storageAccounts/tableServices",
        "storageAccounts/tableServices/tables",
    ),
    "Microsoft.OperationalInsights": (
        "clusters",
        "queryPacks",
        "queryPacks/queries",
        "workspaces/dataExports",
        "workspaces/dataSources",
        "workspaces/linkedServices",
        "workspaces/linkedStorageAccounts",
        "workspaces/savedSearches",
        "workspaces/storageInsightConfigs",
        "workspaces/tables",
    ),
    "Microsoft.Resources": (),
    "Microsoft.Authorization": ("locks", "policyAssignments", "policyDefinitions", "roleDefinitions"),
}
# Namespaces of which nothing but the name is known.
OTHER_NAMESPACES = (
    "Microsoft.AlertsManagement",
    "Microsoft.ApiManagement",
    "Microsoft.AppConfiguration",
    "Microsoft.Automation",
    "Microsoft.Cache",
    "Microsoft.Cdn",
    "Microsoft.CognitiveServices",
    "Microsoft.Communication",
    "Microsoft.Compute",
    "Microsoft.Consumption",
    "Microsoft.ContainerInstance",
    "Microsoft.ContainerRegistry",
    "Microsoft.ContainerService",
    "Microsoft.Dashboard",
    "Microsoft.DBforMySQL",
    "Microsoft.DBforPostgreSQL",
    "Microsoft.DevCenter",
    "Microsoft.DocumentDB",
    "Microsoft.EventGrid",
    "Microsoft.EventHub",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.Kubernetes",
    "Microsoft.Logic",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Monitor",
    "Microsoft.Network",
    "Microsoft.OperationsManagement",
    "Microsoft.PolicyInsights",
    "Microsoft.Portal",
    "Microsoft.RecoveryServices",
    "Microsoft.Search",
    "Microsoft.Security",
    "Microsoft.ServiceBus",
    "Microsoft.SignalRService",
    "Microsoft.Sql",
    "Microsoft.Web",
)
_TYPES = {name.lower(): {kind.lower() for kind in (*PROVIDER_TYPES[name], *_STORED[name])} for name in PROVIDER_TYPES}
_OTHER = {name.lower() for name in OTHER_NAMESPACES}
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.IGNORECASE)


def require_namespace(namespace: str) -> None:
    """ArmError InvalidResourceNamespace where Azure has no such provider."""
    if namespace.lower() not in _TYPES and namespace.lower() not in _OTHER:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")


def require_type(name: str, version: str) -> None:
    """What a request on a resource is told of a namespace or type that Azure does not have."""
    namespace, _, kind = name.partition("/")
    require_namespace(namespace)
    if not _offered(namespace, kind):
        raise ArmError(
            404,
            "InvalidResourceType",
            f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{version}'. The "
            f"supported api-versions are '{_versions(namespace)}'.",
        )


def require_registered_type(name: str, version: str, location: str, locations: str) -> None:
    """The same for a resource of a template: ARM looks for a provider that takes this type, version and place."""
    namespace, _, kind = name.partition("/")
    require_namespace(namespace)
    if not _offered(namespace, kind) or not _VERSION.fullmatch(version):
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' and API version '{version}' for type '{kind}'. "
            f"The supported api-versions are '{_versions(namespace)}'. The supported locations are '{locations}'.",
        )


def _offered(namespace: str, kind: str) -> bool:
    known = _TYPES.get(namespace.lower())
    return known is None or kind.lower() in known


def _versions(namespace: str) -> str:
    return ", ".join(each for name, known in VERSIONS.items() if name.lower() == namespace.lower() for each in known)
