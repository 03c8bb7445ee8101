"""The main job in a home and a project whose names have spaces and letters beyond ASCII."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import BRIEF, Home, Sample, delete_apps, new_place


@pytest.mark.long
def test_the_main_job_in_a_home_and_a_project_with_spaces_and_cjk(sample: Sample, tmp_path: Path) -> None:
    home = Home(tmp_path / "a home 家 é")
    home.folder.mkdir()
    home.hasten(times=BRIEF)
    try:
        place = new_place(home, tmp_path / "my project 项目", "odd-names")
        odd = place.workspace / "inference" / "a module 模块.txt"
        odd.write_text("travels with the code", encoding="utf-8")
        place.provision()
        place.upload_models(sample[0])
        assert place.deploy()["verified"]
        assert place.status()["state"] == "ready"
        delete_apps(place)
    finally:
        home.stop_cloud()
