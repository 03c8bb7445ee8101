"""What a start of the server imports, and what it is spared: processes of their own, since here all is imported already."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_start_on_a_cpu_is_spared_torchs_compiler():
    """It comes with the GPU's path alone: a second of processor time at each start, and 150 MB for good."""
    said = run(
        "import sys, inference.server, inference.loading; print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    assert said == "True False"


def test_the_chat_pages_import_writes_no_stubs_for_editors():
    """Gradio reads, parses and renders the source of each of its components for them, at each import."""
    program = """import ast
def refuse(*given): raise AssertionError("the source of a component is read")
ast.get_source_segment = refuse
from inference.web.stubless import without_stubs
with without_stubs():
    import inference.web.chat_page
import gradio
print(gradio.Textbox("x").value)"""
    assert run(program) == "x"
