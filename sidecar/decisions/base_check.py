"""Whether our server would start with a base model: its files are all there and are what its configuration says. Pure."""

from __future__ import annotations

from sidecar.decisions.checks import Check, Unread, failed, passed, unverified, warned
from sidecar.decisions.model_facts import NAMING, Base, Broken, Json, ModelFacts, Settings, Tensors, unknown
from sidecar.decisions.model_shape import FAMILIES, Foreign, Shape, shape_of
from sidecar.decisions.models_on_share import CUT_OFF, INDEX, UNFINISHED, WEIGHTS, missing_base
from sidecar.decisions.quantised import WAY_ON, by_configuration, by_names
from sidecar.decisions.tokenizer_check import TOKENIZERS, has_template, unusable
from sidecar.words.text import Text

NAME = "base model"
PUT_IT_THERE = Text(
    "Put it there (AI Toolkit: Upload model or adapter, or AI Toolkit: Use the sample model; fine-tuning leaves it there by "
    "itself), then run Deploy again. Nothing was changed."
)
WHOLE_AGAIN = Text("Put the whole folder of the model there again, as it was published, then run the command again.")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
NAMED = 3
"""Tensors and files that a sentence names."""


def base_checks(facts: ModelFacts, *, needed: bool) -> list[Check]:
    """`needed`: something is to be served now, so a base that is not there is a failure; before that it may still come."""
    untold = unknown(facts.settings, *NAMING)
    if untold is not None:
        return [unverified(NAME, untold)]
    missing = missing_base(facts.models, facts.wanted)
    hub = facts.settings.get("SLIPWAY_HUB_MODEL")
    if missing is not None and hub and facts.wanted == hub:
        return [
            passed(NAME, Text("{name} is not on the share: the container fetches it from the hub, once.", name=hub))
        ]
    if missing is not None and not facts.models.whole:
        reason = Text("Not all of the share's many folders were looked through: {problem}", problem=missing)
        return [unverified(NAME, Unread(reason))]
    if missing is not None:
        if needed:
            return [failed(NAME, "NoBaseModel", missing, PUT_IT_THERE)]
        return [warned(NAME, missing, Text("Put it there before Deploy; fine-tuning leaves it there by itself."))]
    base = facts.base
    if base is None:  # nobody looked into it
        return []
    return [_whole(base, facts.settings), *_template(base)]


def _whole(base: Base, settings: Settings) -> Check:
    quantised = _quantised(base)
    for found in (_configured(base), quantised, _tokenizer(base), _weights(base), _headers(base)):
        if isinstance(found, Broken):
            return _refused(base, found, WAY_ON if found is quantised else WHOLE_AGAIN)
        if isinstance(found, Unread):
            return unverified(NAME, found)
    found = _as_configured(base, settings.get("SLIPWAY_ENGINE") or "auto")
    untold = unknown(settings, "SLIPWAY_ENGINE")  # transformers may serve what our engine refuses
    return found if untold is None or found.verdict != "FAIL" else unverified(NAME, untold)


def _refused(base: Base, why: Broken, remedy: Text = WHOLE_AGAIN) -> Check:
    sentence = Text("The server can't start with the base model {name}: {reason}.", name=base.name, reason=why.reason)
    return failed(NAME, "BaseModelUnusable", sentence, remedy)


def _quantised(base: Base) -> Broken | None:
    """By a method that is not served."""
    stated = None if isinstance(base.config, (Broken, Unread)) else by_configuration(base.config)
    return stated or by_names(base.tensors)


def _configured(base: Base) -> Broken | Unread | None:
    if UNFINISHED in base.files:
        return Broken(CUT_OFF)
    if isinstance(base.config, Unread):
        return base.config
    if isinstance(base.config, Broken):
        return Broken(Text("config.json: {reason}", reason=base.config.reason))
    return None


def _tokenizer(base: Base) -> Broken | None:
    if any(all(file in base.files for file in files) for files in TOKENIZERS):
        return unusable(base.files, base.tokenizer)
    return Broken(Text("its folder has neither tokenizer.json nor tokenizer.model, nor vocab.json with merges.txt"))


def _weights(base: Base) -> Broken | Unread | None:
    """The files of weights: those that an index names, or the one."""
    if isinstance(base.index, Unread):
        return base.index
    if isinstance(base.index, Broken):
        return Broken(Text("{file}: {reason}", file=INDEX, reason=base.index.reason))
    if base.index is not None:
        missing = [each for each in base.index if each not in base.files]
        return Broken(Text("{files}: missing, though its index names them", files=_named(missing))) if missing else None
    if WEIGHTS in base.files:
        return None
    pickled = sorted(each for each in base.files if each.endswith(PICKLES))
    if pickled:
        return Broken(
            Text("it has no safetensors weights; {files} may hold code and are not read", files=_named(pickled))
        )
    return Broken(Text("it has no safetensors weights"))


