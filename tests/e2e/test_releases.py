"""A Deploy that goes wrong: what is told before anything moves, the way back, the record of releases on the share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core.workspace import open_workspace
from sidecar.gateway.files import Share, open_share
from sidecar.words.errors import EndpointError, WorkspaceError
from sidecar.workflows.deploy import roll_back

from .conftest import Place, Sample
from .rollouts import Told, journal_of, look, run

CRASH = "raise RuntimeError('the tokenizer of this release is wrong')\n"


def opened(place: Place) -> Share:
    return open_share(place.around, place.config["STORAGE_ACCOUNT_NAME"], place.config["FILE_SHARE_NAME"])


def home_of(place: Place) -> str:
    return f".slipway/{place.config['ACA_APP_NAME']}"


def on_share(place: Place, folder: str) -> set[str]:
    with opened(place) as share:
        return {each.name for each in share.list(f"{home_of(place)}/{folder}")}


@pytest.mark.long
def test_a_release_that_crashes_goes_back_by_itself_and_a_person_goes_back_by_command(
    place: Place, sample: Sample
) -> None:
    place.upload_models(sample[0])
    main = place.workspace / "inference" / "__main__.py"
    good = main.read_text()
    first = run(place, Told())
    assert (first.generation, first.verified) == (1, True)

    main.write_text(good.replace("def main() -> int:\n", f"def main() -> int:\n    {CRASH}"))
    told = Told()
    with pytest.raises(EndpointError) as failed:
        run(place, told)
    assert failed.value.code == "ContainerCrashed"
    assert failed.value.restored == 3
    assert f"The release before, {first.release[:12]}, serves again (generation 3)." in str(failed.value)
    assert "the tokenizer of this release is wrong" in (failed.value.detail or "")
    seen = look(place)
    assert (seen.state, seen.generation) == ("ready", 3)

    (place.workspace / "inference" / "NOTE.md").write_text("the second")
    main.write_text(good)
    second = run(place, Told())
    assert second.generation == 4
    listed = place.home.cli("releases", str(place.workspace))["generations"]
    assert [(each["number"], each["cause"], each["served"], each["current"]) for each in listed] == [
        (4, "deploy", True, True),
        (3, "failed", True, False),
        (2, "deploy", False, False),
        (1, "deploy", True, False),
    ]
    assert listed[-1]["difference"] == {"added": [], "changed": [], "removed": ["NOTE.md"]}
    assert all(each["by"] and each["at"].endswith("Z") for each in listed)

    back = place.home.cli("rollback", str(place.workspace))
    assert (back["release"], back["generation"], back["verified"]) == (first.release, 5, True)
    again = roll_back(open_workspace(place.workspace), place.home.session(), journal_of(place, Told()), 4)
    assert (again.release, again.generation, again.verified) == (second.release, 6, True)
    assert look(place).state == "ready"
    beside = {each for each in on_share(place, "generations") if each.endswith(".served")}
    assert beside == {"1.served", "3.served", "4.served", "5.served", "6.served"}


def test_nothing_moves_where_the_code_would_not_start_or_no_model_is_there(place: Place, sample: Sample) -> None:
    """Told with file and line, before anything is uploaded, and in a preview."""
    broken = place.workspace / "inference" / "api" / "completions.py"
    good = broken.read_text()
    refused = place.home.cli("deploy", str(place.workspace), expect=1)["error"]
    assert refused["code"] == "NoBaseModel"
    assert "model-cache/<organisation>/<model>/config.json is expected" in refused["message"]
    place.upload_models(sample[0])

    broken.write_text(good.replace("from ", "fro ", 1))
    line = next(number for number, text in enumerate(broken.read_text().splitlines(), 1) if text.startswith("fro "))
    error: dict[str, Any] = place.home.cli("deploy", str(place.workspace), expect=1)["error"]
    assert error["code"] == "BrokenCode"
    assert [(each["file"], each["line"], each["certain"]) for each in error["problems"]] == [(str(broken), line, True)]
    broken.write_text(good + "\nfrom inference.messages import Nowhere\n")
    with pytest.raises(WorkspaceError, match=r"inference.messages has no Nowhere") as missing:
        run(place, Told())
    assert missing.value.problems[0].line == len(good.splitlines()) + 2
    shown = place.home.cli("preview", str(place.workspace), expect=1)
    assert [each["message"] for each in shown["problems"]] == ["inference.messages has no Nowhere."]
    assert on_share(place, "") == set()

    broken.write_text(good)
    weights = "model-cache/slipway/tiny-llama/model.safetensors"
    with opened(place) as share:
        share.replace(weights, share.read(weights)[:-1000])
    refused = place.home.cli("deploy", str(place.workspace), expect=1)["error"]
    assert refused["code"] == "BaseModelUnusable"
    assert "model.safetensors: it is truncated" in refused["message"]
    assert on_share(place, "") == set()
    place.upload_models(sample[0])

    (place.workspace / ".gitignore").write_text("*.log\n")
    (place.workspace / "inference" / "run.log").write_text("x")
    (place.workspace / "inference" / ".env").write_text("KEY=1")
    shown = place.home.cli("preview", str(place.workspace))
    assert (shown["current"], shown["restart"], shown["downtime"]) == ("", "old-first", 0)
    assert shown["sentence"] == "No replica answers now: nobody is cut off."
    assert [(each["path"], each["why"], each["by"]) for each in shown["leftOut"]] == [
        (".env", "secret", ""),
        ("run.log", "ignored", ".gitignore"),
    ]
    assert len(shown["bases"]) == 1
    assert shown["adapters"]
    done = place.deploy()
    assert done["release"] == shown["release"]
    (place.workspace / "inference" / "api" / "completions.py").write_text(good + "# changed\n")
    shown = place.home.cli("preview", str(place.workspace))
    assert shown["difference"] == {"added": [], "changed": ["api/completions.py"], "removed": []}
    assert shown["current"] == done["release"]
    assert (shown["strategy"], shown["form"], shown["downtime"]) == ("in-place", "beside", 0)
    shown = place.home.cli("preview", str(place.workspace), "--strategy", "restart")
    assert 0 < shown["downtime"] < 300
    with opened(place) as share:
        said = json.loads(share.read(f"{home_of(place)}/generations/1.json"))
    assert {"by", "at", "slipway"} <= {name for name, value in said.items() if value}
    assert said["release"] == done["release"]
