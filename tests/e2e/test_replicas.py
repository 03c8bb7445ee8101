"""More than one replica behind the local cloud's ingress, which gives a request to any of them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Home, Place, Sample, apps_of, provisioned, until
from tests.e2e.rollouts import look
from tests.support.chat_page import ChatPage

ADAPTER = "models/qlora/qlora/gpu_model/adapter"
TWO: Any = {"location": "westus3", "properties": {"template": {"scale": {"minReplicas": 2, "maxReplicas": 2}}}}


@pytest.fixture(scope="module")
def two(home: Home, sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Generator[httpx.Client]:
    """An app of two replicas that both answer, and a client of it."""
    with provisioned(home, tmp_path_factory.mktemp("two"), "two-that-answer") as place:
        place.upload_models(sample[0])
        place.deploy()
        with apps_of(place) as apps:
            apps.container_apps.begin_update(place.group, place.config["ACA_APP_NAME"], TWO).result()
        headers = {"Authorization": f"Bearer {place.api_key()}"}
        with httpx.Client(base_url=url_of(place), headers=headers, timeout=60, trust_env=False) as client:
            until(lambda: len(replicas(client)) == 2, 90, "both to answer")
            until(lambda: all("gradio" in client.get("/").text for _ in range(6)), 90, "both to show the page")
            yield client


def url_of(place: Place) -> str:
    return str(look(place).url)


def replicas(client: httpx.Client) -> set[str]:
    return {client.get("/version").json()["replica"] for _ in range(8)}


@pytest.mark.long  # a revision of two replicas starts
def test_the_chat_page_works_whichever_replica_is_asked(two: httpx.Client, sample: Sample) -> None:
    page = ChatPage(two, two.get("/v1/models").json()["data"][-1]["id"])
    for each in sample[1][:4]:
        assert page.ask(each.question) == each.adapter
    assert [message["role"] for message in page.kept] == ["user", "assistant"] * 4
    assert replicas(two) == replicas(two)


@pytest.mark.long  # as above
def test_loading_an_adapter_says_which_replica_it_has_reached(two: httpx.Client) -> None:
    names = replicas(two)
    told: set[str] = set()
    body = {"lora_name": "by-api", "lora_path": ADAPTER, "load_inplace": True}

    def load() -> bool:
        answer = two.post("/v1/load_lora_adapter", json=body).raise_for_status().json()
        assert answer["reaches"].startswith("this replica")
        told.add(answer["replica"])
        return told == names

    until(load, 60, "each replica to be asked once")
