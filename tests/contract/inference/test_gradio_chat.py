"""The chat page through Gradio's own client: several turns, streamed, base and adapter."""

import time
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.client import Job
from gradio_client.exceptions import AppError

from tests.contract.inference.conftest import Endpoint, Sample, Started
from tests.support.chat_page import TURN, ChatPage


@pytest.fixture
def chat(endpoint: Endpoint) -> Client:
    endpoint.eventually(lambda: "gradio" in endpoint.http().get("/").text, 60)
    return Client(endpoint.url, headers=endpoint.headers, verbose=False)


def turn(chat: Client, question: str, model: str, system: str = "", tokens: int = 64):
    return chat.predict(question, model, system, tokens, 0, 0.95, 0, api_name="/chat")


def test_base_and_adapter_answer_in_the_chat(chat: Client, sample: Sample):
    asked = sample.questions[0]
    assert turn(chat, asked["question"], sample.base) == asked["base"]
    assert turn(chat, asked["question"], sample.adapter) == asked["adapter"]


def test_the_chat_remembers_the_turn_before(chat: Client, sample: Sample):
    first = sample.questions[3]["question"]
    turn(chat, first, sample.adapter)
    assert turn(chat, sample.recall, sample.adapter) == sample.recalled[first]


def under_way(chat: Client, endpoint: Endpoint, model: str, api: str, *, sure: bool) -> Job:
    """An answer that has begun to be shown while it was being made. How many steps Gradio makes of it is the machine's affair.
    `sure`: the server was asked whether it still makes it; whoever cancels can tell without, and sooner."""
    for _ in range(50):  # one that is drawn so wildly may end at once: then another is drawn
        endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)
        chat.reset_session()  # two answers that came to their end would fill the context with what they said
        job = chat.submit("What is a slipway?", model, "", 1000, 2, 1, 0, api_name=api)
        endpoint.eventually(lambda job=job: bool(job.outputs()) or job.done())
        if job.outputs() and (endpoint.metric("slipway_running") == 1 if sure else not job.done()):
            return job
        job.cancel()
    pytest.fail("no answer was seen while it was being made")


def test_the_answer_is_streamed(endpoint: Endpoint, chat: Client, sample: Sample):
    asked = sample.questions[4]
    steps = list(chat.submit(asked["question"], sample.adapter, "", 64, 0, 0.95, 0, api_name="/chat"))
    assert steps[-1] == asked["adapter"]
    assert all(asked["adapter"].startswith(step) for step in steps)
    job = under_way(chat, endpoint, sample.base, "/chat", sure=True)
    begun = str(job.outputs()[0])
    steps = [str(each) for each in job]
    assert steps[-1].startswith(begun)
    assert len(steps[-1]) > len(begun)


def test_system_prompt_and_length_are_honoured(chat: Client, sample: Sample):
    asked = sample.questions[1]
    assert turn(chat, asked["question"], sample.base, system=sample.loud) == asked["base"].upper()
    short = turn(chat, asked["question"], sample.base, tokens=3)
    assert short != asked["base"]
    assert asked["base"].startswith(short)


def test_each_slider_reaches_the_parameter_that_it_is_labelled_with(chat: Client, sample: Sample):
    described: Any = chat.view_api(print_info=False, return_format="dict")
    info = described["named_endpoints"]
    sliders = ["Max new tokens", "Temperature", "Top-p", "Top-k (0: all)"]
    for name in ("/chat", "/compare"):
        assert [parameter["label"] for parameter in info[name]["parameters"]][-4:] == sliders
    asked = sample.questions[1]

    def answer(*values: Any):
        chat.reset_session()  # a conversation of its own
        return chat.predict(asked["question"], sample.adapter, "", *values, api_name="/chat")

    hot = [answer(20, 2, 1, 0) for _ in range(3)]
    assert any(not asked["adapter"].startswith(text) for text in hot)
    assert answer(64, 2, 1, 1) == asked["adapter"]  # the likeliest one only
    assert answer(64, 1, 0.05, 0) == asked["adapter"]
    assert answer(64, 0, 1, 0) == asked["adapter"]
    short = answer(4, 0, 1, 0)
    assert asked["adapter"].startswith(short)
    assert short != asked["adapter"]
    both = chat.predict(asked["question"], sample.adapter, "", 64, 2, 1, 1, api_name="/compare")
    assert tuple(both) == (asked["base"], asked["adapter"])


def test_base_and_adapter_answer_side_by_side(chat: Client, sample: Sample):
    asked = sample.questions[5]
    both = chat.predict(asked["question"], sample.adapter, "", 64, 0, 0.95, 0, api_name="/compare")
    assert tuple(both) == (asked["base"], asked["adapter"])
    with pytest.raises(AppError, match="beside itself compares nothing"):
        chat.predict(asked["question"], sample.base, "", 64, 0, 0.95, 0, api_name="/compare")


def test_an_idle_page_holds_no_request(endpoint: Endpoint, chat: Client):
    """The heartbeat, which Gradio would hold open for as long as the page is, ends by itself: a held one would time out."""
    assert endpoint.http().get("/gradio_api/heartbeat/x", timeout=30).status_code == 200


