"""Properties: a secret in any of the shapes in which logs and settings hold one is gone, and ordinary text stays as it is."""

from __future__ import annotations

import base64
import json
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sidecar.decisions.redaction import (
    HIDDEN,
    looks_secret,
    redacted,
    redacted_document,
    redacted_lines,
    secret_values,
)

BUSY = settings(deadline=None, max_examples=60)
"""The machine may be."""

PRINTED = st.characters(min_codepoint=33, max_codepoint=126)
WORDS = st.text(PRINTED, min_size=8, max_size=40).filter(lambda each: not each.isdigit() and "redacted" not in each)
"""No space in it: where a value is unquoted, a space ends it."""
PLAIN_WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9+/_~-]{7,40}", fullmatch=True)
"""Neither quote nor backslash: in a shell these would need a quote of their own."""
SPOKEN = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85\u2028"), min_size=8)
SECRETS = SPOKEN.filter(lambda each: each == each.strip() and not each.isdigit() and "redacted" not in each)
NAMES = st.sampled_from(
    ["OPENAI_API_KEY", "HF_TOKEN", "api_key", "apiKey", "x-api-key", "password", "client_secret", "db.password", "pwd"]
)
FLAGS = st.sampled_from(["--password", "--api-key", "--hf-token", "--client-secret"])

UNQUOTED: dict[str, Callable[[str, str], str]] = {
    "assignment": "{}={}".format,
    "export": "+ export {}={} && python -m inference".format,
    "yaml": "{}: {}".format,
    "spaced": "{} = {} # set by hand".format,
}
QUOTED: dict[str, Callable[[str, str], str]] = {
    "json": lambda name, value: json.dumps({"a": 1, name: value, "b": [2]}),
    "json in json": lambda name, value: json.dumps(json.dumps({name: value})),
    "python": lambda name, value: f"Settings({ {name: value}!r})",
    "pair": lambda name, value: json.dumps({"env": [{"name": name, "value": value}]}),
    "pair in python": lambda name, value: f"env={[{'name': name, 'value': value}]!r}",
    "toml": lambda name, value: f"{name} = {json.dumps(value)}",
    "equals": lambda name, value: f"{name}={json.dumps(value)} started",
}


@BUSY
@given(NAMES, PLAIN_WORDS)
@pytest.mark.parametrize("shape", UNQUOTED)
def test_no_unquoted_value_survives(shape: str, name: str, value: str) -> None:
    assume(value not in name)  # which stays
    hidden(UNQUOTED[shape](name, value), value)


@BUSY
@given(NAMES, SECRETS)
@example("OPENAI_API_KEY", "00000 00")
@example("password", "7 horses, true story")
@pytest.mark.parametrize("shape", QUOTED)
def test_no_quoted_value_survives(shape: str, name: str, value: str) -> None:
    assume(value not in name)  # which stays
    hidden(QUOTED[shape](name, value), value)


@BUSY
@given(NAMES, WORDS)
def test_no_value_that_a_shell_has_to_quote_survives(name: str, value: str) -> None:
    clean = redacted(f"export {name}={shlex.quote(value)} && start", ())
    assert clean.startswith(f"export {name}={HIDDEN}")
    assert value not in clean
    assert all(part not in clean for part in value.split("'") if len(part) > len("export && start"))


@BUSY
@given(NAMES, SECRETS)
def test_no_value_of_a_pair_in_a_document_survives(name: str, value: str) -> None:
    assert redacted_document({"env": [{"name": name, "value": value}, {"name": "MODE", "value": "fast"}]}, ()) == {
        "env": [{"name": name, "value": HIDDEN}, {"name": "MODE", "value": "fast"}]
    }


@BUSY
@given(FLAGS, PLAIN_WORDS)
def test_no_value_of_a_flag_survives(flag: str, value: str) -> None:
    for text in (f"serve {flag} {value} --port 80", f"serve {flag}={value}", f"serve {flag} '{value}'"):
        hidden(text, value)
    hidden(f"argv {['serve', flag, value]!r}", value)
    assert redacted_document(["serve", flag, value, "--port"], ()) == ["serve", flag, HIDDEN, "--port"]


@BUSY
@given(PLAIN_WORDS.map(lambda each: each.replace("/", "_")))
def test_no_password_of_a_url_survives_and_its_host_does(value: str) -> None:
    for user in ("", "user", "user@example.org"):
        text = f"pip install --index-url https://{user}:{value}@pkgs.example.org/simple torch"
        assert redacted(text, ()) == f"pip install --index-url https://{HIDDEN}@pkgs.example.org/simple torch"
    hidden(f"fatal: could not read from 'https://{value}@github.com/me/model.git'", value)


@BUSY
@given(PLAIN_WORDS, PLAIN_WORDS)
def test_no_header_that_says_who_asks_survives(user: str, password: str) -> None:
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    for text in (
        f"Authorization: Basic {basic}",
        f"> authorization: Basic {basic}\r\n> accept: */*",
        json.dumps({"headers": {"Authorization": f"Basic {basic}"}}),
        repr({"Proxy-Authorization": f"Basic {basic}"}),
    ):
        hidden(text, basic)
    hidden(f"Cookie: session={password}; theme=dark", password)
    hidden(f"curl -u {user}:{password} http://localhost/", password)


