"""What a terminal shows: progress and failures on stderr, the result on stdout, as text for a person or as one JSON document."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from sidecar.core.journal import Event
from sidecar.wire import protocol as wire
from sidecar.words.errors import SlipwayError
from sidecar.words.text import Text


class Terminal:
    """`--json` leaves stdout to one JSON document. `verbs`: what a sentence calls by its title in VS Code, and its name here."""

    def __init__(self, *, as_json: bool, verbs: dict[str, str]) -> None:
        self._as_json = as_json
        self._verbs = dict(sorted(verbs.items(), key=lambda each: -len(each[0])))

    def say(self, text: Text) -> None:
        _tell(self.worded(str(text)))

    def show(self, event: Event) -> None:
        """Lines of the log. An error is said once, by fail()."""
        if event.kind == "log" and event.level in ("info", "warning"):
            mark = "warning: " if event.level == "warning" else ""
            _tell(f"  {mark}{self.worded(str(event.text))}")

    def fail(self, error: SlipwayError, *, alone: bool = True) -> None:
        """`alone`: no result was printed before it, so it is the one JSON document."""
        if self._as_json and alone:
            self._print(json.dumps({"error": self.document(wire.failure(error))}, ensure_ascii=False))
        _tell(f"error: {self.worded(str(error.message))} [{error.code}]")
        if error.suggestion is not None:
            _tell(f"  → {self.worded(str(error.suggestion))}")
        if error.detail:
            _tell(error.detail)

    def misused(self, program: str, what: str) -> None:
        """What is missing on the command line, where nobody can be asked."""
        if self._as_json:
            self._print(json.dumps({"error": {"code": "Usage", "message": what}}, ensure_ascii=False))
        print(f"{program}: error: {what}", file=sys.stderr)

    def result(self, text: str, result: wire.Message) -> None:
        self._print(json.dumps(self.document(result), ensure_ascii=False) if self._as_json else self.worded(text))

    def line(self, text: str, message: BaseModel) -> bool:
        """One of many, as it comes; whether anybody still reads."""
        return self._print(json.dumps(self.document(message), ensure_ascii=False) if self._as_json else text)

    def _print(self, text: str) -> bool:
        """To stdout. Who reads it may have left (`| head`): then nobody is told."""
        try:
            print(text, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return False
        return True

    def document(self, message: BaseModel) -> dict[str, Any]:
        """The message as JSON, with every sentence filled in: nobody outside has the catalogue of templates."""
        return {to_camel(name): self._plain(getattr(message, name)) for name in type(message).model_fields}

    def worded(self, text: str) -> str:
        """The sentence with commands called as they are called here."""
        for title, verb in self._verbs.items():
            text = text.replace(title, verb)
        return text

    def _plain(self, value: Any) -> Any:
        if isinstance(value, wire.Sentence):
            return self.worded(spoken(value))
        if isinstance(value, BaseModel):
            return self.document(value)
        if isinstance(value, list):
            return [self._plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        return value


def _tell(text: str) -> None:
    """To stderr. A terminal that was closed hears nothing, and what is under way ends in order all the same."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def spoken(sentence: wire.Sentence) -> str:
    return str(wire.text_of(sentence))


def table(rows: Sequence[Sequence[str]], empty: str) -> str:
    """Columns as wide as their longest entry."""
    if not rows:
        return empty
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def facts(title: str, rows: Sequence[tuple[str, str | None]]) -> str:
    """A headline and what belongs to it, without what there is none of."""
    return "\n".join([title, *(f"  {name:<10} {value}" for name, value in rows if value)])


def subscriptions(found: wire.Subscriptions) -> str:
    rows = [(each.id, each.cloud, each.name) for each in found.subscriptions]
    return "\n".join([table(rows, "No subscription can be used."), *not_listed(found)])


def not_listed(found: wire.Subscriptions) -> list[str]:
    """What a list of subscriptions lacks, and how to have it."""
    problems = [f"warning: {spoken(each)}" for each in found.problems]
    signed_out = [
        f"warning: nobody is signed in to the tenant {each.name}: its subscriptions are listed after "
        f"az login --tenant {each.tenant_id}"
        for each in found.signed_out
    ]
    return [*problems, *signed_out]


def groups(found: wire.ResourceGroups) -> str:
    return table([(each.name, each.location) for each in found.resource_groups], "There is no resource group yet.")