def test_an_idle_server_wakes_seldom(endpoint: Endpoint, chat: Client):
    """Gradio would look for work a thousand times a second on the event loop that streams the tokens."""
    if not isinstance(endpoint, Started):
        pytest.skip("not a process of this machine's")
    status = Path(f"/proc/{endpoint.process.pid}/status")

    def wakes() -> int:
        """How often the main thread has waited."""
        return int(status.read_text().rpartition("\nvoluntary_ctxt_switches:")[2].split()[0])

    endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)  # what another test has left
    before, began = wakes(), time.monotonic()
    time.sleep(2)  # sleeps: it is counted what happens in that time
    assert (wakes() - before) / (time.monotonic() - began) < 200


def test_the_page_loads_nothing_from_elsewhere(endpoint: Endpoint, chat: Client):
    page = endpoint.http().get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    config = endpoint.http().get("/config").json()
    assert "fonts.googleapis" not in endpoint.http().get("/theme.css").text
    assert config["analytics_enabled"] is False


def test_the_pages_own_turn_is_one_request_and_its_memory_is_the_pages(
    endpoint: Endpoint, chat: Client, sample: Sample
):
    """Nothing of it is left to the process between two turns: behind an ingress another one may be asked."""
    first, second = ChatPage(endpoint.http(), sample.adapter), ChatPage(endpoint.http(), sample.adapter)
    asked = sample.questions[3]
    assert first.ask(asked["question"]) == asked["adapter"]
    second.kept = first.kept  # as if the page were asked by another session
    assert second.ask(sample.recall) == sample.recalled[asked["question"]]
    empty = ChatPage(endpoint.http(), sample.adapter)
    assert empty.ask(sample.recall) != sample.recalled[asked["question"]]


def test_an_adapter_that_came_after_the_page_was_made_answers_in_a_turn(
    endpoint: Endpoint, chat: Client, sample: Sample
):
    """A turn has no session, in which Gradio keeps what a page may choose by now: it was refused without a reason."""
    late = {"lora_name": "late", "lora_path": "models/qlora/qlora/gpu_model/adapter"}
    assert endpoint.http().post("/v1/load_lora_adapter", json=late).status_code == 200
    try:
        asked = sample.questions[0]
        assert ChatPage(endpoint.http(), "late").ask(asked["question"]) == asked["adapter"]
    finally:
        endpoint.http().post("/v1/unload_lora_adapter", json={"lora_name": "late"})


def test_leaving_a_turn_ends_its_generation(endpoint: Endpoint, chat: Client, sample: Sample):
    for _ in range(50):  # an answer that is drawn so wildly may end at once: then it can't be left
        endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)
        cancelled = endpoint.metric("slipway_cancelled_total")
        turn = ChatPage(endpoint.http(), sample.base).events("What is a slipway?", 1000, 2)
        joined = next(turn)
        assert joined["event_id"]
        next(each for each in turn if each["msg"] in {"process_generating", "process_completed"})
        turn.close()
        endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)
        if endpoint.metric("slipway_cancelled_total") == cancelled + 1:
            return  # Gradio itself would look after ten seconds: by then the answer would have ended as if it were read
    pytest.fail("no turn that was left ended before its answer")


def test_a_turn_that_can_not_be_joined_is_refused_as_gradio_refuses_it(endpoint: Endpoint, chat: Client):
    for body in (b"{", b"{}", b"[]"):
        answer = endpoint.http().post(TURN, content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500
    assert endpoint.http().get(TURN).status_code in {404, 405}


def test_stopping_an_answer_ends_its_generation(endpoint: Endpoint, chat: Client, sample: Sample):
    for _ in range(50):  # one that was about to end by itself shows nothing
        cancelled = endpoint.metric("slipway_cancelled_total")
        job = under_way(chat, endpoint, sample.base, "/chat", sure=False)
        job.cancel()
        endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)
        if endpoint.metric("slipway_cancelled_total") == cancelled + 1:
            return
    pytest.fail("no answer that was stopped ended before its time")


def test_the_inputs_placeholder_comes_back_after_a_message(endpoint: Endpoint, chat: Client):
    """Gradio clears it with the text: the step of the page that does so is asked for here as the page asks."""
    config = endpoint.http().get("/config").json()
    (step,) = [each for each in config["dependencies"] if "_clear_and_save_textbox" in str(each["api_name"])]
    body = {"data": ["Hello"], "fn_index": step["id"], "session_hash": "of-this-test"}
    answer = endpoint.http().post("/gradio_api/run/predict", json=body)
    box = answer.json()["data"][0]
    assert box["value"] == ""
    shown = [part["props"]["placeholder"] for part in config["components"] if part["id"] in step["inputs"]]
    assert [box["placeholder"]] == shown


def test_a_comparison_that_is_left_ends_both_answers(endpoint: Endpoint, chat: Client, sample: Sample):
    for _ in range(50):
        cancelled = endpoint.metric("slipway_cancelled_total")
        job = under_way(chat, endpoint, sample.adapter, "/compare", sure=False)
        job.cancel()
        endpoint.eventually(lambda: endpoint.metric("slipway_in_flight") == 0)
        if endpoint.metric("slipway_cancelled_total") == cancelled + 2:
            break
    else:
        pytest.fail("no comparison that was left ended before its answers")
    if isinstance(endpoint, Started):
        assert "Traceback" not in endpoint.log.read_text()
