"""Answers of random weights follow their schemas, however they are drawn and whatever runs beside them."""

import json
import re
from typing import Any

import pytest
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from inference.engine.text.grammar import ANY_OBJECT, GrammarError, Grammars, Part, without_notes
from inference.engine.text.tokenizer import Tokenizer
from tests.unit.inference.conftest import Families, Family, Reference, Rig, RigMaker

SPLIT = ["q_proj", "v_proj", "o_proj", "gate_proj"]
SHORT = {"type": "string", "maxLength": 6}
PERSON = {
    "type": "object",
    "properties": {
        "name": SHORT,
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "address": {
            "type": "object",
            "properties": {"street": SHORT, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["street", "zip"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "age", "address"],
    "additionalProperties": False,
}
SCHEMAS = {
    "nested": PERSON,
    "array": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    "enum": {"enum": ["red", "green", 7, None, "äöü"]},
    "const": {"type": "object", "properties": {"kind": {"const": "fixed"}}, "required": ["kind"]}
    | {"additionalProperties": False},
    "number": {"type": "number", "minimum": -2.5, "maximum": 2.5, "multipleOf": 0.5},
    "integer": {"type": "integer", "exclusiveMinimum": 17, "exclusiveMaximum": 24},
    "optional": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": SHORT, "c": {"type": "boolean"}},
        "additionalProperties": False,
    },
    "anyOf": {"anyOf": [SHORT, {"type": "array", "items": {"type": "null"}, "maxItems": 2}, {"type": "boolean"}]},
    "reference": {
        "$ref": "#/$defs/pair",
        "$defs": {
            "pair": {
                "type": "object",
                "properties": {"left": {"$ref": "#/$defs/leaf"}, "right": {"$ref": "#/$defs/leaf"}},
                "required": ["left", "right"],
                "additionalProperties": False,
            },
            "leaf": {"type": "string", "minLength": 2, "maxLength": 3},
        },
    },
    "pattern": {"type": "string", "pattern": "^(ab|c{2,4})-[0-9]+x$", "maxLength": 12},
    "tuple": {"type": "array", "prefixItems": [{"type": "boolean"}, SHORT], "items": False, "minItems": 2},
    "date": {"type": "string", "format": "date"},
}


def fits(value: Any, schema: dict[str, Any], root: Any) -> bool:
    """Whether a value is valid: the keywords that the schemas above use, written from the specification."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema and not any(fits(value, one, root) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = schema.get("type")
    if kind in kinds and not isinstance(value, kinds[kind]):
        return False
    if kind in {"integer", "number"}:
        return fits_number(value, schema)
    if isinstance(value, str):
        return (
            schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30)
            and re.search(schema.get("pattern", ""), value) is not None
            and (schema.get("format") != "date" or re.fullmatch(r"\d{4}-(0\d|1[0-2])-[0-3]\d", value) is not None)
        )
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        rest = schema.get("items", True)
        return (
            schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1 << 30)
            and all(fits(one, place, root) for one, place in zip(value, first, strict=False))
            and (rest is True or all(rest is not False and fits(one, rest, root) for one in value[len(first) :]))
        )
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return (
            set(schema.get("required", [])) <= set(value)
            and (schema.get("additionalProperties", True) is not False or set(value) <= set(known))
            and all(fits(value[name], known[name], root) for name in value if name in known)
        )
    return True


def fits_number(value: Any, schema: dict[str, Any]) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if schema["type"] == "integer" else (int, float)):
        return False
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1)
        and (value / schema.get("multipleOf", 1)).is_integer()
    )


def byte_tokenizer(eos: str = "<|end|>") -> Tokenizer:
    """Every byte a token, some longer ones with JSON's punctuation in them, and two special ones."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    merges = [('"', ":"), ("{", '"'), ('"', ","), ("Ġ", '"'), ("}", "}"), ("a", "b"), ("1", "2"), ("Ġ", "Ġ")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    fast = FastTokenizer(models.BPE(vocabulary, merges))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens(["<|end|>", "<|start|>"])
    fast.add_tokens([AddedToken("stop", special=False)])
    end = fast.token_to_id(eos)
    assert end is not None
    return Tokenizer(fast, frozenset({end}), None, {})


@pytest.fixture(scope="module")
def bytewise() -> Tokenizer:
    return byte_tokenizer()


@pytest.fixture(scope="module")
def grammars(bytewise: Tokenizer) -> Grammars:
    return Grammars(bytewise.fast, bytewise.eos)


@pytest.fixture(scope="module")
def llama(families: Families, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """Its vocabulary is larger than the tokenizer's, as many models' are."""
    folder = tmp_path_factory.mktemp("grammar")
    return families.make(folder, "LlamaConfig", SPLIT, vocab_size=288, max_position_embeddings=1024)


@pytest.fixture(scope="module")
def reference(llama: Family, families: Families) -> Reference:
    return families.reference(llama)


def ask(rig: Rig, prompt: list[int], **params: Any):
    given: dict[str, Any] = {"ignore_eos": False, "logprobs": None, "max_tokens": 900, **params}
    return rig.ask(prompt, **given)


WAYS = {
    "greedy": {},
    "drawn": {"temperature": 1.3, "seed": 4},
    "narrow": {"temperature": 0.8, "top_p": 0.9, "top_k": 20, "min_p": 0.01, "seed": 5},
    "pushed": {"logit_bias": dict.fromkeys(range(230, 288), 100.0), "temperature": 1.0, "seed": 6},
    "penalised": {"presence_penalty": 1.5, "frequency_penalty": 1.0, "repetition_penalty": 1.3},
    "logprobs": {"logprobs": 3},
}


def test_every_answer_fits_its_schema_beside_rows_that_follow_none(
    llama: Family, reference: Reference, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer
):
    rig = make_rig(llama, blocks=4000, tokenizer=bytewise)
    free = [rig.ask([9, 8, number], max_tokens=40) for number in range(3)]
    asked = {
        (name, way): ask(rig, [70 + number, 65], grammar=grammars.compile([Part(schema)]), **WAYS[way])
        for number, (name, schema) in enumerate(SCHEMAS.items())
        for way in WAYS
    }
    for (name, way), request in asked.items():
        assert request.done.wait(120)
        assert request.finish == "stop", (name, way, request.text, request.deltas[-1])
        assert fits(json.loads(request.text), SCHEMAS[name], SCHEMAS[name]), (name, way, request.text)
    for request in free:
        assert request.done.wait(240)
        assert request.tokens == reference.generate(request.prompt, "", 40)
    assert rig.engine.gauges().blocks_used == 0


def test_any_object_is_an_object(llama: Family, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer):
    rig = make_rig(llama, blocks=4000, tokenizer=bytewise)
    asked = [
        ask(rig, [66], grammar=grammars.compile([Part(ANY_OBJECT)]), temperature=1.2, seed=seed, max_tokens=300)
        for seed in range(12)
    ]
    for request in asked:
        assert request.done.wait(240)
    whole = [request.text for request in asked if request.finish == "stop"]
    assert whole
    assert all(isinstance(json.loads(text), dict) for text in whole)
    assert all(request.finish in {"stop", "length"} and request.text.startswith("{") for request in asked)


def test_preemption_does_not_lose_the_place_in_the_grammar(
    llama: Family, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer
):
    def run(blocks: int):
        rig = make_rig(llama, blocks=blocks, block_size=4, tokenizer=bytewise)
        grammar = grammars.compile([Part(PERSON)])
        asked = [ask(rig, [80, 81], grammar=grammar, temperature=1.0, seed=seed, max_tokens=150) for seed in range(8)]
        for request in asked:
            assert request.done.wait(240)
        return [(request.text, request.finish) for request in asked], rig.engine.gauges().preemptions

    roomy, none = run(1000)
    tight, some = run(45)
    assert none == 0
    assert some > 0
    assert tight == roomy


def test_a_cut_answer_is_the_beginning_of_the_whole(
    llama: Family, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer
):
    rig = make_rig(llama, blocks=1000, tokenizer=bytewise)
    grammar = grammars.compile([Part(PERSON)])
    whole, cut = ask(rig, [75], grammar=grammar), ask(rig, [75], grammar=grammar, max_tokens=7)
    for request in (whole, cut):
        assert request.done.wait(240)
    assert (whole.finish, cut.finish) == ("stop", "length")
    assert len(cut.text) < len(whole.text)
    assert whole.text.startswith(cut.text)


def test_a_stop_string_still_stops(llama: Family, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer):
    rig = make_rig(llama, blocks=1000, tokenizer=bytewise)
    request = ask(rig, [75], grammar=grammars.compile([Part(PERSON)]), stop=('"age"',))
    assert request.done.wait(240)
    assert request.finish == "stop"
    assert request.text.startswith("{")
    assert '"age' not in request.text


def test_a_seed_decides_the_answer(llama: Family, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer):
    rig = make_rig(llama, blocks=2000, tokenizer=bytewise)
    grammar = grammars.compile([Part(PERSON)])
    asked = [ask(rig, [75], grammar=grammar, temperature=1.0, seed=seed) for seed in (1, 2, 1, 2)]
    for request in asked:
        assert request.done.wait(240)
    first, second, third, fourth = (request.text for request in asked)
    assert (first, second) == (third, fourth)
    assert first != second


def test_a_grammar_that_becomes_too_complex_ends_only_its_own_request(
    llama: Family, reference: Reference, grammars: Grammars, make_rig: RigMaker, bytewise: Tokenizer
):
    many = {"type": "object", "properties": {f"p{n}": {} for n in range(4000)}}
    late = {"type": "object", "properties": {"a": many}, "required": ["a"], "additionalProperties": False}
    rig = make_rig(llama, blocks=2000, tokenizer=bytewise)
    guilty = ask(rig, [75], grammar=grammars.compile([Part(late)]))
    good = ask(rig, [75], grammar=grammars.compile([Part(PERSON)]))
    free = rig.ask([9, 8, 7], max_tokens=60)
    for request in (guilty, good, free):
        assert request.done.wait(240)
    assert guilty.finish == "error"
    assert "too complex" in guilty.deltas[-1].error
    assert fits(json.loads(good.text), PERSON, PERSON)
    assert free.tokens == reference.generate([9, 8, 7], "", 60)
    assert rig.engine.gauges().blocks_used == 0


def test_an_end_token_with_a_text_of_its_own_cannot_pass_for_that_text(llama: Family, make_rig: RigMaker):
    """Some models end with a token that is not marked as special: inside a string it must not come."""
    tokenizer = byte_tokenizer(eos="stop")
    (end,) = tokenizer.eos
    grammar = Grammars(tokenizer.fast, tokenizer.eos).compile(
        [Part({"type": "string", "minLength": 9, "maxLength": 20})]
    )
    rig = make_rig(llama, blocks=1000, tokenizer=tokenizer)
    request = ask(rig, [75], grammar=grammar, logit_bias={end: 100.0})
    assert request.done.wait(240)
    assert 9 <= len(json.loads(request.text)) <= 20


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"not": {"type": "string"}}, "not"),
        ({"type": "object", "unevaluatedProperties": False}, "unevaluatedProperties"),
        ({"type": "string", "pattern": "^(?=a)b"}, "look-around"),
        ({"$ref": "https://example.com/schema"}, "https://example.com/schema"),
        ({"type": "text"}, "text"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, "minLength"),
        ({"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 2}]}, "oneOf"),
        ({"type": "integer", "minimum": -(10**30), "maximum": 10**30}, "integer range"),
        ({"x-guidance": {"lenient": True}, "not": {}}, "x-guidance"),
        ({"enum": ["x" * 70_000]}, "bytes"),
        ({"allOf": [{"properties": {f"{n}.{m}": {} for n in range(20)}} for m in range(100)]}, "too large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_followed_is_refused_by_name(grammars: Grammars, schema: dict[str, Any], said: str):
    with pytest.raises(GrammarError, match=said):
        grammars.compile([Part(schema)])


def test_nesting_without_end_is_refused(grammars: Grammars):
    schema = {"type": "integer"}
    for _ in range(900):
        schema = {"items": schema}
    with pytest.raises(GrammarError, match="recursion"):
        grammars.compile([Part(schema)])


def test_a_tokenizer_without_bytes_is_refused(words: Tokenizer):
    with pytest.raises(GrammarError, match="tokenizer"):
        Grammars(words.fast, words.eos).compile([Part(ANY_OBJECT)])


def test_only_so_many_compiled_schemas_are_remembered(bytewise: Tokenizer):
    grammars = Grammars(bytewise.fast, bytewise.eos)
    first = grammars.compile([Part({"const": 0})])
    assert grammars.compile([Part({"const": 0})]) is first
    for number in range(1, 40):
        grammars.compile([Part({"const": number})])
    assert grammars.compile([Part({"const": 0})]) is not first


def test_what_a_lenient_schema_cannot_be_held_to_is_left_out(grammars: Grammars):
    """A tool that does not ask to be strict: as much of its schema is followed as can be."""
    schema = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}, "required": ["tags"]}
    with pytest.raises(GrammarError, match="uniqueItems"):
        grammars.compile([Part(schema)])
    assert grammars.compile([Part(schema, lenient=True)])


def test_formats_that_are_not_known_constrain_nothing_and_properties_may_be_called_so(grammars: Grammars):
    schema = {
        "type": "object",
        "properties": {
            "format": {"type": "string", "format": "binary"},
            "where": {"anyOf": [{"type": "string", "format": "path"}, {"type": "null"}]},
            "when": {"type": "string", "format": "date"},
            "kind": {"enum": [{"format": "path"}]},
        },
    }
    kept = without_notes(schema)["properties"]
    assert kept["format"] == {"type": "string"}
    assert kept["where"]["anyOf"][0] == {"type": "string"}
    assert kept["when"]["format"] == "date"
    assert kept["kind"] == {"enum": [{"format": "path"}]}
    assert grammars.compile([Part(schema)])
