"""Row 44: whether anything that was written during the whole run holds a secret."""

from __future__ import annotations

import base64
import time
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.contract.localcloud.conftest import World
from tests.faults.deploying.ground import Ground, Row

STORE = ("cloud.json", "store", "tokens", "keys", "ca", "settings.json")
"""Of the local cloud's own folder, which is its owner's alone; what it writes there is what it guards."""


NOTHING = "none"
"""What the template's secrets hold that nobody has stated."""


def secrets_of(world: World, grounds: Iterable[Ground]) -> dict[str, str]:
    """Each secret by what it is: account keys, the apps' API keys, the principal's own secret, a token."""
    found: dict[str, str] = {"client secret": world.known["clientSecret"], "admin token": world.known["adminToken"]}
    found["token"] = world.token()
    for ground in grounds:
        account = ground.config["STORAGE_ACCOUNT_NAME"]
        for key in world.storage.storage_accounts.list_keys(ground.name, account).keys_property:
            found[f"key of {account}"] = str(key.value)
        secrets: Any = world.apps.container_apps.list_secrets(ground.name, ground.config["ACA_APP_NAME"])
        for each in secrets.value:
            if each.value != NOTHING:
                found[f"secret {each.name} of {ground.name}"] = str(each.value)
    return found


def spellings(secret: str) -> set[bytes]:
    """As it may stand in a log: plain, percent-encoded, in base64."""
    plain = secret.encode()
    return {plain, urllib.parse.quote(secret, safe="").encode(), base64.b64encode(plain)}


def row(world: World, folder: Path, grounds: list[Ground]) -> Row:
    began = time.monotonic()
    secrets = secrets_of(world, grounds)
    texts: dict[str, bytes] = {f"output of {each.name}": "".join(each.written).encode() for each in grounds}
    for file in folder.rglob("*"):
        if file.is_file() and world.state not in file.parents:
            texts[str(file)] = file.read_bytes()
    for ground in grounds:
        with ground.share() as share:
            for kind in ("generations", "releases"):
                for each in share.list(f"{ground.home}/{kind}"):
                    texts[f"{ground.name}/{kind}/{each.name}"] = share.read(f"{ground.home}/{kind}/{each.name}")
    hits = [
        f"{what} in {where}"
        for what, secret in secrets.items()
        for where, text in texts.items()
        if any(each in text for each in spellings(secret))
    ]
    planted = any(each in b"x" + secrets["admin token"].encode() for each in spellings(secrets["admin token"]))
    size = sum(map(len, texts.values())) // 1024
    seen = f"{len(secrets)} secrets looked for in {len(texts)} files and outputs, {size} KiB: {'; '.join(hits) or 'no hit'}"
    return Row(
        44, "a search for secrets in everything written", "zero hits", seen, time.monotonic() - began, len(hits),
        not hits and planted and size > 0,
    )  # fmt: skip
