"""Writes that twice are as once: where the cloud is busy, or its answer is lost, they are asked for again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.identity import DefaultAzureCredential

from sidecar.gateway import offers, patience, resources
from sidecar.gateway.credentials import Remade
from sidecar.gateway.place import GroupPlace
from sidecar.gateway.session import AZURE_PROFILES, Session


def lost_once(answer: object, asked: list[tuple[Any, ...]]) -> Callable[..., object]:
    """Its first answer does not arrive."""

    def call(*said: Any) -> object:
        asked.append(said)
        if len(asked) == 1:
            raise ServiceResponseError("Connection reset by peer")
        return answer

    return call


def opens(client: object) -> Callable[..., Any]:
    @contextmanager
    def opened(*_: object) -> Generator[object]:
        yield client

    return opened


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)  # patched: nobody waits for a test
    return Session(AZURE_PROFILES["azure"], Remade(DefaultAzureCredential), verify=True)


def test_a_resource_group_is_asked_for_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    made = SimpleNamespace(name="g", location="l", id="/g")
    client = SimpleNamespace(resource_groups=SimpleNamespace(create_or_update=lost_once(made, asked)))
    monkeypatch.setattr(resources, "resources_client", opens(client))
    assert resources.create_group(session, "s", "g", "l") == resources.Group("g", "l", "/g")
    assert asked == [("g", {"location": "l"})] * 2


def test_a_quota_is_asked_for_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    client = SimpleNamespace(file_shares=SimpleNamespace(update=lost_once(None, asked)))
    monkeypatch.setattr(offers, "storage_client", opens(client))
    offers.set_share_quota(GroupPlace(session, "s", "g"), "account", "share", 200)
    assert asked == [("g", "account", "share", {"properties": {"shareQuota": 200}})] * 2