def locations(found: wire.Locations) -> str:
    rows = [(each.name, each.display_name, gpus(each)) for each in found.locations]
    return table(rows, "There is no region.")


def gpus(region: wire.Location) -> str:
    if region.gpus is None:
        return "GPUs not known"
    return f"offers {', '.join(region.gpus)}" if region.gpus else "no GPU"


def group(made: wire.ResourceGroup) -> str:
    return f"Created the resource group {made.name} in {made.location}."


def created(made: wire.Created) -> str:
    tops = sorted({each.partition("/")[0] + "/" for each in made.created})
    told = (
        f"Created {len(made.created)} project files in {' and '.join(tops)}."
        if made.created
        else "All project files are already there; none was changed."
    )
    if not made.own:
        return told
    own = f"inference/ holds a server of your own ({len(made.own)} files): it was left alone."
    return f"{told}\n{own} `init --beside` puts Slipway's beside it."


def files_updated(found: wire.FilesUpdate) -> str:
    """Each file of which something is to be said, and how a conflict is decided."""
    rows = [(each.kind, each.path) for each in found.files]
    conflict = next((each.path for each in found.files if each.kind == "conflict"), None)
    if conflict is not None:
        rows.append(("next", f"compare with {found.shipped}/{conflict}, then update --mine FILE or --theirs FILE"))
    return facts(spoken(found.sentence), rows)


def ci_written(made: wire.CiInit) -> str:
    """What was written, and what the pipeline needs before it can run."""
    done = {"created": "Wrote", "replaced": "Wrote anew", "unchanged": "Already there, as it would be written:"}
    rows = [
        (
            "unverified",
            "nobody has run it on GitHub, or signed in to Azure by it; its own steps are tested on the local cloud",
        ),
        (
            "environment",
            f"{made.environment}, of GitHub (Settings, Environments): its reviewers are asked before each run",
        ),
        *(("variable", f"{each.name} = {each.value or each.about}") for each in made.variables),
        ("secret", "none"),
        (
            "credential",
            f"{made.credential}: whose tokens of GitHub are the pipeline's"
            + ("" if made.repository else "; write your repository into it, in place of OWNER/REPOSITORY"),
        ),
        *(("in Azure", each) for each in made.commands),
        (
            "before",
            "a first `provision` by a person registers the providers, and `upload` puts the models on the share",
        ),
    ]
    return facts(f"{done[made.fate]} {made.file} in {made.top}", rows)


def provisioned(done: wire.Provisioned) -> str:
    if done.nothing:
        return f"Nothing to do: the endpoint is {done.url}"
    title = f"Provisioned. The endpoint will be {done.url}"
    rows = [("deployment", done.deployment or None), ("written", done.config_path), ("portal", done.portal_url)]
    return facts(title, [*rows, ("next", "AI Toolkit: Deploy for inference")])


def deployed(done: wire.Deployed) -> str:
    if done.refused:
        title = f"Deployed to {done.url}, but the server refuses {len(done.refused)} of the share's adapters."
    elif done.verified:
        title = f"Deployed: the model answers at {done.url}"
    else:
        title = f"Deployed to {done.url}; that the model answers is not verified."
    code = "changed" if done.code_changed else "unchanged"
    release = f"{done.release[:12]} (generation {done.generation}, code {code})" if done.release else f"code {code}"
    rows = [
        ("release", release),
        *models(done.base, done.adapters, done.refused),
        ("replica", ", ".join(done.replicas)),
        ("runs on", None if done.runs_on is None else runs_on(done.runs_on)),
        ("by", came_by(done)),
        *[("note", spoken(each)) for each in done.notes],
        *[("perhaps", problem(each)) for each in done.problems],
    ]
    return facts(title, rows)


def came_by(done: wire.Deployed) -> str | None:
    """How it came into service, where its replica did not simply start."""
    if done.strategy != "in-place":
        return "a new revision beside the old one" if done.strategy == "revision" else None
    waited = f"; requests waited for {done.pause:.1f} s" if done.pause else "; no request waited"
    return f"an exchange in its container, {done.form}{waited}"


def preview(found: wire.Preview) -> str:
    title = (
        f"Release {found.release[:12]}: {found.files} files, {found.size // 1024} KiB"
        if found.release
        else "A plain tree"
    )
    if found.release and found.release == found.current:
        title = f"The code has not changed (release {found.release[:12]}): a deploy reloads the model."
    rows: list[tuple[str, str | None]] = [
        *difference(found.difference),
        ("upload", "the release" if found.uploads and found.release else None),
        (found.strategy, spoken(found.sentence)),
        *[("base", each) for each in found.bases],
        *[("adapter", each) for each in found.adapters],
        *[("left out", f"{each.path} ({each.by or each.why})") for each in found.left_out],
        *[("note", spoken(each)) for each in found.notes],
        *[("problem" if each.certain else "perhaps", problem(each)) for each in found.problems],
    ]
    return facts(title, rows)


