"""A folder with tokenizer.model alone: the tokens that transformers makes of it with the sentencepiece library."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from inference.engine.files.folder import FolderError
from inference.engine.text.sentencepiece import read_sentencepiece
from inference.engine.text.tokenizer import Tokenizer, load_tokenizer

MADE = Path(__file__).resolve().parents[2] / "data" / "sentencepiece"
EXPECTED: dict[str, Any] = json.loads((MADE / "expected.json").read_text(encoding="utf-8"))
SETTINGS: dict[str, dict[str, Any]] = {
    "llama": {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "LlamaTokenizer"},
    "gemma": {"bos_token": "<bos>", "eos_token": "<eos>", "tokenizer_class": "GemmaTokenizer"},
}


def folder_of(name: str, folder: Path, **changed: Any) -> Path:
    shutil.copy(MADE / f"{name}.model", folder / "tokenizer.model")
    settings = {"unk_token": "<unk>", "add_bos_token": True, **SETTINGS[name], **changed}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def read(name: str, folder: Path, **changed: Any) -> Tokenizer:
    return load_tokenizer(folder_of(name, folder, **changed), {"model_type": name, "vocab_size": 500})


@pytest.mark.parametrize("name", SETTINGS)
def test_its_tokens_are_those_of_transformers_with_sentencepiece(name: str, tmp_path: Path):
    tokenizer = read(name, tmp_path)
    found = [tokenizer.encode_prompt(text) for text in EXPECTED["texts"]]
    assert found == EXPECTED[name]["transformers"]
    assert tokenizer.eos == {tokenizer.fast.token_to_id(SETTINGS[name]["eos_token"])}
    for text in ("Grüße 東京 🙂🚢 ünknown ☃", "def f(x):\n\treturn 12345"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", SETTINGS)
def test_its_tokens_are_sentencepieces_own(name: str, tmp_path: Path):
    """Where no special token stands in the text, and no space before it."""
    tokenizer = read(name, tmp_path)
    for text, tokens in zip(EXPECTED["texts"], EXPECTED[name]["sentencepiece"], strict=True):
        if "<" not in text and not text.startswith(" "):
            assert tokenizer.encode(text) == tokens


def test_tokens_added_in_training_are_read_behind_its_own(tmp_path: Path):
    written = {"content": "<|end|>", "special": True, "normalized": False}
    more = {"lstrip": False, "rstrip": False, "single_word": False}
    tokenizer = read("llama", tmp_path, added_tokens_decoder={"400": {**written, **more}}, eos_token="<|end|>")
    assert tokenizer.encode("a<|end|>")[-1] == 400
    assert 400 in tokenizer.eos


def test_another_class_is_refused_with_the_way_on(tmp_path: Path):
    with pytest.raises(
        FolderError, match=r"tokenizer.model alone cannot be read as a T5Tokenizer; save .* tokenizer.json"
    ):
        read("llama", tmp_path, tokenizer_class="T5Tokenizer")


def test_another_kind_of_model_is_refused_with_the_way_on(tmp_path: Path):
    """A unigram model under a class that makes byte pairs would give other tokens, with no error."""
    folder = folder_of("llama", tmp_path)
    (folder / "tokenizer.model").write_bytes(b"\x0a\x05\x0a\x03abc" + b"\x12\x02\x18\x01")
    with pytest.raises(FolderError, match="alone cannot be read as a LlamaTokenizer"):
        load_tokenizer(folder, {"model_type": "llama"})


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ((MADE / "llama.model").read_bytes()[:-50], "cut off"),
        (b"", "no pieces"),
        (b"\x20\x01", "no pieces"),
        (b"\x0b", "written in the way 3"),
        (b"\x0a\x02\x0a\x05", "cut off"),
        (b"\x08", "cut off"),
        (b"\x08" + b"\xff" * 12, "cut off"),
        (b"\x0a\x02\x08\x01", "a number where a text belongs"),
        (b"\x0a\x04\x0a\x02\xff\xfe", "utf-8"),
    ],
)
def test_what_is_none_is_refused_with_its_file(held: bytes, said: str, tmp_path: Path):
    file = tmp_path / "tokenizer.model"
    file.write_bytes(held)
    with pytest.raises(FolderError, match=rf"tokenizer\.model is no sentencepiece model: .*{said}"):
        read_sentencepiece(file)
