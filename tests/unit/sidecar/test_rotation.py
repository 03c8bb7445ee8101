"""A new key beside the old one: what is done next, and what becomes of an app's other secrets."""

from __future__ import annotations

import pytest

from sidecar.decisions.rotation import Standing, Step, to_begin, to_finish
from sidecar.gateway.keys import stated_again, with_variable
from sidecar.words.errors import WorkspaceError


@pytest.mark.parametrize(
    ("standing", "begin", "finish"),
    [
        (Standing("new", "", 1), "write", "nothing"),
        (Standing("new", "new", 1), "write", "nothing"),
        (Standing("new", "new", None), "write", "nothing"),
        (Standing("new", "old", 2), "nothing", "write"),
        (Standing("new", "old", None), "nothing", "write"),
        # Killed between the write and the restart: the server has not heard of it yet.
        (Standing("new", "old", 1), "restart", "write"),
        (Standing("new", "new", 2), "write", "restart"),
    ],
)
def test_a_run_that_was_cut_off_is_gone_on_with_and_no_third_key_is_made(
    standing: Standing, begin: Step, finish: Step
) -> None:
    assert (to_begin(standing), to_finish(standing)) == (begin, finish)


def test_every_other_secret_is_stated_again_and_a_vaults_stays_a_reference() -> None:
    vault = {"name": "vaulted", "keyVaultUrl": "https://v/secrets/s", "identity": "system"}
    shown = [{"name": "api-key"}, {"name": "registry"}, vault]
    written = stated_again(shown, {"api-key": "old", "registry": "pw"}, {"api-key": "new", "api-key-previous": "old"})
    assert written == [
        {"name": "registry", "value": "pw"},
        vault,
        {"name": "api-key", "value": "new"},
        {"name": "api-key-previous", "value": "old"},
    ]
    with pytest.raises(WorkspaceError, match="key vault"):
        stated_again([{**vault, "name": "api-key"}], {}, {"api-key": "new"})


def test_the_second_key_is_a_variable_of_the_first_container_once() -> None:
    template = {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}], "scale": {}}
    once = with_variable(template, "P", "previous")
    assert once["containers"][0]["env"] == [{"name": "X", "value": "1"}, {"name": "P", "secretRef": "previous"}]
    assert once["containers"][1] == {"name": "b"}
    assert with_variable(once, "P", "previous") == once
