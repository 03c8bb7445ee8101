"""The wire between extension and sidecar: message models and the METHODS table."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.wire.bicep import BicepChecked as BicepChecked
from sidecar.wire.bicep import BicepCheckParams as BicepCheckParams
from sidecar.wire.bicep import BicepCompilation as BicepCompilation
from sidecar.wire.bicep import BicepInstalled as BicepInstalled
from sidecar.wire.bicep import BicepInstallParams as BicepInstallParams
from sidecar.wire.cancelling import CancelParams as CancelParams
from sidecar.wire.cancelling import ProvisionCancelled as ProvisionCancelled
from sidecar.wire.cancelling import ProvisionTarget as ProvisionTarget
from sidecar.wire.chat import ChatAnswer as ChatAnswer
from sidecar.wire.chat import ChatBegan as ChatBegan
from sidecar.wire.chat import ChatCode as ChatCode
from sidecar.wire.chat import ChatCodeParams as ChatCodeParams
from sidecar.wire.chat import ChatMessage as ChatMessage
from sidecar.wire.chat import ChatModel as ChatModel
from sidecar.wire.chat import ChatModels as ChatModels
from sidecar.wire.chat import ChatModelsParams as ChatModelsParams
from sidecar.wire.chat import ChatParams as ChatParams
from sidecar.wire.chat import ChatRequest as ChatRequest
from sidecar.wire.chat import ChatText as ChatText
from sidecar.wire.evaluation import Evaluated as Evaluated
from sidecar.wire.evaluation import EvaluateParams as EvaluateParams
from sidecar.wire.evaluation import EvaluationAnswer as EvaluationAnswer
from sidecar.wire.evaluation import EvaluationCase as EvaluationCase
from sidecar.wire.evaluation import EvaluationCases as EvaluationCases
from sidecar.wire.evaluation import EvaluationCasesParams as EvaluationCasesParams
from sidecar.wire.evaluation import EvaluationFigure as EvaluationFigure
from sidecar.wire.evaluation import EvaluationLine as EvaluationLine
from sidecar.wire.evaluation import EvaluationModel as EvaluationModel
from sidecar.wire.evaluation import EvaluationOutcome as EvaluationOutcome
from sidecar.wire.evaluation import EvaluationVerdict as EvaluationVerdict
from sidecar.wire.files import CiInit as CiInit
from sidecar.wire.files import CiInitParams as CiInitParams
from sidecar.wire.files import CiVariable as CiVariable
from sidecar.wire.files import Created as Created
from sidecar.wire.files import FilesUpdate as FilesUpdate
from sidecar.wire.files import InitParams as InitParams
from sidecar.wire.files import UpdatedFile as UpdatedFile
from sidecar.wire.files import UpdateFilesParams as UpdateFilesParams
from sidecar.wire.logs import Diagnosis as Diagnosis
from sidecar.wire.logs import LogLine as LogLine
from sidecar.wire.logs import Logs as Logs
from sidecar.wire.logs import LogsParams as LogsParams
from sidecar.wire.message import Message as Message
from sidecar.wire.message import Operation as Operation
from sidecar.wire.message import Sentence as Sentence
from sidecar.wire.message import sentence as sentence
from sidecar.wire.message import text_of as text_of
from sidecar.wire.operating import Content as Content
from sidecar.wire.operating import Diagnostics as Diagnostics
from sidecar.wire.operating import DiagnosticsParams as DiagnosticsParams
from sidecar.wire.operating import OperateParams as OperateParams
from sidecar.wire.operating import Removable as Removable
from sidecar.wire.operating import Removed as Removed
from sidecar.wire.operating import RemoveParams as RemoveParams
from sidecar.wire.operating import RevisionLine as RevisionLine
from sidecar.wire.operating import Rotated as Rotated
from sidecar.wire.operating import RotateParams as RotateParams
from sidecar.wire.operating import Snippet as Snippet
from sidecar.wire.operating import SnippetParams as SnippetParams
from sidecar.wire.operating import Switched as Switched
from sidecar.wire.operating import Warmed as Warmed
from sidecar.wire.operating import WarmParams as WarmParams
from sidecar.wire.plan import Plan as Plan
from sidecar.wire.plan import PlanFile as PlanFile
from sidecar.wire.plan import PlanMember as PlanMember
from sidecar.wire.plan import PlanParams as PlanParams
from sidecar.wire.plan import PlanPrice as PlanPrice
from sidecar.wire.plan import PlanResource as PlanResource
from sidecar.wire.preflight import CheckLine as CheckLine
from sidecar.wire.preflight import FitLine as FitLine
from sidecar.wire.preflight import Fitting as Fitting
from sidecar.wire.preflight import Preflight as Preflight
from sidecar.wire.preflight import PreflightParams as PreflightParams
from sidecar.wire.releases import Deployed as Deployed
from sidecar.wire.releases import DeployParams as DeployParams
from sidecar.wire.releases import Difference as Difference
from sidecar.wire.releases import DiscardParams as DiscardParams
from sidecar.wire.releases import FileProblem as FileProblem
from sidecar.wire.releases import Generation as Generation
from sidecar.wire.releases import Interrupted as Interrupted
from sidecar.wire.releases import Interruptions as Interruptions
from sidecar.wire.releases import LeftOut as LeftOut
from sidecar.wire.releases import Preview as Preview
from sidecar.wire.releases import PreviewParams as PreviewParams
from sidecar.wire.releases import RefusedAdapter as RefusedAdapter
from sidecar.wire.releases import Releases as Releases
from sidecar.wire.releases import RollbackParams as RollbackParams
from sidecar.wire.releases import RunsOn as RunsOn
from sidecar.wire.releases import file_problems as file_problems
from sidecar.wire.upload import FolderHeld as FolderHeld
from sidecar.wire.upload import FolderHeldParams as FolderHeldParams
from sidecar.wire.upload import Sampled as Sampled
from sidecar.wire.upload import SampleParams as SampleParams
from sidecar.wire.upload import Uploaded as Uploaded
from sidecar.wire.upload import UploadParams as UploadParams
from sidecar.words.errors import ConsentNeeded, SlipwayError
from sidecar.words.names import AzureCloud, CloudName, DefaultsOrigin, LogLevel, Phase, State


class CloudParams(Message):
    cloud: CloudName


class Subscription(Message):
    id: str
    name: str
    tenant_id: str
    cloud: CloudName


class Tenant(Message):
    tenant_id: str
    name: str
    cloud: CloudName


class Subscriptions(Message):
    subscriptions: list[Subscription]
    problems: list[Sentence]
    signed_out: list[Tenant]
    """Tenants of the person's whose subscriptions are listed once they have signed in there."""


