"""The tokenizer of a model with an adapter: the base's, but for what the adapter's folder brings.

An adapter trained with added tokens is saved with its tokenizer: where its vocabulary differs from the base's, it is
used. The chat template is the adapter's where it brings one, for it was trained on that; else the base's.
"""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import jinja2
from tokenizers import Tokenizer as FastTokenizer

from inference.engine.files.folder import MAX_JSON, TOKENIZER_FILES, AdapterFolder, FolderError, inside, read_json
from inference.engine.text.chat_template import ChatTemplate, compile_template
from inference.engine.text.tokenizer import (
    SPECIAL_NAMES,
    Tokenizer,
    content,
    read_fast,
    template_sources,
)
from inference.engine.weights.whole_modules import own_vocabulary


class AdapterTokenizers:
    """Makes them, equal ones once: a replaced adapter with the same tokenizer costs no parsing. Safe in any thread."""

    def __init__(self, base: Tokenizer, base_path: Path, mount: Path) -> None:
        self._base = base
        self._mount = mount
        self._base_digest = digest_of(base_path / "tokenizer.json")
        self._made: WeakValueDictionary[tuple[int, tuple[str, ...]], Tokenizer] = WeakValueDictionary()
        self._guard = threading.Lock()

    def of(self, folder: AdapterFolder) -> Tokenizer:
        """Raises FolderError naming a file that cannot be used."""
        vocabulary = own_vocabulary(folder, self._base.vocabulary)
        digests = tuple(digest_of(self._checked(folder, name)) for name in TOKENIZER_FILES)
        if vocabulary == self._base.vocabulary and not any(digests):
            return self._base
        key = vocabulary, digests
        with self._guard:
            found = self._made.get(key)
        if found is None:
            found = self._make(folder, vocabulary, digests[0])
            with self._guard:
                self._made[key] = found
        return found

    def _checked(self, folder: AdapterFolder, name: str) -> Path:
        file = folder.path / name
        if file.exists() and inside(file, self._mount).stat().st_size > MAX_JSON:
            raise FolderError(f"{file} is larger than {MAX_JSON >> 20} MiB")
        return file

    def _make(self, folder: AdapterFolder, vocabulary: int, digest: str) -> Tokenizer:
        path, base = folder.path, self._base
        settings = read_json(path / "tokenizer_config.json") if (path / "tokenizer_config.json").exists() else {}
        fast = base.fast if digest in {"", self._base_digest} else fast_of(path / "tokenizer.json", base.fast)
        special = dict(base.special) | special_tokens(path, settings)
        named = fast.token_to_id(special["eos_token"]) if "eos_token" in special else None
        size = fast.get_vocab_size()
        template, with_tools = templates_of(path, settings)
        return replace(
            base,
            fast=fast,
            eos=frozenset(token for token in base.eos | {named} if token is not None and token < size),
            template=template or base.template,
            tool_template=with_tools if template else base.tool_template,
            special=special,
            longest=base.longest if fast is base.fast else max(map(len, fast.get_vocab()), default=1),
            vocabulary=vocabulary,
        )


def fast_of(file: Path, base: FastTokenizer) -> FastTokenizer:
    """The folder's tokenizer when its vocabulary differs from the base's, else the base's."""
    fast = read_fast(file)
    if fast.get_vocab() == base.get_vocab():
        return base
    fast.no_padding()
    fast.no_truncation()
    return fast


def special_tokens(path: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {name: content(settings[name]) for name in SPECIAL_NAMES if settings.get(name)}
    except (KeyError, TypeError) as error:
        raise FolderError(f"{path / 'tokenizer_config.json'} describes a special token wrongly") from error


def templates_of(path: Path, settings: Mapping[str, Any]) -> tuple[ChatTemplate | None, ChatTemplate | None]:
    try:
        plain, with_tools = template_sources(path, settings)
        return compile_template(plain), compile_template(with_tools)
    except (jinja2.TemplateError, TypeError, KeyError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} has a chat template that is none: {error}") from error


def digest_of(file: Path) -> str:
    """sha256 of a file, empty when there is none."""
    if not file.exists():
        return ""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
