"""Checks of the set-up, as pure functions: every verdict of each is reached, and what could not be read is never a pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.deployment import GroupFacts, merge_parameters, plan_names
from sidecar.decisions.azure_names import RULES, broken_rule
from sidecar.decisions.checks import Check, Unread
from sidecar.decisions.images import is_fixed
from sidecar.decisions.preflight import allowed, judged
from sidecar.decisions.preflight_facts import Facts
from sidecar.decisions.profiles import Wanted
from sidecar.decisions.provisioning import ACCOUNT, APP, ENVIRONMENT, LOGS, SHARE, Existing
from sidecar.gateway.apps import Environment, Mounted
from sidecar.gateway.offers import Account, Grant, Offer
from sidecar.words.errors import NotAuthorized
from sidecar.words.text import Text
from tests.unit.sidecar.test_provision import ENVIRONMENT as WITH_T4
from tests.unit.sidecar.test_provision import GROUP, TEMPLATE, app

BLOBS, NFS = Account("BlobStorage", "", False, ""), Account("FileStorage", "", False, "NFS")
T4, A100, DEDICATED = "Consumption-GPU-NC8as-T4", "Consumption-GPU-NC24-A100", "NC48-A100"
ROW = "SubscriptionConsumptionT4Gpus"
UNREAD = Unread(Text("nobody answered"))


def facts(stated: dict[str, object] | None = None, **changed: Any) -> Facts:
    planned = plan_names(TEMPLATE, merge_parameters(TEMPLATE, stated or {}, {}), GROUP)
    plain = Facts(
        who=Text("somebody is signed in."),
        token_tenant="t",
        tenant="T",
        location="westeurope",
        planned=planned,
        project="p",
        wanted=Wanted(T4, None),
        instances=1,
        existing=Existing(frozenset(), None, None, None, None),
        registered={"Microsoft.App": "Registered"},
        grants=(Grant(("*",), ()),),
        offers={T4: Offer(1, "GPU"), DEDICATED: Offer(2, "GPU"), "D4": Offer(0, "GeneralPurpose")},
        usage={ROW: (0, 1), "SubscriptionNCA100Gpus": (0, 2)},
        account=None,
        name_free=True,
        files=None,
    )
    return replace(plain, **changed)


def said(name: str, given: Facts) -> Check:
    (check,) = [each for each in judged(given) if each.name == name]
    return check


def existing(environment: Environment | None = WITH_T4, mounted: Mounted | None = None, **changed: Any) -> Existing:
    return replace(Existing(frozenset(), True, environment, mounted, None), **changed)


def test_a_set_up_in_which_everything_is_well_passes_every_check() -> None:
    assert {each.name: each.verdict for each in judged(facts())} == dict.fromkeys(
        (
            "sign-in",
            "provider Microsoft.App",
            "permissions",
            "names",
            "profile",
            "quota",
            "environment",
            "storage",
            "image",
        ),
        "PASS",
    )


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("sign-in", {"who": UNREAD}),
        ("provider Microsoft.App", {"registered": {"Microsoft.App": UNREAD}}),
        ("permissions", {"grants": UNREAD}),
        ("names", {"name_free": UNREAD}),
        ("profile", {"offers": UNREAD}),
        ("quota", {"usage": UNREAD}),
        ("quota", {"usage": {}}),
        ("storage", {"existing": existing(), "account": UNREAD}),
        (
            "files",
            {"existing": existing(), "account": Account("StorageV2", "Standard_LRS", False, "SMB"), "files": UNREAD},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_be_read_is_unverified(name: str, changed: dict[str, Any]) -> None:
    assert said(name, facts(**changed)).verdict == "UNVERIFIED"


@pytest.mark.parametrize(
    ("name", "code", "parameter", "changed"),
    [
        ("sign-in", "TenantDiffers", None, {"token_tenant": "another"}),
        ("permissions", "AuthorizationFailed", None, {"grants": (Grant(("*/read",), ()),)}),
        ("permissions", "AuthorizationFailed", None, {"grants": (Grant(("*",), ("Microsoft.App/*",)),)}),
        ("names", "StorageAccountAlreadyTaken", "storageAccountName", {"name_free": False}),
        ("profile", "WorkloadProfileTypeNotAvailable", "gpuProfileType", {"offers": {A100: Offer(1, "")}}),
        ("quota", "MaxRegionalQuotaExceeded", "gpuProfileType", {"usage": {ROW: (0, 0)}}),
        (
            "quota", "MaxRegionalQuotaExceeded", "maximumInstanceCount",
            {"wanted": Wanted(DEDICATED, None), "instances": 2},
        ),
        (
            "environment", "DedicatedProfileMissing", "acaEnvironmentName",
            {"existing": existing(), "wanted": Wanted(DEDICATED, None)},
        ),
        ("storage", "KeyBasedAuthenticationNotPermitted", "storageAccountName", {"existing": existing(takes_keys=False)}),
        ("storage", "StorageOfAnotherShare", "acaEnvironmentStorageName", {"existing": existing(mounted=Mounted("x", "y"))}),
        ("storage", "NoFileService", "storageAccountName", {"existing": existing(), "account": BLOBS}),
        ("storage", "NfsShare", "fileShareName", {"existing": existing(), "account": NFS}),
        (
            "files", "AuthorizationFailed", "storageAccountName",
            {
                "existing": existing(), "account": Account("StorageV2", "", False, "SMB"),
                "files": NotAuthorized(Text("This request is not authorized.")),
            },
        ),
        ("owner", "AppOfAnotherProject", "acaAppName", {"existing": existing(app=app(**{"slipway-project": "another"}))}),
    ],
)  # fmt: skip
def test_what_can_not_work_fails_with_its_parameter(
    name: str, code: str, parameter: str | None, changed: dict[str, Any]
) -> None:
    check = said(name, facts(**changed))
    assert (check.verdict, check.code, check.parameter) == ("FAIL", code, parameter)
    assert check.remedy is not None


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("provider Microsoft.App", {"registered": {"Microsoft.App": "NotRegistered"}}),
        ("profile", {"offers": {"D4": Offer(0, "")}}),
        ("quota", {"usage": {ROW: (1, 1)}}),
        ("quota", {"instances": 2}),
        ("environment", {"existing": existing(), "wanted": Wanted(A100, None)}),
        ("storage", {"existing": existing(), "account": Account("StorageV2", "", True, "SMB")}),
    ],
)
def test_what_is_doubtful_warns(name: str, changed: dict[str, Any]) -> None:
    assert said(name, facts(**changed)).verdict == "WARN"


def test_quota_is_told_in_gpus_needed_used_and_allowed() -> None:
    check = said("quota", facts(wanted=Wanted(DEDICATED, None), instances=1, usage={"SubscriptionNCA100Gpus": (0, 1)}))
    assert "GPUs needed: 2, in use: 0, allowed: 1" in str(check.sentence)
    own = existing(app=app())
    assert said("quota", facts(existing=own, usage={ROW: (1, 1)})).verdict == "PASS", (
        "its own replica may be what uses it"
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (APP, "MyApp"), (APP, "2app"), (APP, "my_app"), (APP, "a" * 38), (APP, "a--b"), (APP, "a"),
        (SHARE, "acct/default/AIFileShare"), (SHARE, "acct/default/My Share"), (SHARE, "acct/default/ab"),
        (ENVIRONMENT, "my env"), (ENVIRONMENT, "1env"), (LOGS, "lo"), (ACCOUNT, "my-account"), (ACCOUNT, "Account"),
    ],
)  # fmt: skip
def test_a_name_against_azures_rules_is_refused_with_the_parameter_that_states_it(kind: str, name: str) -> None:
    rule = broken_rule(kind, name)
    assert rule is not None
    assert rule == RULES[kind]
    given = facts()
    names = {**given.planned.names, kind: name}
    check = said("names", replace(given, planned=replace(given.planned, names=names)))
    assert (check.verdict, check.parameter) == ("FAIL", rule.parameter)


def test_the_default_names_keep_azures_rules() -> None:
    names = plan_names(TEMPLATE, {}, GroupFacts("s", "t", "g", "/subscriptions/s/resourceGroups/g", "westeurope")).names
    assert [name for kind, name in names.items() if broken_rule(kind, name)] == []


def test_several_wrong_names_are_told_at_once() -> None:
    given = facts({"acaAppName": "My_App", "acaEnvironmentName": "my env", "fileShareName": "Share"})
    found = [each.parameter for each in judged(given) if each.name == "names"]
    assert sorted(map(str, found)) == ["acaAppName", "acaEnvironmentName", "fileShareName"]


@pytest.mark.parametrize(
    ("image", "fixed"),
    [
        ("docker.io/pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime", True),
        (f"a.azurecr.io/x@sha256:{'0' * 64}", True),
        ("localhost:5000/a/b:1", True),
        ("pytorch/pytorch", False),
        ("pytorch/pytorch:latest", False),
        ("Pytorch/Pytorch:1", None),
        ("https://a.azurecr.io/x:1", None),
        ("a b:1", None),
        ("", None),
    ],
)
def test_images_by_name(image: str, fixed: bool | None) -> None:
    assert is_fixed(image) == fixed


def test_an_image_that_moves_warns_and_none_fails() -> None:
    assert said("image", facts({"image": "pytorch/pytorch"})).verdict == "WARN"
    assert said("image", facts({"image": "pytorch pytorch"})).verdict == "FAIL"


@pytest.mark.parametrize(
    ("action", "grant", "may"),
    [
        ("Microsoft.App/containerApps/write", Grant(("*",), ()), True),
        ("microsoft.app/containerapps/write", Grant(("Microsoft.App/*",), ()), True),
        ("Microsoft.App/containerApps/write", Grant(("*",), ("Microsoft.App/*/write",)), False),
        ("Microsoft.App/containerApps/write", Grant(("*/read",), ()), False),
        ("Microsoft.App/containerApps/write", Grant(("Microsoft.App/containerApps",), ()), False),
    ],
)
def test_what_a_role_gives_and_takes_back(action: str, grant: Grant, may: bool) -> None:
    assert allowed(action, [grant]) is may
    assert allowed(action, [grant, Grant(("*",), ())]), "what one role takes back another gives"


def test_where_a_provider_is_not_registered_nothing_is_said_of_what_may_be_there() -> None:
    names = [each.name for each in judged(facts(existing=None))]
    assert names == ["sign-in", "provider Microsoft.App", "names", "profile", "quota", "image"]
