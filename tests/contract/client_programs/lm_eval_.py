"""lm-evaluation-harness: generation, and the likelihood of given texts that every multiple-choice task asks for."""

import os

from cells import ASK, KEY, MODEL, SENTENCE, URL, raised, run, same

os.environ["OPENAI_API_KEY"] = KEY

import json

from lm_eval.api.instance import Instance
from lm_eval.models.api_models import JsonChatStr
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI


def instance(kind: str, *arguments: object) -> Instance:
    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)


def model(kind: type, path: str, **more: object):
    return kind(
        **{
            "base_url": f"{URL}/v1/{path}",
            "model": MODEL,
            "max_retries": 1,
            "tokenizer_backend": None,
            "tokenized_requests": False,
            **more,
        }
    )


def chat():
    asked = instance("generate_until", JsonChatStr(json.dumps(ASK)), {"until": ["\n\n"], "max_gen_toks": 64})
    same(model(LocalChatCompletion, "chat/completions").generate_until([asked]), [SENTENCE])


def completions():
    asked = instance("generate_until", "When is high tide?", {"until": ["\n"], "max_gen_toks": 64, "do_sample": False})
    same(model(LocalCompletionsAPI, "completions").generate_until([asked]), [SENTENCE])


def likelihood():
    scored = model(
        LocalCompletionsAPI,
        "completions",
        tokenizer_backend="huggingface",
        tokenizer=os.environ["CLIENT_TOKENIZER"],
        tokenized_requests=True,
    )
    given = [instance("loglikelihood", "High tide is at", choice) for choice in (" noon.", " night.")]
    results = scored.loglikelihood(given)
    same(len(results), 2)
    for logprob, greedy in results:
        same((logprob < 0, type(greedy)), (True, bool))


def errors():
    os.environ["OPENAI_API_KEY"] = "wrong"
    wrong = model(LocalChatCompletion, "chat/completions")
    asked = instance("generate_until", JsonChatStr(json.dumps(ASK)), {"until": []})
    raised(lambda: wrong.generate_until([asked]), Exception)


run({"chat": chat, "completions": completions, "likelihood": likelihood, "errors": errors})