def problem(found: wire.FileProblem) -> str:
    """As compilers write it, so that terminals and editors make a link of it."""
    return f"{found.file}:{found.line}:{found.column}: {spoken(found.message)}"


def difference(found: wire.Difference | None) -> list[tuple[str, str | None]]:
    if found is None:
        return []
    return [(name, ", ".join(getattr(found, name)) or None) for name in ("added", "changed", "removed")]


def releases(found: wire.Releases) -> str:
    rows = [
        (
            str(each.number),
            each.release[:12],
            each.at or "?",
            each.by or "?",
            each.commit[:8] + ("+" if each.commit.endswith("+") else "") if each.commit else "–",
            state_of(each),
            counted(each.difference) if not each.current else "",
        )
        for each in found.generations
    ]
    return table(rows, "Nothing has been deployed yet.")


def state_of(found: wire.Generation) -> str:
    if found.current:
        return "current" if found.served else "current, not seen to answer"
    if not found.kept:
        return "cleared"
    return "served" if found.served else "never answered"


def counted(found: wire.Difference | None) -> str:
    if found is None:
        return ""
    parts = [(len(found.added), "added"), (len(found.changed), "changed"), (len(found.removed), "removed")]
    return ", ".join(f"{count} {what}" for count, what in parts if count) or "same code"


def interrupted(found: wire.Interruptions) -> str:
    rows = [
        (each.kind, each.at, each.step, "runs elsewhere" if each.running else spoken(each.sentence))
        for each in found.interrupted
    ]
    return table(rows, "Nothing was cut off.")


def status(found: wire.Status) -> str:
    phase = f" ({found.phase})" if found.phase not in (None, found.state) else ""
    unprovisioned = found.state == "not-provisioned"
    rows = [
        ("next", "AI Toolkit: Provision Azure Container Apps for inference" if unprovisioned else None),
        ("endpoint", found.url),
        ("revision", found.revision),
        ("release", released(found.release, found.generation)),
        *[("replica", f"{each.name}  {each.state}") for each in found.replicas],
        *models(
            found.base and hashed(found.base, found.hashes),
            [hashed(each, found.hashes) for each in found.adapters],
            found.refused,
        ),
        ("runs on", None if found.runs_on is None else runs_on(found.runs_on)),
        *[("also", f"{each.name}  {each.state}, {each.health}") for each in found.revisions if not each.serves],
        ("cost now", "; ".join(spoken(each) for each in found.cost) or None),
        ("reason", None if found.reason is None else spoken(found.reason)),
        *[("note", spoken(each)) for each in found.notes],
    ]
    return facts("Nothing is provisioned yet." if unprovisioned else f"{found.app}: {found.state}{phase}", rows)


def released(release: str | None, generation: int | None) -> str | None:
    """An app that pins a release starts it whichever generation is current."""
    number = "" if generation is None else f" (generation {generation})"
    return f"{release[:12]}{number}" if release else None


def hashed(name: str, hashes: Mapping[str, str]) -> str:
    return f"{name}  {hashes[name][:12]}" if name in hashes else name


def runs_on(found: wire.RunsOn) -> str:
    """`NVIDIA A100, bfloat16, triton attention`; `cpu, float32, dense attention, weights in nf4`."""
    attention = f", {found.attention} attention" if found.attention else ""
    weights = "" if found.weights in ("", "full") else f", weights in {found.weights}"
    return f"{found.gpu or found.device}, {found.dtype}{attention}{weights}"


def endpoint(found: wire.EndpointLink) -> str:
    """The login link is shown because it was asked for; it can be used once."""
    rows = [("login", found.login_url), ("note", None if found.note is None else spoken(found.note))]
    return facts(found.url, rows)


def models(
    base: str | None, adapters: Sequence[str], refused: Sequence[wire.RefusedAdapter]
) -> list[tuple[str, str | None]]:
    return [
        ("base", base),
        *[("adapter", each) for each in adapters],
        *[("refused", f"{each.name}: {each.reason}") for each in refused],
    ]
