"""Gradio's import without the stubs for editors that it writes beside its components at each import: two thirds of its time."""

import contextlib
import sys
from collections.abc import Generator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

MODULE, WRITER = "gradio.component_meta", "create_or_modify_pyi"


class _Finder:
    """Finds that one module as Python does; what it loads writes nothing."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == MODULE else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _write_nothing(module)


def _write_nothing(module: ModuleType) -> None:
    setattr(module, WRITER, lambda *given: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


def write_no_stubs() -> None:
    """For who makes a component: Gradio would write beside the module that does, into the release or somebody's checkout."""
    _write_nothing(sys.modules[MODULE])


@contextlib.contextmanager
def without_stubs() -> Generator[None]:
    """For the time of Gradio's first import."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
