"""The tree of failures that a person is told about.

SlipwayError                 code, message, suggestion
├── WorkspaceError           a file of the user's folder is missing or wrong
├── TemplateError            the Bicep or ARM template can't be compiled or evaluated
├── CloudError               Azure (or the local cloud) refused or failed; carries Azure's own code
│   ├── NotFound             the resource does not exist
│   ├── NotSignedIn          no credential, or the person cancelled the sign-in
│   ├── NotAuthorized        signed in, but without the permission
│   ├── Unreachable          no connection, bad certificate, unknown host
│   └── PreflightFailed      what was read says that it can't work: nothing was made
├── EndpointError            the deployed server refused, failed or never became ready
├── ConsentNeeded            something costs time, disk or money: ask, then repeat with the consent
├── Conflict                 somebody else is doing the same thing
└── Cancelled                the person stopped it; the message says what is left running
"""

from __future__ import annotations

from sidecar.words.problems import Problem
from sidecar.words.text import Text


class SlipwayError(Exception):
    """A failure with a code for machines, a sentence for a human and what to do next."""

    code = "SlipwayError"

    def __init__(
        self, message: Text, suggestion: Text | None = None, *, code: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(str(message))
        self.message = message
        self.suggestion = suggestion
        self.code = code or type(self).code
        self.detail = detail
        """What was read elsewhere (a server's answer, a log's tail), shown on request only."""
        self.problems: tuple[Problem, ...] = ()
        """Places in the person's files that are the cause."""
        self.restored: int | None = None
        """The generation that was made current in place of the one that failed, where it serves."""
        self.document = ""
        """A page of this machine that tells more; empty: none."""
        self.goes_on = False
        """Whether something that was begun goes on in the cloud without this run, or may: it can be followed and cancelled."""


class WorkspaceError(SlipwayError):
    code = "WorkspaceError"


class TemplateError(SlipwayError):
    code = "InvalidTemplate"


class CloudError(SlipwayError):
    code = "CloudError"


class NotFound(CloudError):
    code = "ResourceNotFound"


class NotSignedIn(CloudError):
    code = "NotSignedIn"


class NotAuthorized(CloudError):
    code = "AuthorizationFailed"


class Unreachable(CloudError):
    code = "Unreachable"


class PreflightFailed(CloudError):
    code = "PreflightFailed"


class EndpointError(SlipwayError):
    code = "EndpointError"

    def in_other_words(self, message: Text, suggestion: Text | None) -> EndpointError:
        """The same failure, with what has come of it meanwhile."""
        told = EndpointError(message, suggestion, code=self.code, detail=self.detail)
        told.document = self.document
        return told


class Conflict(SlipwayError):
    code = "Conflict"


class Cancelled(SlipwayError):
    code = "Cancelled"


class ConsentNeeded(SlipwayError):
    """Raised before something that a person must agree to; `consent` names it."""

    code = "ConsentNeeded"

    def __init__(self, consent: str, message: Text, suggestion: Text | None = None) -> None:
        super().__init__(message, suggestion)
        self.consent = consent
