"""A model with an adapter reads and writes with the tokenizer and the chat template that the adapter brings."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from inference.engine.adapters.tokenizer import AdapterTokenizers
from inference.engine.files.folder import FolderError, check_adapter
from inference.engine.text.tokenizer import load_tokenizer

MESSAGES = [{"role": "user", "content": "w3 w4"}]


def words():
    fast = FastTokenizer(models.WordLevel({f"w{n}": n for n in range(16)}, unk_token="w0"))
    fast.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return fast


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "model-cache/org/model"
    folder.mkdir(parents=True)
    words().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "w2", "bos_token": "w1"}))
    (folder / "chat_template.jinja").write_text("{{ bos_token }} {{ messages[0].content }}")
    return folder


@pytest.fixture
def tokenizers(base: Path, tmp_path: Path) -> AdapterTokenizers:
    return AdapterTokenizers(load_tokenizer(base, {"vocab_size": 20, "eos_token_id": 2}), base, tmp_path)


def adapter(
    mount: Path,
    name: str = "one",
    rows: int = 0,
    fast: Any = None,
    settings: dict[str, Any] | None = None,
    template: Any = None,
):
    path = mount / name
    path.mkdir()
    (path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    whole = {"base_model.model.model.embed_tokens.weight": torch.ones(rows, 4)} if rows else {"x": torch.ones(1)}
    save_file(whole, path / "adapter_model.safetensors")
    if fast is not None:
        fast.save(str(path / "tokenizer.json"))
    if settings is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(settings))
    if template is not None:
        (path / "chat_template.jinja").write_text(template)
    return check_adapter(name, path, mount)


def with_added(*added: Any):
    fast = words()
    fast.add_special_tokens([AddedToken(token) for token in added])
    return fast


def test_a_bare_adapter_uses_all_that_is_the_bases(tokenizers: AdapterTokenizers, base: Path, tmp_path: Path):
    made = tokenizers.of(adapter(tmp_path))
    own = load_tokenizer(base, {"vocab_size": 20, "eos_token_id": 2})
    assert made.encode("w3 w4") == own.encode("w3 w4") == [3, 4]
    assert made.render(MESSAGES, None) == own.render(MESSAGES, None) == "w1 w3 w4"
    assert (made.eos, made.vocabulary, made.known) == (frozenset({2}), 20, 16)


def test_added_tokens_are_read_and_written(tokenizers: AdapterTokenizers, tmp_path: Path):
    made = tokenizers.of(
        adapter(tmp_path, rows=18, fast=with_added("[PAD]", "<|end|>"), settings={"eos_token": "<|end|>"})
    )
    assert made.encode("w3<|end|>") == [3, 17]
    assert made.spellings.of(17).text == "<|end|>"
    assert made.eos == {2, 17}
    assert (made.vocabulary, made.known) == (18, 18)
    assert made.render(MESSAGES, None) == "w1 w3 w4"  # the template may be missing beside it


def test_tokens_without_an_embedding_are_not_known(tokenizers: AdapterTokenizers, tmp_path: Path):
    made = tokenizers.of(adapter(tmp_path, rows=17, fast=with_added("[PAD]", "<|end|>")))
    assert (made.vocabulary, made.known) == (17, 17)
    shrunk = tokenizers.of(adapter(tmp_path, "shrunk", rows=12))
    assert (shrunk.vocabulary, shrunk.known) == (12, 12)


def test_the_same_vocabulary_saved_again_is_the_bases(tokenizers: AdapterTokenizers, tmp_path: Path):
    again = words()
    again.enable_padding()
    again.enable_truncation(1)
    made = tokenizers.of(adapter(tmp_path, fast=again))
    assert made.encode("w3 w4") == [3, 4]
    assert made.fast is tokenizers.of(adapter(tmp_path, "bare")).fast


def test_its_own_chat_template_is_used(tokenizers: AdapterTokenizers, tmp_path: Path):
    beside = tokenizers.of(adapter(tmp_path, template="{{ messages[0].content }} w9"))
    assert beside.render(MESSAGES, None) == "w3 w4 w9"
    inside = tokenizers.of(adapter(tmp_path, "inside", settings={"chat_template": "{{ eos_token }} w8"}))
    assert inside.render(MESSAGES, None) == "w2 w8"


def test_auto_map_is_data(tokenizers: AdapterTokenizers, tmp_path: Path):
    """The tokenizer.json is read by us; without one the base's is used, whatever class its settings name."""
    settings = {
        "auto_map": {"AutoTokenizer": ["words.Words", None]},
        "tokenizer_class": "Words",
        "eos_token": "<|end|>",
    }
    made = tokenizers.of(adapter(tmp_path, rows=18, fast=with_added("[PAD]", "<|end|>"), settings=settings))
    assert made.encode("w3<|end|>") == [3, 17]
    assert made.eos == {2, 17}
    bare = adapter(tmp_path, "bare", settings={"auto_map": {"AutoTokenizer": "words.Words"}})
    (bare.path / "tokenizer.model").write_bytes(b"")
    assert tokenizers.of(bare).encode("w3 w4") == [3, 4]


def test_equal_ones_are_made_once(tokenizers: AdapterTokenizers, tmp_path: Path):
    first = tokenizers.of(adapter(tmp_path, "first", rows=18, fast=with_added("[PAD]")))
    second = tokenizers.of(adapter(tmp_path, "second", rows=18, fast=with_added("[PAD]")))
    other = tokenizers.of(adapter(tmp_path, "other", rows=19, fast=with_added("[PAD]")))
    assert first is second
    assert other is not first
    assert other.vocabulary == 19


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", '{"version": "1.0"}', "tokenizer.json is no tokenizer"),
        ("tokenizer_config.json", "[]", "tokenizer_config.json does not hold a JSON object"),
        ("tokenizer_config.json", '{"eos_token": {"text": "w2"}}', "describes a special token wrongly"),
        ("tokenizer_config.json", '{"chat_template": 5}', "a chat template that is none"),
        (
            "tokenizer_config.json",
            '{"chat_template": [{"name": "tools"}, {"name": "default"}]}',
            "a chat template that is",
        ),
        ("chat_template.jinja", "{% for %}", "a chat template that is none"),
        ("chat_template.jinja", b"\xff\xfe\x00", "a chat template that is none"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    tokenizers: AdapterTokenizers, tmp_path: Path, name: str, content: bytes | str, said: str
):
    folder = adapter(tmp_path)
    (folder.path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FolderError, match=said):
        tokenizers.of(folder)


def test_a_tokenizer_that_leads_out_of_the_mount_is_refused(base: Path, tmp_path: Path):
    mount = tmp_path / "mount"
    mount.mkdir()
    tokenizers = AdapterTokenizers(load_tokenizer(base, {"vocab_size": 20}), base, mount)
    folder = adapter(mount)
    (folder.path / "tokenizer.json").symlink_to(base / "tokenizer.json")
    with pytest.raises(FolderError, match="leads out of"):
        tokenizers.of(folder)
