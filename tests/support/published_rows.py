"""What `npm run contract -- models` asks of each published configuration, and of each published chat template."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path

from inference.engine.files.folder import FolderError
from inference.engine.files.quantised import WAY_ON
from tests.support.published_shapes import VOCABULARY, Published, all_published, shrunk
from tests.support.published_templates import oracle
from tests.support.published_templates import played as templates_played
from tests.support.rows import Row
from tests.support.tiny_models import Oracle, write_json, write_model
from tests.support.whole_load import Asked, answers, loaded

TOKENS = 20
LENGTHS = (7, 20, 100)
"""Prompts: within every window, and beyond windows and the positions that a scaled rope started from."""


def model_rows(folder: Path, chosen: list[str]) -> Generator[Row]:
    for number, each in enumerate(all_published()):
        if chosen and each.name not in chosen:
            continue
        if each.quantised:
            yield refused(folder / f"{number}-as-published", each)
        yield played(folder / str(number), each)


def prompts() -> list[list[int]]:
    chance = random.Random(11)
    return [[chance.randrange(3, VOCABULARY // 2) for _ in range(length)] for length in LENGTHS]


def played(mount: Path, published: Published) -> Row:
    """A model of this form, without its quantisation where it has one: transformers' tokens and its ends of an answer."""
    config, generation = shrunk(published, plainly=True)
    folder = mount / "model-cache" / "acme" / "tiny"
    name = published.name + (" (not quantised)" if published.quantised else "")
    try:
        write_model(folder, config, generation)
        oracle = Oracle(folder)
        with loaded(mount) as served:
            kind, ends = served.engine.kind, served.engine.tokenizer.eos
            said = answers(served, [Asked(prompt) for prompt in prompts()], TOKENS)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is this row's answer)
        return Row(name, "RED", f"{type(error).__name__}: {error}".replace(str(mount), ""))
    wrong = [len(prompt) for prompt, each in zip(prompts(), said, strict=True) if each != oracle.tokens(prompt, TOKENS)]
    if wrong:
        return Row(name, "RED", f"{kind} engine: other tokens than transformers after prompts of {wrong} tokens")
    if not oracle.ends <= ends:
        return Row(name, "RED", f"does not end at {sorted(oracle.ends - ends)}, as transformers does")
    if published.numbers_only:
        return Row(name, "unverified", f"{kind} engine: transformers' tokens, but only numbers of its files are known")
    return Row(name, "ok", f"{kind} engine: transformers' tokens")


def refused(mount: Path, published: Published) -> Row:
    """As it is published, quantised by a method that is not served: said by name, with the file and what to do."""
    config, _ = shrunk(published)
    folder = mount / "model-cache" / "acme" / "tiny"
    write_model(folder, shrunk(published, plainly=True)[0])
    write_json(folder / "config.json", config)
    name, method = f"{published.name} ({published.quantised})", published.quantised
    try:
        with loaded(mount) as served:
            return Row(name, "RED", f"{served.engine.kind} engine: served, though nobody reads {method}")
    except FolderError as error:
        said = str(error).replace(str(mount), "")
    return Row(name, "ok" if method in said and "config.json" in said and WAY_ON in said else "RED", f"refused: {said}")


def template_rows(folder: Path, chosen: list[str]) -> Generator[Row]:
    if not oracle() and not chosen:
        yield Row("chat templates", "unverified", "no published templates are beside the project")
    for model in sorted(oracle()):
        name = f"chat template of {model}"
        if chosen and model not in chosen:
            continue
        found = templates_played(model, folder / "templates" / model)
        told = f"{found.equal} conversations as transformers, {found.helped} in the template's form"
        yield Row(name, "RED" if found.wrong else "ok", "; ".join(found.wrong) or told)
