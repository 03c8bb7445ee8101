"""What single tokens say: together the text, apart their own bytes, and no two tokens the same that say other things."""

import codecs
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from inference.api.writers import Answer, ChatWriter, TextWriter
from inference.engine.schedule.sequence import Choice
from inference.engine.text.spelling import Spellings
from inference.engine.text.tokenizer import Tokenizer
from inference.messages import Usage

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁the", "▁a", "the", "b", "é", "▁", "▁▁", "猫"]


def made(words: list[str], decoder: Any, special: str = "</s>"):
    fast = FastTokenizer(models.BPE(vocab={word: n for n, word in enumerate(words)}, merges=[]))
    fast.decoder = decoder
    fast.add_special_tokens([special])
    fast.add_tokens(["▁▁▁", "\n\n", "  x"])  # as Gemma and Phi have them: added, and a part of the text
    return Tokenizer(fast, frozenset({len(words)}), None, {})


LLAMA = made(
    [*BYTES, *WORDS],
    decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    ),
)
GEMMA = made(
    [*BYTES, *WORDS], decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
)
METASPACE = made(WORDS, decoders.Metaspace())
GPT = made(
    [*sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġthe", "ing", "Ã", "ðŁ", "ĺ", "ĠĠ"], decoders.ByteLevel(), "<|end|>"
)
WORDPIECE = made(["the", "##ing", "cat"], decoders.WordPiece())
TOKENIZERS = {"llama": LLAMA, "gemma": GEMMA, "metaspace": METASPACE, "gpt": GPT}


def said(tokenizer: Tokenizer, tokens: list[int]):
    """The bytes of an answer's written tokens, the first of which is told as such."""
    found, first = b"", True
    for token in tokens:
        spelling = tokenizer.spellings.of(token, first)
        if spelling.written:
            found, first = found + spelling.data, False
    return found


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_tokens_bytes_make_the_text(name: str, data: st.DataObject):
    tokenizer = TOKENIZERS[name]
    most = tokenizer.fast.get_vocab_size() - 1
    tokens = data.draw(st.lists(st.integers(0, most), max_size=20))
    found = said(tokenizer, tokens)
    try:
        whole = found.decode()
    except UnicodeDecodeError:
        return  # what wrong bytes read as is the decoder's business
    assert whole == tokenizer.decode(tokens)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokens_that_say_other_things_have_other_texts(name: str):
    tokenizer = TOKENIZERS[name]
    texts: dict[str, bytes] = {}
    for token in range(tokenizer.fast.get_vocab_size()):
        spelling = tokenizer.spellings.of(token)
        assert texts.setdefault(spelling.text, spelling.data) == spelling.data
        assert bytes(spelling.values) == spelling.data
    assert (
        len(texts) >= tokenizer.fast.get_vocab_size() - 128
    )  # a byte token and a word may be the same ASCII character


def test_the_space_before_a_word_is_told():
    token = LLAMA.fast.token_to_id("▁the")
    assert LLAMA.spellings.of(token).text == " the"
    assert LLAMA.spellings.of(token, first=True).text == "the"  # as the answer's text begins
    assert GEMMA.spellings.of(GEMMA.fast.token_to_id("▁the"), first=True).text == " the"
    assert GPT.spellings.of(GPT.fast.token_to_id("Ġthe"), first=True).text == " the"


def test_half_a_character_is_told_by_its_bytes():
    assert LLAMA.spellings.of(0xE7).text == r"bytes:\xe7"
    assert LLAMA.spellings.of(0xE7).values == [0xE7]
    assert LLAMA.spellings.of(0x0A).text == "\n"
    half = GPT.fast.token_to_id("ðŁ")
    assert (GPT.spellings.of(half).text, GPT.spellings.of(half).values) == (r"bytes:\xf0\x9f", [0xF0, 0x9F])


def test_special_tokens_are_told_by_name_and_are_no_text():
    end = GPT.spellings.of(GPT.fast.token_to_id("<|end|>"))
    assert (end.text, end.written) == ("<|end|>", False)


def test_a_decoder_that_needs_the_neighbours_is_asked_for_the_token_alone():
    assert WORDPIECE.spellings.of(0).text == "the"
    assert Spellings(WORDPIECE.fast).of(99).text == ""  # no such token
    stripped = made(["▁the"], decoders.Sequence([decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)]))
    assert stripped.spellings.of(0).text == "the"  # stripped of every piece, not of the text


