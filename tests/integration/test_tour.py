"""The tour's programs run in their order, and its notebook runs from top to bottom."""

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_documents import blocks

DOCS = Path(__file__).parents[2] / "docs"

# The last block's value is only shown by a notebook.
EXECUTE = """
import sys
from pathlib import Path
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300).execute()
Path(sys.argv[2]).write_text(nbformat.writes(notebook), encoding="utf-8")
"""


@pytest.fixture
def in_toy(in_copy: Path) -> Path:
    """The tiny run as runs/toy, and its corpus as data/toy."""
    Path("runs/tiny").rename("runs/toy")
    Path("data/toy").mkdir(parents=True)
    for path in [*in_copy.glob("*.en"), *in_copy.glob("*.de"), *in_copy.glob("*.align")]:
        path.rename(in_copy / "data/toy" / path.name)
    shutil.copytree(DOCS / "exercises", "docs/exercises")
    return in_copy


def test_the_programs_compute_what_the_model_computes(in_toy: Path) -> None:
    programs = [
        block.text
        for block in blocks("python", "docs/tour.md")
        if not block.before.startswith("<!-- source: ")
    ]
    assert len(programs) == 8
    out = io.StringIO()
    space: dict[str, object] = {}
    with contextlib.redirect_stdout(out):
        for program in programs:
            exec(compile(program, "tour", "exec", dont_inherit=True), space)
    lines = out.getvalue().splitlines()
    differences = [float(line.split()[-1]) for line in lines if "largest difference" in line]
    assert len(differences) == 3
    assert max(differences) < 1e-4
    assert lines[-1].startswith("links:  ")


def test_the_notebook_runs_from_top_to_bottom(in_toy: Path) -> None:
    if importlib.util.find_spec("nbclient") is None:
        if os.environ.get("NMT_REQUIRE_BROWSER") == "1":
            pytest.fail("NMT_REQUIRE_BROWSER=1, but nbclient is not installed")
        pytest.skip("nbclient is not installed")
    notebook = json.loads((DOCS / "tour.ipynb").read_text(encoding="utf-8"))
    # The demo takes minutes, and exercises are not written yet; each has tests of its own.
    for cell in notebook["cells"]:
        if "".join(cell["source"]) in ("!nmt demo", "!python docs/exercises/check.py dot_score"):
            cell["source"] = []
    Path("tour.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    programs = Path("bin")
    programs.mkdir()
    for name, module in (("nmt", "-m nmt "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {module}"$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs.resolve()}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", EXECUTE, "tour.ipynb", "done.ipynb"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    done = json.loads(Path("done.ipynb").read_text(encoding="utf-8"))
    outputs = [
        output
        for cell in done["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]
    shown = "".join("".join(output.get("text", "")) for output in outputs)
    assert "nmt: error" not in shown
    assert "not found" not in shown
    assert Path("trace.html").stat().st_size > 10_000
    assert Path("attention.html").stat().st_size > 10_000
    frames = [output["data"]["text/html"] for output in outputs if "data" in output]
    assert len(frames) == 1
    assert "<iframe" in "".join(frames[0])