def _headers(base: Base) -> Broken | Unread | None:
    broken = {name: each for name, each in base.shards.items() if isinstance(each, Broken)}
    for name, each in sorted(broken.items()):
        return Broken(Text("{file}: {reason}", file=name, reason=each.reason))
    return next((each for each in base.shards.values() if isinstance(each, Unread)), None)


def shape(base: Base) -> Shape | Foreign | Broken | None:
    """None where its configuration could not be read."""
    return None if isinstance(base.config, (Broken, Unread)) else shape_of(base.config)


def _as_configured(base: Base, engine: str) -> Check:
    """`engine`: as SLIPWAY_ENGINE has it."""
    known = shape(base)
    if isinstance(known, Broken):
        return _refused(base, known)
    if isinstance(known, Shape) and engine == "transformers":
        known = Foreign(Text("SLIPWAY_ENGINE is transformers"))
    if isinstance(known, Foreign) and engine == "own":
        return _own_alone(base, known)
    if not isinstance(known, Shape):
        return _foreign(base, known)
    found = {name.removeprefix("model."): each for name, each in base.tensors.items()}
    wrong = misfit(known, found)
    if wrong is not None:
        return _refused(base, wrong)
    formats = ", ".join(sorted({each.dtype for each in base.tensors.values()}))
    size = sum(each.stored for each in base.tensors.values()) / 1e9
    told = {"name": base.name, "files": len(base.shards), "size": f"{size:.1f}", "formats": formats}
    return passed(NAME, Text("{name} is whole: {size} GB of weights ({formats}), files: {files}.", **told))


def misfit(known: Shape, found: Tensors) -> Broken | None:
    """A tensor that is missing, or that is not what the configuration says."""
    needed = known.tensors
    missing = sorted(needed.keys() - found.keys())
    if missing:
        return Broken(Text("it lacks the tensors {names}", names=_named(missing)))
    for name, dimensions in needed.items():
        tensor = found[name]
        if tensor.shape != dimensions:
            told = {"name": name, "has": tensor.shape, "needs": dimensions}
            return Broken(Text("its tensor {name} has the shape {has}; its config.json says {needs}", **told))
        if not tensor.is_floating:
            told = {"name": name, "dtype": tensor.dtype}
            return Broken(
                Text("its tensor {name} is stored as {dtype}: quantised weights without their scales", **told)
            )
    return None


def _own_alone(base: Base, known: Foreign) -> Check:
    told = {"name": base.name, "reason": known.reason}
    sentence = Text(
        "The server can't start with the base model {name}: SLIPWAY_ENGINE is own, and our engine does not serve it ({reason}).",
        **told,
    )
    remedy = Text("Leave SLIPWAY_ENGINE out: transformers serves it then, more slowly, where it knows the model.")
    return failed(NAME, "BaseModelUnusable", sentence, remedy, "defaultCommands")


def _foreign(base: Base, known: Foreign | None) -> Check:
    config: Json = base.config if not isinstance(base.config, (Broken, Unread)) else {}
    kind = str(config.get("model_type"))
    if config.get("auto_map") and kind not in FAMILIES:
        sentence = Text(
            "{name} names code of its own (auto_map), which is never run: the server starts only if transformers knows the "
            "model type {kind} by itself.",
            name=base.name,
            kind=kind,
        )
        return warned(
            NAME, sentence, Text("If Deploy says that it does not, choose a base model of a family that it knows.")
        )
    reason = "" if known is None else known.reason
    sentence = Text(
        "Our engine does not serve {name} ({reason}): transformers does, more slowly, where it knows the model.",
        name=base.name,
        reason=reason,
    )
    return warned(NAME, sentence, Text("Families that our engine serves: {kinds}.", kinds=", ".join(FAMILIES)))


def _template(base: Base) -> list[Check]:
    template = has_template(base.files, base.tokenizer)
    if isinstance(template, Unread):
        return [unverified("chat template", template)]
    if template:
        return [passed("chat template", Text("{name} has a chat template.", name=base.name))]
    sentence = Text(
        "{name} alone has no chat template: chats are refused but with an adapter that brings its own; completions answer.",
        name=base.name,
    )
    remedy = Text("Put the chat_template.jinja that it was fine-tuned with beside its config.json.")
    return [warned("chat template", sentence, remedy)]


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
