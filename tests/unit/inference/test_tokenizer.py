"""Incremental decoding equals decoding the whole; stop strings are found across token borders; templates are safe."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from inference.engine.files.folder import FolderError
from inference.engine.text.chat_template import compile_template
from inference.engine.text.tokenizer import Detokenizer, TemplateError, Tokenizer, load_tokenizer
from tests.unit.inference.foreign_code import lay_trap

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
PIECES = ["Ġthe", "ing", "Ã", "ðŁ", "ĺ", "Ģ", "lo", "hel"]


def byte_level():
    vocabulary = {piece: n for n, piece in enumerate([*ALPHABET, *PIECES, "<|end|>"])}
    fast = FastTokenizer(models.BPE(vocab=vocabulary, merges=[]))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens(["<|end|>"])
    return Tokenizer(fast, frozenset({vocabulary["<|end|>"]}), None, {})


def metaspace():
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁the", "▁a", "b", "é", "▁", "猫", "</s>"]
    fast = FastTokenizer(models.BPE(vocab={w: n for n, w in enumerate(words)}, merges=[], unk_token="<unk>"))
    fast.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast.add_special_tokens(["</s>"])
    return Tokenizer(fast, frozenset({len(words) - 1}), None, {})


BYTES, SPACES = byte_level(), metaspace()
B = SPACES.fast.token_to_id("b") or 0


def pushed(tokenizer: Tokenizer, tokens: list[int], stop: tuple[str, ...] = ()):
    text = Detokenizer(tokenizer, stop)
    parts = []
    for token in tokens:
        part, stopped = text.push(token)
        parts.append(part)
        if stopped:
            return "".join(parts)
    return "".join(parts) + text.flush()[0]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, len(ALPHABET) + len(PIECES)), max_size=40))
def test_byte_level_pieces_join_to_the_whole(tokens: list[int]):
    assert pushed(BYTES, tokens) == BYTES.decode(tokens)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_any_text_survives_in_pieces(text: str):
    tokens = BYTES.encode(text)
    assert pushed(BYTES, tokens) == text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abthé 猫🐈", max_size=20))
def test_byte_fallback_text_survives_in_pieces(text: str):
    tokens = []
    for character in text:
        known = SPACES.fast.token_to_id(character.replace(" ", "▁"))
        tokens += [known] if known is not None else [1 + byte for byte in character.encode()]
    assert pushed(SPACES, tokens) == SPACES.decode(tokens)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.integers(0, SPACES.fast.get_vocab_size() - 1), max_size=31))
def test_any_byte_fallback_tokens_join_to_the_whole(tokens: list[int]):
    """Wrong bytes after right ones too: they change how the whole run reads."""
    assert pushed(SPACES, tokens) == SPACES.decode(tokens)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 257), min_size=60, max_size=90))
def test_a_long_run_of_bytes_never_fails(tokens: list[int]):
    """Beyond 32 bytes, whole characters are shown before the run ends; a wrong byte after them takes nothing back."""
    assert pushed(SPACES, [*tokens, B]).endswith("b")
    text = "ж🐈" * 20
    shown = Detokenizer(SPACES, ())
    parts = [shown.push(1 + byte)[0] for byte in text.encode()]
    assert "".join(parts[:64]) != ""
    assert "".join(parts) + shown.flush()[0] == text
    shown = Detokenizer(SPACES, ())
    begun = "".join(shown.push(1 + byte)[0] for byte in text.encode())
    assert begun + shown.push(1 + 0xF0)[0] + shown.push(B)[0] + shown.flush()[0] != begun


def test_half_a_character_is_never_shown():
    tokens = BYTES.encode("né🐈!")
    text = Detokenizer(BYTES, ())
    for token in tokens:
        assert "\ufffd" not in text.push(token)[0]


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="abc", max_size=30),
    st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_stop_strings_cut_at_their_first_place(text: str, stops: Any):
    places = [text.find(stop) for stop in stops if stop in text]
    cut = pushed(BYTES, BYTES.encode(text), tuple(stops))
    if not places:
        assert cut == text
    else:
        # the first string to be complete ends the answer; what stands before it is all that is shown
        end = min(text.find(stop) + len(stop) for stop in stops if stop in text)
        complete = [text.find(stop) for stop in stops if 0 <= text.find(stop) <= end - len(stop)]
        assert cut == text[: min(complete)]


def test_text_that_may_become_a_stop_string_is_held_back():
    text = Detokenizer(BYTES, ("<end>",))
    shown = "".join(text.push(token)[0] for token in BYTES.encode("ab<en"))
    assert shown == "ab"
    assert text.flush() == ("<en", False)


def chat(source: Any, **special: Any):
    return Tokenizer(BYTES.fast, BYTES.eos, compile_template(source), special)


def test_a_template_gets_messages_tools_and_special_tokens():
    tokenizer = chat(
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{{ tools | tojson }}",
        bos_token="<s>",
    )
    assert tokenizer.render([{"role": "user", "content": "hi"}], [{"a": "<é>"}]) == '<s>[user] hi\n[{"a": "<é>"}]'


def test_templates_of_the_published_models_forms_compile():
    """Markers of what is trained on, and every parameter of tojson, by name and by position."""
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert chat(source).render([{"content": "hé"}], None) == "hé"
    told = chat("{{ tools | tojson(ensure_ascii=True, separators=(',', ':'), sort_keys=True) }}")
    assert told.render([], [{"b": "é", "a": 1}]) == '[{"a":1,"b":"\\u00e9"}]'


def test_a_conversation_with_tools_uses_the_template_for_it(tmp_path: Path):
    BYTES.fast.save(str(tmp_path / "tokenizer.json"))
    templates = [
        {"name": "default", "template": "plain"},
        {"name": "tool_use", "template": "{{ tools[0].function.name }}"},
    ]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    tokenizer = load_tokenizer(tmp_path, {})
    assert tokenizer.render([], None) == "plain"
    assert tokenizer.render([], [{"type": "function", "function": {"name": "f"}}]) == "f"


def test_a_template_that_refuses_says_why():
    with pytest.raises(TemplateError, match="roles must alternate"):
        chat("{{ raise_exception('roles must alternate') }}").render([], None)
    with pytest.raises(TemplateError, match="no chat template"):
        BYTES.render([], None)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 1 // 0 }}",
        "{{ messages['x'] + 1 }}",
        "{{ 2.0 ** 5000 }}",
        "{{ messages[0].content.split(5) }}",
        "{{ {}|first }}",
    ],
)
def test_whatever_a_template_raises_is_told_as_its_refusal(source: str):
    with pytest.raises(TemplateError, match=r"refuses these messages: ."):
        chat(source + "{{ nothing.at.all }}").render([{"role": "user", "content": "x"}], None)


def test_switches_reach_the_template_and_take_no_other_variables_place():
    tokenizer = chat("{% if enable_thinking is defined and not enable_thinking %}quiet{% endif %}", bos_token="<s>")
    assert tokenizer.render([], None) == ""
    assert tokenizer.render([], None, {"enable_thinking": False}) == "quiet"
    for name in ("messages", "tools", "add_generation_prompt", "bos_token"):
        with pytest.raises(TemplateError, match=f"{name} is no switch"):
            tokenizer.render([], None, {name: "x"})


def test_a_template_cannot_reach_python():
    with pytest.raises(TemplateError):
        chat("{{ ''.__class__.__mro__[1].__subclasses__() }}").render([], None)


def test_end_tokens_come_from_all_three_places(tmp_path: Path):
    BYTES.fast.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|end|>"}}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 6]}))
    found = load_tokenizer(tmp_path, {"eos_token_id": 7})
    assert found.eos == {5, 6, 7, BYTES.fast.token_to_id("<|end|>")}
    assert found.special == {"eos_token": "<|end|>"}


def test_auto_map_is_data_beside_a_tokenizer_that_we_read(tmp_path: Path):
    BYTES.fast.save(str(tmp_path / "tokenizer.json"))
    lay_trap(tmp_path, tmp_path / "run", "tokenizer_config.json")
    loaded = load_tokenizer(tmp_path, {"model_type": "llama"})
    assert loaded.decode(loaded.encode("hé")) == "hé"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tokenizer_class": "OwnTokenizer"}, "'OwnTokenizer'"),
        (
            {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}},
            "'OwnTokenizer'",
        ),
        ({"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}}, r"own\.OwnTokenizer"),
        ({"auto_map": ["own.OwnTokenizer", None]}, r"own\.OwnTokenizer"),
        ({"tokenizer_class": "AutoModel", "auto_map": {"AutoTokenizer": "own.OwnTokenizer"}}, "'AutoModel'"),
    ],
)
def test_a_tokenizer_that_needs_code_of_its_own_is_refused_by_name(
    tmp_path: Path, settings: dict[str, Any], named: str
):
    """Only tokenizer.model is there, and transformers has no class that could read it."""
    (tmp_path / "tokenizer.model").write_bytes(b"")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FolderError, match=rf"no tokenizer\.json, and its tokenizer .*{named}.* never run"):
        load_tokenizer(tmp_path, {})


def test_a_template_for_tools_in_a_file_of_its_own_is_used(tmp_path: Path):
    BYTES.fast.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text("plain")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("{{ tools[0].function.name }}")
    tokenizer = load_tokenizer(tmp_path, {})
    assert tokenizer.render([], None) == "plain"
    assert tokenizer.render([], [{"type": "function", "function": {"name": "f"}}]) == "f"


def test_a_template_that_is_nothing_without_functions_gets_them():
    """Also where it does not write them out: told in words instead, it was rendered without any, and refused."""
    template = compile_template("{{ tools | length }} {{ messages[0].content }}")
    assert template is not None
    assert template.takes_tools == "variable"
    mute = compile_template("{{ messages[0].content }}")
    assert mute is not None
    assert mute.takes_tools == "text"


def test_an_end_token_in_the_map_alone_ends_answers(tmp_path: Path):
    BYTES.fast.save(str(tmp_path / "tokenizer.json"))
    named = BYTES.fast.id_to_token(7)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": {"content": named}}))
    assert load_tokenizer(tmp_path, {}).eos == {7}


@pytest.mark.parametrize(
    ("held", "said"), [("{", "EOF"), ("version https://git-lfs.github.com/spec/v1\n", "LFS pointer")]
)
def test_a_broken_tokenizer_is_named_with_its_file(tmp_path: Path, held: str, said: str):
    (tmp_path / "tokenizer.json").write_text(held)
    with pytest.raises(FolderError, match=rf"{tmp_path}/tokenizer\.json is no tokenizer: .*{said}"):
        load_tokenizer(tmp_path, {})


def test_vocabulary_and_merges_alone_are_read(tmp_path: Path):
    vocabulary = {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<|endoftext|>": 4}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    tokenizer = load_tokenizer(tmp_path, {"model_type": "gpt2"})
    assert tokenizer.encode("ab b") == [2, 3, 1]
    assert tokenizer.decode([2, 3, 1]) == "ab b"
