"""Names that differ in case alone."""

from __future__ import annotations

from sidecar.core.casing import renamed, twins


def test_files_and_folders_that_differ_in_case_alone_are_found_once() -> None:
    assert twins(["a.py", "b.py", "pkg/a.py"]) == ()
    assert twins(["a.py", "A.py"]) == (("A.py", "a.py"),)
    assert twins(["Pkg/one.py", "pkg/two.py", "pkg/three.py"]) == (("Pkg", "pkg"),)
    assert twins(["MODÈLE.py", "modèle.py", "模型.py"]) == (("MODÈLE.py", "modèle.py"),)


def test_a_file_that_comes_back_in_another_case_goes_first() -> None:
    assert renamed(["Model.py", "gone.py"], ["model.py", "new.py"]) == ("Model.py",)
