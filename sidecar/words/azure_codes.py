"""What Azure's error codes mean, and what to do next: one row a code, for every error that passes a code of Azure's on.

A code that has no row is shown with Azure's own sentence alone: nothing is guessed from its name."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.words.text import Text


@dataclass(frozen=True)
class Known:
    meaning: Text
    step: Text

    @property
    def advice(self) -> Text:
        """Both, as the suggestion of an error."""
        return Text("{meaning} {step}", meaning=self.meaning, step=self.step)


_AGAIN = Text("Run the command again; what exists already is kept.")
_LATER = Text("Run the command again in a few minutes.")
_CORRECT = Text("Correct it in the parameters or the template, then run Provision again: what exists already is kept.")
_LOG = Text("Its log says why: AI Toolkit: Show logs, or slipway logs.")

_BUSY = Known(Text("Another change of the same resource has not ended."), _LATER)
_NAME = Known(Text("A name does not keep Azure's rules."), _CORRECT)
_GONE = Known(
    Text("What was asked for is not there, or this account may not see it."),
    Text("Look whether it was deleted or renamed, and whether subscription and resource group are the right ones."),
)
_ROLE = Known(
    Text("The account is known, and its roles do not give it this permission at this scope."),
    Text("Ask an owner for a role that holds it (Contributor in the resource group), then sign in anew."),
)
_SIGN_IN = Known(
    Text("The sign-in was not accepted."), Text("Sign in again, with an account of the subscription's tenant.")
)
_QUOTA = Known(
    Text("The subscription's quota in this region is smaller than what is asked for."),
    Text("Ask for a larger quota (the portal, Quotas), or state another gpuProfileType or location."),
)
_MOUNT = Known(
    Text(
        "The share could not be mounted: a key that was rotated or is not allowed, a share that is gone, a network rule."
    ),
    Text("Run Provision again, which sets the key anew; then look at the account's networking and at the share."),
)
_PULL = Known(
    Text("The registry did not give the image to the node."),
    Text(
        "Correct the image's name, or give the app's identity the role AcrPull on the registry; then Provision again."
    ),
)
_WRAPPED = Known(
    Text("A resource of the deployment failed; this code only wraps its error."),
    Text("The deployment's operations in the portal name the resource; Provision again once its cause is corrected."),
)
_AZURE = Known(Text("Azure itself failed; nothing of the project is the cause."), _AGAIN)

CODES: dict[str, Known] = {
    # What is under way
    "ContainerAppOperationInProgress": _BUSY,
    "ContainerAppLockConflict": _BUSY,
    "ManagedEnvironmentOperationInProgress": _BUSY,
    "OperationInProgress": _BUSY,
    "DeploymentActive": Known(
        Text("A deployment of this name has not ended."),
        Text("Run Provision again to follow it, or cancel it in the portal."),
    ),
    "TooManyRequests": Known(Text("Azure asks for fewer requests."), _LATER),
    "ServerBusy": Known(Text("The storage service is busy."), _LATER),
    "ServerTimeout": _AZURE,
    "InternalError": _AZURE,
    "InternalServerError": _AZURE,
    "OperationTimedOut": _AZURE,
    "OperationExpired": Known(Text("The write was taken and never carried out: Azure gave it up."), _AGAIN),
    # Who asks
    "AuthenticationFailed": _SIGN_IN,
    "InvalidAuthenticationToken": _SIGN_IN,
    "InvalidAuthenticationTokenTenant": Known(
        Text("The token is of another tenant than the subscription's."),
        Text("Sign in to that tenant: --tenant, or another account."),
    ),
    "ExpiredAuthenticationToken": _SIGN_IN,
    "AuthorizationFailed": _ROLE,
    "LinkedAuthorizationFailed": _ROLE,
    "InsufficientAccessError": _ROLE,
    "AuthorizationPermissionMismatch": _ROLE,
    "RequestDisallowedByPolicy": Known(
        Text("A policy of the organisation forbids this resource as it is stated."),
        Text("The message names the policy: meet it in the template, or ask who set it for an exemption."),
    ),
    "ScopeLocked": Known(
        Text("A lock on the resource or its group forbids the change."),
        Text("Take the lock away in the portal (Locks), or ask who set it."),
    ),
    "MissingSubscriptionRegistration": Known(
        Text("The resource provider is not registered in the subscription."),
        Text("An owner runs: az provider register --namespace, with the provider that the message names."),
    ),
    "SubscriptionNotRegistered": Known(
        Text("The resource provider is not registered in the subscription."),
        Text("An owner runs: az provider register --namespace, with the provider that the message names."),
    ),
    "SubscriptionNotFound": _GONE,
    "ReadOnlyDisabledSubscription": Known(
        Text("The subscription is disabled: what is there can be read, nothing changed."),
        Text("Look at it in the portal: it may have run out of credit."),
    ),
    # What is not there, or there already
    "ResourceNotFound": _GONE,
    "ResourceGroupNotFound": _GONE,
    "ParentResourceNotFound": _GONE,
    "DeploymentNotFound": _GONE,
    "ManagedEnvironmentNotFound": _GONE,
    "RevisionNotFound": _GONE,
    "ShareNotFound": _GONE,
    "WorkspaceNotFoundError": _GONE,
    "StorageAccountAlreadyTaken": Known(
        Text("Somebody else's storage account has this name: it is one in all of Azure."),
        Text("State another storageAccountName."),
    ),
    "AccountNameInvalid": _NAME,
    "InvalidResourceName": _NAME,
    "ContainerAppInvalidName": _NAME,
    "ManagedEnvironmentInvalidName": _NAME,
    "WorkloadProfileInUse": Known(
        Text("An app runs on the workload profile, so it can't be taken away or changed in kind."),
        Text("Move or delete the app first, or state a profile under another name in gpuProfileName."),
    ),
    "WorkloadProfileNameNotFound": Known(
        Text("The environment has no workload profile of that name."),
        Text("State one of its profiles in gpuProfileName, or another environment in acaEnvironmentName."),
    ),
    # What there is too little of
    "SkuNotAvailable": Known(Text("The region does not offer this size to the subscription."), _CORRECT),
    "MaxRegionalQuotaExceeded": _QUOTA,
    "QuotaExceeded": _QUOTA,
    "MaxNumberOfRegionalEnvironmentsInSubExceeded": Known(
        Text("The subscription has as many Container Apps environments in the region as it may."),
        Text("Name an existing one in acaEnvironmentName, state another location, or ask for a larger quota."),
    ),
    "ManagedEnvironmentNoAvailableCapacityInRegion": Known(
        Text("The region takes no further environment now."),
        Text("State another `location` in the parameters file, or try again later."),
    ),
    "WorkloadProfileTypeNotAvailable": Known(
        Text("The region does not offer this kind of workload profile."),
        Text("State another gpuProfileType, or another location."),
    ),
    "InvalidWorkloadProfileType": Known(
        Text("Azure knows no workload profile of this kind, or not in this region."),
        Text("State another gpuProfileType, or another location."),
    ),
    "LocationNotAvailableForResourceType": Known(
        Text("The region does not offer this kind of resource."), Text("State another location.")
    ),
    # What a deployment or an app states
    "DeploymentFailed": _WRAPPED,
    "ResourceDeploymentFailure": _WRAPPED,
    "ResourceOperationFailure": _WRAPPED,
    "InvalidTemplateDeployment": Known(
        Text("Azure's own preflight refused the deployment: nothing of it was made."), _CORRECT
    ),
    "PreflightValidationCheckFailed": Known(
        Text("Azure's own preflight refused the deployment: nothing of it was made."), _CORRECT
    ),
    "InvalidTemplate": Known(Text("The template is not valid: nothing of it was made."), _CORRECT),
    "DeploymentOutputEvaluationFailed": Known(
        Text("Everything was made, and an output of the template could not be computed."),
        Text("Compare the outputs at the end of infra/provision/inference.bicep with the shipped file."),
    ),
    "ContainerAppOperationError": Known(
        Text("The control plane refused the app as it is stated; the message names the field."), _CORRECT
    ),
    "ContainerAppContainersInvalidCpu": Known(
        Text("The cores asked for do not fit the workload profile."),
        Text("State cpu and memory that fit it (T4: 8 and 56Gi; A100: 24 and 220Gi), or another gpuProfileType."),
    ),
    "ContainerAppSecretRefNotFound": Known(
        Text("A variable refers to a secret that the app does not have."),
        Text("Put the secret into the template's configuration, or take the reference out."),
    ),
    "ContainerAppInvalidVolumeMount": Known(
        Text("A container mounts a volume that the app does not define."),
        Text("Name one of the template's volumes in volumeMounts."),
    ),
    "ContainerAppProbeFailureThresholdOutOfRange": Known(
        Text("A probe allows more failures than Azure takes: at most 30 of liveness, 48 of readiness, 240 of startup."),
        Text("Lower failureThreshold, or raise periodSeconds, in the template."),
    ),
    # Files
    "SharingViolation": Known(
        Text("Somebody else has the file open."),
        Text("Close it there (a mounted drive, an editor), then run the command again."),
    ),
    "KeyBasedAuthenticationNotPermitted": Known(
        Text("The storage account does not let its key be used: Container Apps can't mount its share."),
        Text(
            "Allow it (allowSharedKeyAccess), if no policy forbids it, or name another account in storageAccountName."
        ),
    ),
    "AuthorizationFailure": Known(
        Text("The network rules of the storage account do not let this machine in."),
        Text("Allow its address under Networking of the account, or come from a network that it lets in."),
    ),
    "ShareSizeLimitReached": Known(
        Text("The share is full."), Text("Delete what is no longer needed on it, or raise its quota in the portal.")
    ),
    # What keeps a replica from running, as events and containers name it
    "VolumeMountFailure": _MOUNT,
    "ImagePullFailure": _PULL,
    "ImagePullBackOff": _PULL,
    "ImagePullUnauthorized": _PULL,
    "ContainerCreateFailure": Known(
        Text("The container could not be created: most often its command names a program that the image lacks."),
        Text("Correct the command in defaultCommands, or the image; then run Provision again."),
    ),
    "CrashLoopBackOff": Known(Text("The container ends at each start, and is started after ever longer pauses."), _LOG),
    "ProcessExited": Known(Text("The container's process ended; 137 without a stop order is a lack of memory."), _LOG),
    "ProbeFailure": Known(Text("A probe failed as often as it may: the container was stopped."), _LOG),
    "ProbeFailed": Known(Text("A probe was not answered as it should be."), _LOG),
    "PortMismatch": Known(
        Text("The container listens on another port than the ingress asks."),
        Text("Listen on CONTAINER_APP_PORT, or correct targetPort in the template."),
    ),
    "AssigningReplicaFailed": Known(
        Text("No node took the replica: most often no GPU is free in the region."),
        Text("Wait, or state another location or gpuProfileType."),
    ),
}

_BY_FOLD = {code.lower(): known for code, known in CODES.items()}


def known_code(code: str | None) -> Known | None:
    """What is known of a code of Azure's; it writes some of them in several casings."""
    return None if code is None else _BY_FOLD.get(code.lower())


def advice_for(code: str | None) -> Text | None:
    found = known_code(code)
    return None if found is None else found.advice
