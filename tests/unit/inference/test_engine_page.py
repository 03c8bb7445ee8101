"""The example on the engine's page: run as it stands there, on a model that is made here."""

import re
from pathlib import Path

import pytest

import inference.engine
from inference.engine.alone import engine_on, pieces
from inference.engine.schedule.sequence import SamplingParams
from tests.unit.inference.conftest import VOCABULARY, Families, word_tokenizer

PAGE = Path(inference.engine.__file__).with_name("README.md")


def test_the_example_prints_what_the_model_says(
    families: Families, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    made = families.make(tmp_path / "mount", "LlamaConfig", ["q_proj"])
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(example.splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    exec(compile(example, str(PAGE), "exec"), {})
    tokens = families.reference(made).generate([5, 6], "", 8)
    assert capsys.readouterr().out.strip() == word_tokenizer(VOCABULARY).decode(tokens)


def test_the_page_names_rooms_and_tests_that_are_there():
    text = PAGE.read_text()
    here, tests = PAGE.parent, Path(__file__).parent
    for name in re.findall(r"`(?:tests/unit/inference/)?(test_\w+\.py)`", text):
        assert (tests / name).is_file(), name
    for name in re.findall(r"`((?!tests/)(?:[a-z_]+/)+[a-z_]*(?:\.py)?)`", text):
        assert (here / name).exists() or (here / "compute" / name).exists(), name
    packages = {each.parent.name for each in here.glob("*/__init__.py")}
    assert packages == {name for name in packages if f"| `{name}/` |" in text}


def test_an_answer_that_the_engine_could_not_finish_is_no_short_answer(families: Families, tmp_path: Path):
    families.make(tmp_path, "LlamaConfig", ["q_proj"])
    with engine_on(tmp_path) as engine:
        answer = pieces(engine, "w5 w6", SamplingParams(max_tokens=200, ignore_eos=True))
        next(answer)
        engine.stop()
        with pytest.raises(RuntimeError):
            list(answer)
