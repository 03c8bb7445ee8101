"""What Azure Files refuses, by its own codes: its answers are XML, and its 403 has many causes, few of them a role."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from sidecar.gateway.translation import clock_skew, translated, word
from sidecar.words.errors import CloudError, NotAuthorized
from sidecar.words.text import Text

Refusal = Callable[[str, str], tuple[Text, Text]]
"""(storage account, share) → what happened, what to do."""


def _key(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text("The storage account {account} did not accept its key: it has been rotated meanwhile.", account=account),
        Text("Run the command again: the key is read anew each time."),
    )


def _keys_forbidden(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text(
            "The storage account {account} does not allow its key to be used (allowSharedKeyAccess is false): Container Apps "
            "can't mount its share either.",
            account=account,
        ),
        Text(
            "Allow it (az storage account update --name {name} --allow-shared-key-access true), if no policy forbids it, or "
            "name another account in storageAccountName.",
            name=account,
        ),
    )


def _network(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text("The network rules of the storage account {account} do not let this machine in.", account=account),
        Text("Allow its address under Networking of the account, or run the command from a network that it lets in."),
    )


def _full(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text("The share {share} of {account} is full.", share=share, account=account),
        Text("Delete what is no longer needed on it, or raise its quota in the portal, then run the command again."),
    )


def _disabled(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text("The storage account {account} is disabled.", account=account),
        Text("Look at the subscription in the portal: it may have run out of credit."),
    )


def _open_elsewhere(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text(
            "Somebody else has a file open on the share {share} of {account}, and it can't be replaced.",
            share=share,
            account=account,
        ),
        Text("Close it there (a mounted drive, an editor), then run the command again."),
    )


def _damaged(account: str, share: str) -> tuple[Text, Text]:
    return (
        Text(
            "What was sent to the share {share} of {account} arrived damaged, several times.",
            share=share,
            account=account,
        ),
        Text("Look at the network between here and Azure (a proxy that rewrites?), then run the command again."),
    )


REFUSALS: dict[str, Refusal] = {
    "AuthenticationFailed": _key,
    "KeyBasedAuthenticationNotPermitted": _keys_forbidden,
    "AuthorizationFailure": _network,
    "ShareSizeLimitReached": _full,
    "SharingViolation": _open_elsewhere,
    "Md5Mismatch": _damaged,
    "AccountIsDisabled": _disabled,
}


def code_of(error: Any) -> str:
    """Azure Files' own word for a refusal."""
    return word(getattr(error, "error_code", None) or "")


@contextmanager
def translated_share(client: Any, doing: Text) -> Generator[None]:
    """As `translated`, with the refusals of a storage account named. `client`: the share's."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415  (the SDK loads slowly; only who asks waits)

    with translated(doing):
        try:
            yield
        except HttpResponseError as error:
            code = code_of(error)
            if code not in REFUSALS or (code == "AuthenticationFailed" and clock_skew(error) is not None):
                raise
            message, suggestion = REFUSALS[code](client.account_name, client.share_name)
            kind = NotAuthorized if error.status_code == 403 else CloudError
            raise kind(message, suggestion, code=code) from error
