"""What a release is asked before it takes over: the project's own questions, or one token."""

from __future__ import annotations

from sidecar.core.journal import Journal
from sidecar.core.smoke import Question, Smoke, wrong
from sidecar.gateway.endpoint import Endpoint
from sidecar.words.errors import EndpointError
from sidecar.words.text import Text
from sidecar.workflows.outcome import ASK_SECONDS, ask_model
from sidecar.workflows.restart import answered


def ask_smoke(url: str, key: str | None, smoke: Smoke, journal: Journal) -> None:
    """Raises EndpointError for the first answer that is not as stated."""
    if not smoke:
        ask_model(url, key, journal)
        return
    for number, question in enumerate(smoke, start=1):
        answer = answered(journal, lambda question=question: _answer(url, key, question), ASK_SECONDS)
        if answer is None:
            raise EndpointError(
                Text(
                    "Question {number} of infra/smoke.json got no answer within {seconds} s.",
                    number=number,
                    seconds=ASK_SECONDS,
                ),
                Text("Look at its log, correct the cause and run Deploy again."),
                code="EndpointUnreachable",
            )
        problem = wrong(question, answer)
        if problem is not None:
            raise EndpointError(
                Text("Question {number} of infra/smoke.json: {problem}", number=number, problem=problem),
                Text("Correct the code, or the question, and run Deploy again."),
                code="SmokeFailed",
            )


def _answer(url: str, key: str | None, question: Question) -> str:
    messages = [{"role": "user", "content": question.prompt or ""}]
    if question.messages is not None:
        messages = [{"role": each.role, "content": each.content} for each in question.messages]
    with Endpoint(url, key, ASK_SECONDS) as endpoint:
        return endpoint.chat(question.model or endpoint.models()[0], messages, question.max_tokens)
