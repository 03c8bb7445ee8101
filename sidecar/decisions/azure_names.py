"""Azure's rules for the names of what a template makes, each with the parameter that states the name. Pure.

From Microsoft's "Naming rules and restrictions for Azure resources"; Container Apps' own from its refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.decisions.provisioning import ACCOUNT, APP, ENVIRONMENT, ENVIRONMENT_STORAGE, LOGS, SHARE
from sidecar.words.text import Text


@dataclass(frozen=True)
class Rule:
    """`words`: what a name may be, for people."""

    pattern: re.Pattern[str]
    words: Text
    parameter: str


RULES: dict[str, Rule] = {
    ACCOUNT: Rule(re.compile(r"[a-z0-9]{3,24}"), Text("3 to 24 lower-case letters and digits"), "storageAccountName"),
    SHARE: Rule(
        re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"),
        Text("3 to 63 lower-case letters, digits and single hyphens, none of these at an end"),
        "fileShareName",
    ),
    ENVIRONMENT: Rule(
        re.compile(r"(?!.*--)[A-Za-z][-A-Za-z0-9]{0,58}[A-Za-z0-9]"),
        Text("2 to 60 letters, digits and single hyphens, with a letter first and no hyphen at the end"),
        "acaEnvironmentName",
    ),
    ENVIRONMENT_STORAGE: Rule(
        re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?"),
        Text("letters, digits, hyphens and dots, with a letter or a digit at both ends"),
        "acaEnvironmentStorageName",
    ),
    APP: Rule(
        re.compile(r"(?!.*--)[a-z][-a-z0-9]{0,30}[a-z0-9]"),
        Text("2 to 32 lower-case letters, digits and single hyphens, with a letter first and no hyphen at the end"),
        "acaAppName",
    ),
    LOGS: Rule(
        re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]"),
        Text("4 to 63 letters, digits and hyphens, none of these at an end"),
        "acaLogAnalyticsName",
    ),
}
"""By the resource's type in lower case."""


def broken_rule(kind: str, name: str) -> Rule | None:
    """The rule that a name does not keep. A nested resource's own name is its last part."""
    rule = RULES.get(kind)
    return rule if rule is not None and rule.pattern.fullmatch(name.rpartition("/")[2]) is None else None
