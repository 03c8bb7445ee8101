"""How the endpoint is called, as code to copy. The key stands in none of it: an environment variable holds it. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

from sidecar.words.names import SnippetLanguage

Language = SnippetLanguage

VARIABLE = "SLIPWAY_API_KEY"
ANY_MODEL = "MODEL"
"""Where no replica is awake to name one: GET /v1/models does, and wakes it."""


def snippet(language: Language, url: str, model: str | None) -> str:
    name = model or ANY_MODEL
    body = {"model": name, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64}
    if language == "url":
        return url
    if language == "curl":
        return _curl(url, body)
    return _python(url, name) if language == "python" else _javascript(url, body)


def _curl(url: str, body: Mapping[str, object]) -> str:
    return "\n".join(
        [
            f"curl --fail-with-body {shlex.quote(f'{url}/v1/chat/completions')} \\",
            f'  -H "Authorization: Bearer ${VARIABLE}" \\',
            "  -H 'Content-Type: application/json' \\",
            f"  -d {shlex.quote(json.dumps(body))}",
            "",
        ]
    )


def _python(url: str, model: str) -> str:
    return "\n".join(
        [
            "import os",
            "",
            "from openai import OpenAI",
            "",
            f'client = OpenAI(base_url={json.dumps(f"{url}/v1")}, api_key=os.environ["{VARIABLE}"])',
            "answer = client.chat.completions.create(",
            f"    model={json.dumps(model)},",
            '    messages=[{"role": "user", "content": "Hello"}],',
            "    max_tokens=64,",
            ")",
            "print(answer.choices[0].message.content)",
            "",
        ]
    )


def _javascript(url: str, body: Mapping[str, object]) -> str:
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