class SubscriptionParams(Message):
    cloud: CloudName
    subscription_id: str


class ResourceGroup(Message):
    name: str
    location: str


class ResourceGroups(Message):
    resource_groups: list[ResourceGroup]


class Location(Message):
    """`gpus`: that the region offers for apps; empty: none; null: not known."""

    name: str
    display_name: str
    gpus: list[str] | None = None


class Locations(Message):
    locations: list[Location]


class CreateResourceGroupParams(Message):
    cloud: CloudName
    subscription_id: str
    name: str
    location: str


class FolderParams(Message):
    folder: str


class WorkspaceDefaults(Message):
    subscription_id: str | None
    resource_group: str | None
    origin: DefaultsOrigin | None


class WorkspaceSummary(Message):
    defaults: WorkspaceDefaults
    provisioned: bool
    has_template: bool
    has_code: bool
    clouds: list[CloudName]
    """Where `auto` looks for subscriptions: on some machines the local cloud can't run."""
    files_of: str | None
    """The version of Slipway that the project's files are of, where this one brings others."""
    problems: list[Sentence]


class ProvisionParams(Operation):
    folder: str
    cloud: CloudName
    subscription_id: str
    resource_group: str
    parameters: str | None = None
    """The parameters file, from the folder; None: the one that is there."""
    app: str | None = None
    """The container app that is ours, where the template makes several and does not tell."""
    consents: list[str]
    digest: str | None
    """Of the plan that a person said yes to; None: whatever it comes to."""
    begins: bool
    """False: what is under way already is followed to its end, and nothing else is begun."""


class Provisioned(Message):
    """`deployment`: empty where none was needed. `nothing`: everything was as it is stated already."""

    endpoint: str
    url: str
    portal_url: str | None
    config_path: str
    deployment: str
    nothing: bool


class FolderCloudParams(Message):
    folder: str
    cloud: CloudName


class EndpointLink(Message):
    url: str
    login_url: str | None
    note: Sentence | None


class Replica(Message):
    name: str
    state: str
    phase: Phase | None


class Status(Message):
    state: State
    phase: Phase | None
    revision: str | None
    replicas: list[Replica]
    endpoint: str | None
    url: str | None
    app: str | None
    reason: Sentence | None
    release: str | None
    generation: int | None
    base: str | None
    adapters: list[str]
    refused: list[RefusedAdapter]
    notes: list[Sentence]
    failure: bool
    hashes: dict[str, str]
    """SHA-256 of each adapter's files, by its name."""
    runs_on: RunsOn | None
    revisions: list[RevisionLine]
    cooldown: int
    cost: list[Sentence]
    """What it costs now by list price; empty where nothing is provisioned."""
    looked_at: str
    """UTC in ISO 8601."""