@BUSY
@given(NAMES, SECRETS)
def test_a_line_of_a_log_stream_is_read_before_it_is_cleared(name: str, value: str) -> None:
    """There every quote of what the container wrote is escaped."""
    for said in (json.dumps({name: value}), f"{name}={json.dumps(value)}", repr({name: value})):
        line = json.dumps({"TimeStamp": "2026-06-20T13:35:27Z", "Log": f"F {said}"})
        clean = redacted_lines(f"{line}\nplain\n", ())
        first, second, _ = clean.split("\n")
        log = json.loads(first)["Log"]
        assert all(form not in log for form in (value, json.dumps(value)[1:-1], repr(value)[1:-1]))
        assert (log.count(HIDDEN), second) == (1, "plain")


@BUSY
@given(SECRETS)
def test_no_known_secret_survives_in_whichever_way_it_is_written(value: str) -> None:
    for written in (value, json.dumps(value), json.dumps(json.dumps(value)), repr(value), quote(value, safe="")):
        assert redacted(f"said {written} here", [value]).count(HIDDEN) >= 1
        assert redacted_document({"a": [{"said": f"x {written}"}]}, [value])["a"][0]["said"].count(HIDDEN) >= 1
    assert value not in json.dumps(redacted_document({"note": value, value: 1}, [value]), ensure_ascii=False)


ORDINARY = st.one_of(
    st.from_regex(r"/(?:mnt|usr|models)(?:/[a-z0-9_.]{1,12}){1,4}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    st.integers().map(str),
    st.floats(allow_nan=False).map(str),
    st.sampled_from(
        [
            "tokenizer: Qwen2Tokenizer",
            "tokenizer_config.json",
            "max_tokens=4096",
            "eos_token: <|im_end|>",
            "time per token: 12.5ms",
            "num_key_value_heads: 8",
            "TOKENIZERS_PARALLELISM=false",
            "http://127.0.0.1:8000/v1/models",
            "https://app.westus3.azurecontainerapps.io/version?x=1",
            "Unexpected key(s) in state_dict",
            "secretRef: api",
            "me@example.org",
            "token: null",
        ]
    ),
)


@BUSY
@given(st.lists(ORDINARY, min_size=1, max_size=8).map(" ".join))
def test_ordinary_text_stays(text: str) -> None:
    assert redacted(text, ()) == text
    line = json.dumps({"Log": text, "Count": 3, "max_tokens": 5, "token": None})
    assert redacted_lines(line, ()) == line


DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), ORDINARY),
    lambda each: st.one_of(
        st.lists(each, max_size=4),
        st.dictionaries(st.sampled_from(["name", "args", "env", "max_tokens", "secretRef"]), each, max_size=4),
    ),
    max_leaves=12,
)


@BUSY
@given(DOCUMENTS)
def test_an_ordinary_document_stays_whatever_its_form(document: object) -> None:
    assert redacted_document(document, ()) == document


def test_a_private_key_goes_whole_also_where_it_has_many_lines() -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAbCd\n-----END RSA PRIVATE KEY-----"
    assert redacted_lines(f"before\n{pem}\nafter", ()) == f"before\n{HIDDEN}\nafter"
    streamed = "\n".join(json.dumps({"Log": f"F {line}"}) for line in pem.split("\n"))
    assert redacted_lines(f"{streamed}\nafter", ()) == f'{{"Log": "F {HIDDEN}"}}\nafter'
    assert redacted_document({"pem": pem}, ()) == {"pem": HIDDEN}


def test_values_of_variables_that_look_secret_are_known_ones_from_then_on() -> None:
    env = [
        {"name": "OPENAI_KEY", "value": "say-nothing"},
        {"name": "MODE", "value": "production"},
        {"name": "MAX_TOKENS", "value": "4096"},
        {"name": "API_KEY", "secretRef": "api-key"},
    ]
    assert secret_values({"properties": {"template": {"containers": [{"env": env}]}}}) == ["say-nothing"]
    assert [looks_secret(each) for each in ("HF_TOKEN", "apiKey", "secretRef", "keys", "tokenizer")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def hidden(text: str, value: str) -> None:
    """Neither the value nor a way to write it is left, in the text or in a document that holds it."""
    forms = {value, json.dumps(value)[1:-1], json.dumps(json.dumps(value)[1:-1])[1:-1], repr(value)[1:-1]}
    for clean in (redacted(text, ()), redacted_document({"said": [text]}, ())["said"][0]):
        assert HIDDEN in clean
        assert [form for form in forms if form in clean] == [], clean


@pytest.mark.parametrize("word", ["KEY", "a-", "x.key", "password=", "http://", "--api-key ", "\\", '"', "token"])
def test_a_line_of_one_word_over_and_over_is_read_within_seconds(word: str) -> None:
    """The longest that a log's line may be; once a name of many KEYs took half a minute."""
    began = time.thread_time()  # of this thread alone: others may be at work too
    redacted(word * (64 * 1024 // len(word)), ())
    assert time.thread_time() - began < 5
