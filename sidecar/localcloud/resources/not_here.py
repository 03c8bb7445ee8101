"""Members of bodies that ask for what the local cloud does not have: refused by name, whatever else the body says. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from sidecar.localcloud.core.errors import invalid
from sidecar.localcloud.core.fields import as_list, as_object

_NOTHING: tuple[Any, ...] = (None, "", [], {}, False)
_KERBEROS = "azureFilesIdentityBasedAuthentication"
_RULES = "properties.template.scale.rules[]"
_SCALERS = ("azureQueue", "custom", "http", "tcp")
# By type: a member's path (`[]` for each entry of a list), further values that ask for nothing, what is not here.
_MEMBERS: Mapping[str, Mapping[str, tuple[tuple[Any, ...], str]]] = {
    "microsoft.app/containerapps": {
        "extendedLocation": ((), "there are no connected environments"),
        "managedBy": ((), "nothing manages an app from outside"),
        "kind": ((), "every app is alike"),
        "properties.configuration.dapr.appHealth": ((), "there is no Dapr"),
        "properties.configuration.dapr.maxConcurrency": ((), "there is no Dapr"),
        "properties.configuration.identitySettings": ((), "an identity gets no token"),
        "properties.configuration.runtime.java.enableMetrics": ((), "there are no metrics"),
        f"{_RULES}.azureQueue.accountName": ((), "there are no queues"),
        **{f"{_RULES}.{each}.identity": ((), "an identity gets no token") for each in _SCALERS},
    },
    "microsoft.app/managedenvironments": {
        "identity.type": (("None",), "an environment asks nobody"),
        "properties.customDomainConfiguration.certificateValue": ((), "there are no certificates"),
        "properties.customDomainConfiguration.certificateKeyVaultProperties": ((), "there are no key vaults"),
        "properties.ingressConfiguration": ((), "the ingress has no settings of an environment's"),
        "properties.publicNetworkAccess": (("Enabled",), "there are no private links"),
    },
    "microsoft.app/managedenvironments/storages": {
        "properties.azureFile.accountKeyVaultProperties": ((), "there are no key vaults"),
        "properties.nfsAzureFile": ((), "there is no NFS"),
    },
    "microsoft.operationalinsights/workspaces": {
        "identity.type": (("None",), "there are no clusters of workspaces"),
        "properties.publicNetworkAccessForIngestion": (("Enabled",), "there are no private links"),
        "properties.publicNetworkAccessForQuery": (("Enabled",), "there are no private links"),
        "properties.forceCmkForQuery": ((), "there are no key vaults"),
        "properties.features.clusterResourceId": ((), "there are no clusters of workspaces"),
        "properties.defaultDataCollectionRuleResourceId": ((), "there are no rules of collection"),
        "properties.replication.enabled": ((), "there is no second place"),
        "properties.replication.location": ((), "there is no second place"),
    },
    "microsoft.storage/storageaccounts": {
        "extendedLocation": ((), "there are no edge zones"),
        "properties.customDomain.name": ((), "there is no DNS"),
        "properties.encryption.keySource": (("Microsoft.Storage",), "there are no key vaults"),
        f"properties.{_KERBEROS}.directoryServiceOptions": (("None",), "there is no directory"),
        "properties.networkAcls.virtualNetworkRules": ((), "there are no virtual networks"),
        "properties.networkAcls.resourceAccessRules": ((), "no resource asks another"),
        "properties.routingPreference.routingChoice": (("MicrosoftRouting",), "there are no routes"),
        "properties.routingPreference.publishMicrosoftEndpoints": ((), "there are no routes"),
        "properties.routingPreference.publishInternetEndpoints": ((), "there are no routes"),
        "properties.dnsEndpointType": (("Standard",), "there is no DNS"),
        "properties.isSftpEnabled": ((), "there is no SFTP"),
        "properties.isNfsV3Enabled": ((), "there is no NFS"),
        "properties.isLocalUserEnabled": ((), "there are no local users"),
        "properties.enableExtendedGroups": ((), "there is no NFS"),
        "properties.immutableStorageWithVersioning.enabled": ((), "there are no blobs"),
        "zones": ((), "one machine has no zones"),
        "placement.zonePlacementPolicy": (("None",), "one machine has no zones"),
        "properties.networkAcls.ipv6Rules": ((), "there is no IPv6"),
        f"properties.{_KERBEROS}.smbOAuthSettings.isSmbOAuthEnabled": ((), "there is no SMB"),
        "properties.dualStackEndpointPreference.publishIpv6Endpoint": ((), "there is no IPv6"),
        "properties.geoPriorityReplicationStatus.isBlobEnabled": ((), "there are no blobs"),
    },
    "microsoft.storage/storageaccounts/fileservices": {
        "properties.cors.corsRules": ((), "answers have no CORS headers"),
        "properties.protocolSettings.smb.multichannel.enabled": ((), "there is no SMB"),
        "properties.protocolSettings.smb.encryptionInTransit.required": ((), "there is no SMB"),
        "properties.protocolSettings.nfs.encryptionInTransit.required": ((), "there is no NFS"),
    },
    "microsoft.storage/storageaccounts/fileservices/shares": {
        "properties.enabledProtocols": (("SMB",), "there is no NFS"),
        "properties.rootSquash": (("NoRootSquash",), "there is no NFS"),
        "properties.signedIdentifiers": ((), "there are no stored access policies"),
        "properties.provisionedIops": ((), "no share is provisioned"),
        "properties.provisionedBandwidthMibps": ((), "no share is provisioned"),
        "properties.fileSharePaidBursting": ((), "no share is provisioned"),
    },
}


def require_here(kind: str, body: Mapping[str, Any]) -> None:
    """ArmError that names the member and what it asks for."""
    for path, (further, what) in _MEMBERS.get(kind.lower(), {}).items():
        for value in _values(body, path.split(".")):
            if not any(
                value is each or (type(value) is type(each) and value == each) for each in (*_NOTHING, *further)
            ):
                code = "InvalidValuesForRequestParameters" if kind.lower().startswith("microsoft.storage/") else ""
                shown = value if isinstance(value, str | bool | int) else "…"
                raise invalid(
                    f"Values for request parameters are invalid: {path} ('{shown}'). In the local cloud {what}.",
                    code or "InvalidRequestContent",
                    path,
                )


def _values(holder: Any, path: list[str]) -> Iterator[Any]:
    """Everything at `path`; nothing where it leads nowhere."""
    if not path:
        yield holder
        return
    name, rest = path[0].removesuffix("[]"), path[1:]
    inner = (as_object(holder) or {}).get(name)
    for each in (as_list(inner) or []) if path[0].endswith("[]") else [inner]:
        yield from _values(each, rest)
