"""How the endpoint is called, as code to copy. The key stands in none of it: an environment variable holds it. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from sidecar.words.names import SnippetLanguage

Language = SnippetLanguage

VARIABLE = "SLIPWAY_API_KEY"
ANY_MODEL = "MODEL"
"""Where no replica is awake to name one: GET /v1/models does, and wakes it."""


def snippet(language: Language, url: str, model: str | None) -> str:
    """A first call of the model."""
    name = model or ANY_MODEL
    return call(language, url, {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64})


def call(language: Language, url: str, body: Mapping[str, Any]) -> str:
    """`body`: of a request to /v1/chat/completions."""
    if language == "url":
        return url
    if language == "curl":
        return _curl(url, body)
    return _python(url, body) if language == "python" else _javascript(url, body)


def _curl(url: str, body: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            f"curl --fail-with-body {shlex.quote(f'{url}/v1/chat/completions')} \\",
            f'  -H "Authorization: Bearer ${VARIABLE}" \\',
            "  -H 'Content-Type: application/json' \\",
            f"  -d {shlex.quote(json.dumps(body))}",
            "",
        ]
    )


def _python(url: str, body: Mapping[str, Any]) -> str:
    """JSON's texts, lists, objects and numbers are Python's as well; nothing else stands in a body."""
    return "\n".join(
        [
            "import os",
            "",
            "from openai import OpenAI",
            "",
            f'client = OpenAI(base_url={json.dumps(f"{url}/v1")}, api_key=os.environ["{VARIABLE}"])',
            "answer = client.chat.completions.create(",
            *(f"    {name}={json.dumps(value)}," for name, value in body.items()),
            ")",
            "print(answer.choices[0].message.content)",
            "",
        ]
    )


def _javascript(url: str, body: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            f"const answer = await fetch({json.dumps(f'{url}/v1/chat/completions')}, {{",
            '  method: "POST",',
            f'  headers: {{ Authorization: `Bearer ${{process.env.{VARIABLE}}}`, "Content-Type": "application/json" }},',
            f"  body: JSON.stringify({json.dumps(body)}),",
            "});",
            "if (!answer.ok) throw new Error(await answer.text());",
            "console.log((await answer.json()).choices[0].message.content);",
            "",
        ]
    )