class ApiKey(Message):
    api_key: str


class TokenParams(Message):
    cloud: AzureCloud
    scopes: list[str]
    tenant_id: str | None
    claims: str | None
    silent: bool


class Token(Message):
    token: str
    expires_on: int


class Progress(Message):
    operation: str
    text: Sentence
    increment: float | None


class Log(Message):
    level: LogLevel
    text: Sentence


class Failure(Message):
    """The `data` of a -32000 answer."""

    code: str
    message: Sentence
    suggestion: Sentence | None
    consent: str | None
    detail: str | None
    problems: list[FileProblem]
    restored: int | None
    """The generation that serves in place of the one that failed."""
    document: str | None
    """A page of this machine that tells more."""


@dataclass(frozen=True)
class Method:
    params: type[Message]
    result: type[Message] | None


METHODS: dict[str, Method] = {
    "slipway/subscriptions": Method(CloudParams, Subscriptions),
    "slipway/resourceGroups": Method(SubscriptionParams, ResourceGroups),
    "slipway/locations": Method(SubscriptionParams, Locations),
    "slipway/createResourceGroup": Method(CreateResourceGroupParams, ResourceGroup),
    "slipway/workspace": Method(FolderParams, WorkspaceSummary),
    "slipway/init": Method(InitParams, Created),
    "slipway/ciInit": Method(CiInitParams, CiInit),
    "slipway/updateFiles": Method(UpdateFilesParams, FilesUpdate),
    "slipway/preflight": Method(PreflightParams, Preflight),
    "slipway/plan": Method(PlanParams, Plan),
    "slipway/provision": Method(ProvisionParams, Provisioned),
    "slipway/deploy": Method(DeployParams, Deployed),
    "slipway/preview": Method(PreviewParams, Preview),
    "slipway/releases": Method(FolderCloudParams, Releases),
    "slipway/rollback": Method(RollbackParams, Deployed),
    "slipway/interrupted": Method(FolderParams, Interruptions),
    "slipway/discard": Method(DiscardParams, Interruptions),
    "slipway/cancelProvisioning": Method(CancelParams, ProvisionCancelled),
    "slipway/endpoint": Method(FolderCloudParams, EndpointLink),
    "slipway/status": Method(FolderCloudParams, Status),
    "slipway/apiKey": Method(FolderCloudParams, ApiKey),
    "slipway/logs": Method(LogsParams, Logs),
    "slipway/diagnose": Method(FolderCloudParams, Diagnosis),
    "slipway/start": Method(OperateParams, Switched),
    "slipway/stop": Method(OperateParams, Switched),
    "slipway/snippet": Method(SnippetParams, Snippet),
    "slipway/diagnostics": Method(DiagnosticsParams, Diagnostics),
    "slipway/rotateKey": Method(RotateParams, Rotated),
    "slipway/keepWarm": Method(WarmParams, Warmed),
    "slipway/remove": Method(RemoveParams, Removed),
    "slipway/folderHeld": Method(FolderHeldParams, FolderHeld),
    "slipway/chatModels": Method(ChatModelsParams, ChatModels),
    "slipway/chat": Method(ChatParams, ChatAnswer),
    "slipway/chatCode": Method(ChatCodeParams, ChatCode),
    "slipway/upload": Method(UploadParams, Uploaded),
    "slipway/sample": Method(SampleParams, Sampled),
    "slipway/evaluate": Method(EvaluateParams, Evaluated),
    "slipway/evaluationCases": Method(EvaluationCasesParams, EvaluationCases),
    "slipway/bicepCheck": Method(BicepCheckParams, BicepChecked),
    "slipway/bicepInstall": Method(BicepInstallParams, BicepInstalled),
}
"""Requests from the extension."""

CALLBACKS: dict[str, Method] = {"slipway/token": Method(TokenParams, Token)}
"""Requests to the extension."""

NOTIFICATIONS: dict[str, Method] = {
    "slipway/progress": Method(Progress, None),
    "slipway/log": Method(Log, None),
    "slipway/logLine": Method(LogLine, None),
    "slipway/chatBegan": Method(ChatBegan, None),
    "slipway/chatText": Method(ChatText, None),
}
"""Notifications to the extension."""

USER_ERROR = -32000


def failure(error: SlipwayError) -> Failure:
    return Failure(
        code=error.code,
        message=sentence(error.message),
        suggestion=None if error.suggestion is None else sentence(error.suggestion),
        consent=error.consent if isinstance(error, ConsentNeeded) else None,
        detail=error.detail,
        problems=file_problems(error.problems),
        restored=error.restored,
        document=error.document or None,
    )
