"""Which namespaces and types Azure has, as far as templates for container apps name them; what it says to the others. Pure.

Types of our own namespaces are all listed: a misspelt one is refused. Of other namespaces only the names are known, and any
type in them is taken.
"""

import logging
from collections.abc import Mapping

from sidecar.localcloud.cloud.api_versions import is_supported, no_provider, versions
from sidecar.localcloud.cloud.registration import PROVIDER_TYPES
from sidecar.localcloud.core.errors import ArmError
from sidecar.localcloud.core.settings import UnknownTypes

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
# Of these Azure makes some by itself: a list of those that were stored here would be another than Azure's.
_MADE_BY_AZURE = frozenset(
    (
        "microsoft.app/containerapps/detectors",
        "microsoft.operationalinsights/workspaces/tables",
        "microsoft.storage/storageaccounts/blobservices",
        "microsoft.storage/storageaccounts/queueservices",
        "microsoft.storage/storageaccounts/tableservices",
    )
)
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


log = logging.getLogger(__name__)


def require_namespace(namespace: str) -> None:
    """ArmError InvalidResourceNamespace where Azure has no such provider."""
    if namespace.lower() not in _TYPES and namespace.lower() not in _OTHER:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")


def require_type(name: str, version: str, unknown: UnknownTypes = "refused") -> None:
    """What a request on a resource is told of a namespace or type that Azure does not have."""
    if unknown == "stored" and not is_offered(name):
        log.warning("%s is a type that Azure may not have: taken, since the setting unknown_types says so", name)
        return
    namespace, _, kind = name.partition("/")
    require_namespace(namespace)
    if not is_offered(name):
        raise ArmError(
            404,
            "InvalidResourceType",
            f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{version}'. The "
            f"supported api-versions are '{', '.join(versions(namespace))}'.",
        )


def require_registered_type(
    name: str, version: str, location: str, locations: str, unknown: UnknownTypes = "refused"
) -> None:
    """The same for a resource of a template: ARM looks for a provider that takes this type, version and place."""
    if unknown == "stored" and not is_offered(name):
        require_type(name, version, unknown)
        return
    require_namespace(name.partition("/")[0])
    if not is_offered(name) or not is_supported(name, version):
        raise no_provider(name, version, location, locations)


def require_listable(name: str) -> None:
    """ArmError for a list of what Azure makes by itself and nothing here does."""
    if name.lower() in _MADE_BY_AZURE or name.lower().startswith("microsoft.resources/"):
        raise ArmError(404, "InvalidResourceType", f"The local cloud has no list of the resource type '{name}'.")


def is_offered(name: str) -> bool:
    """Whether Azure has the type; of foreign namespaces every type counts as there."""
    namespace, _, kind = name.partition("/")
    known = _TYPES.get(namespace.lower())
    return namespace.lower() in _OTHER if known is None else kind.lower() in known