def shapes(tokenizer: Tokenizer):
    named = ("id", 0, "model", False)
    return ChatWriter(*named, spell=tokenizer.spellings.of), TextWriter(*named, spell=tokenizer.spellings.of)


def number_of(word: str) -> int:
    token = LLAMA.fast.token_to_id(word)
    assert token is not None
    return token


def answers_of(words: list[str]):
    tokens = [number_of(word) for word in words]
    others = [number_of("▁the"), number_of("the"), 0xE7, 0xE8]
    ranked = tuple((token, -float(rank)) for rank, token in enumerate(others))
    return Answer([LLAMA.decode(tokens)], [Choice(token, -0.5, ranked) for token in tokens], "stop")


def test_logprobs_of_both_apis():
    """At a later place `▁the` and `the` are two; at the first they say the same, and the likelier one is told."""
    answer = answers_of(["▁the", "</s>", "<0xE7>", "<0x8C>", "<0xAB>", "▁a"])
    chat, text = shapes(LLAMA)
    content = chat.whole([answer], Usage(1, 6, 0))["choices"][0]["logprobs"]["content"]
    assert [token["token"] for token in content] == ["the", "</s>", r"bytes:\xe7", r"bytes:\x8c", r"bytes:\xab", " a"]
    assert [token["token"] for token in content[1]["top_logprobs"]] == [" the", "the", r"bytes:\xe7", r"bytes:\xe8"]
    assert bytes(value for token in content[2:5] for value in token["bytes"]).decode() == "猫"
    plain = text.whole([answer], Usage(1, 6, 0))["choices"][0]
    assert plain["text"] == "the猫 a"
    assert plain["logprobs"]["text_offset"] == [0, 3, 3, 3, 3, 4]
    assert plain["logprobs"]["tokens"] == [token["token"] for token in content]
    first, *later = plain["logprobs"]["top_logprobs"]
    assert first == {"the": 0.0, r"bytes:\xe7": -2.0, r"bytes:\xe8": -3.0}
    assert all(len(top) == 4 for top in later[1:])


def test_streamed_logprobs_equal_those_of_the_whole():
    answer = answers_of(["▁", "▁the", "<0xE7>", "<0x8C>", "<0xAB>", "é"])
    for whole, streamed in zip(shapes(LLAMA), shapes(LLAMA), strict=True):
        at_once = whole.whole([answer], Usage(1, 6, 0))["choices"][0]["logprobs"]
        pieces = [json.loads(json.dumps(streamed._logprobs(0, [choice]))) for choice in answer.choices]
        joined = {name: [entry for piece in pieces for entry in piece[name]] for name in at_once if name != "refusal"}
        assert joined == {name: value for name, value in at_once.items() if name != "refusal"}


def test_offsets_are_the_tokens_places_in_the_text():
    words = ["▁", "▁the", "b", "<0xE7>", "<0x8C>", "<0xAB>", "é", "▁a"]
    answer = answers_of(words)
    text = answer.text
    _, shape = shapes(LLAMA)
    logprobs = shape.whole([answer], Usage(1, 8, 0))["choices"][0]["logprobs"]
    decoder = codecs.getincrementaldecoder("utf-8")()
    for token, place in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        said = decoder.decode(b"" if token.startswith("bytes:") else token.encode())
        assert text[place : place + len(said)] == said
