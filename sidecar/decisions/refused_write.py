"""Why Azure took no version of an app at all, from the words that it refused the write with. Pure."""

from __future__ import annotations

import re

from sidecar.decisions.diagnosis import Cause
from sidecar.words.text import Text

IMAGE = re.compile(
    r"\.image' is invalid with details: 'Invalid value: \"(?P<image>[^\"]*)\": (?P<words>.*?)'?;?\.*$", re.DOTALL
)
LONGEST = 300


def update_failed(app: str, state: str, words: str | None) -> Cause:
    """An app without a revision. `words`: what the write was refused with, where that is known."""
    nothing = Text("The container app {name} has no revision: its last update is {state}.", name=app, state=state)
    if words is None:
        advice = Text("Azure refused what was asked, most often the image. Provision again: it says what is refused.")
        return Cause("AppUpdateFailed", nothing, advice)
    if found := IMAGE.search(" ".join(words.split())):
        return _image(found["image"], found["words"], words)
    return Cause(
        "AppUpdateFailed",
        Text("Azure refused the container app {name}: {words}", name=app, words=_short(words)),
        Text("Correct what it names, then run Provision again: what exists already is kept."),
        words,
    )


def _image(image: str, said: str, whole: str) -> Cause:
    """By the registry's words, as the control plane passes them on."""
    known = (
        (
            "MANIFEST_UNKNOWN",
            Text("The registry has no such image: {image}.", image=image),
            Text(
                "Correct its name and tag, in the template or as `image` in the parameters, then run Provision again."
            ),
        ),
        (
            "no child with platform",
            Text("The image {image} is not made for linux/amd64.", image=image),
            Text("Build it with --platform linux/amd64 and push it, or name another image, then run Provision again."),
        ),
        (
            "no such host",
            Text("The registry of the image {image} can't be found: no host has that name.", image=image),
            Text("Correct the name, in the template or as `image` in the parameters, then run Provision again."),
        ),
        (
            "UNAUTHORIZED",
            Text("The registry does not let the app have the image {image}.", image=image),
            Text(
                "State registryServer with registryUser and registryPassword, or with registryIdentity (an identity with the "
                "role AcrPull on the registry); then run Provision again."
            ),
        ),
    )
    for sign, sentence, advice in known:
        if sign in said:
            return Cause("ImageRefused", sentence, advice, whole)
    return Cause(
        "ImageRefused",
        Text("The image {image} is refused: {words}", image=image, words=_short(said)),
        Text("Correct the image, then run Provision again."),
        whole,
    )


def _short(words: str) -> str:
    return " ".join(words.split())[:LONGEST]
