"""Plug-ins from outside whose code fails: one line with the file and the line, no traceback."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from nmt.core.errors import ConfigError
from nmt.export.exporter import export_run
from tests.integration.conftest import Command, write_corpus
from tests.integration.test_plugins import OUTSIDE, PARTS
from tests.integration.test_ranks import TORCHRUN

SHORT = ("training.max_updates=2", "training.early_stopping=null")
CONSTRUCTOR = "        super().__init__()\n"
FORWARD = "        differences = query"

# Lines that replace a line of the score, and the error that they cause.
FAULTS = {
    "constructor": (CONSTRUCTOR, "        raise ValueError('bad\\nnews')\n", "ValueError: bad"),
    "no super": (CONSTRUCTOR, "\n", "AttributeError: cannot assign module before Module.__init__"),
    "forward": (FORWARD, f"        1 / 0\n{FORWARD}", "ZeroDivisionError: division by zero"),
    "exit": (FORWARD, f"        sys.exit(0)\n{FORWARD}", "SystemExit: 0"),
    "recursion": (
        FORWARD,
        f"        self.forward(query, keys, state)\n{FORWARD}",
        "RecursionError: maximum recursion depth exceeded",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory has a corpus, tiny.yaml and the plug-ins."""
    monkeypatch.setattr("nmt.cli.check._LONGEST_MEASUREMENT", 0.0)
    write_corpus(tmp_path)
    for part in ("score", "tokenizer"):
        shutil.copy(OUTSIDE / f"{part}.py", tmp_path)
    with contextlib.chdir(tmp_path):
        yield tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("fault", FAULTS)
def test_code_that_raises_is_one_line(fault: str, nmt: Command, folder: Path) -> None:
    old, new, error = FAULTS[fault]
    change(folder / "score.py", old, new)
    change(folder / "score.py", "import torch\n", "import sys\n\nimport torch\n")
    words = ("tiny.yaml", *SHORT, *PARTS["score"], "--plugin", "score.py")
    outcome = nmt("train", *words)
    outcome.assert_refused("nmt: error: plug-in score.py, line ", f": {error}", "; correct the ")
    line = int(outcome.err.rpartition("plug-in score.py, line ")[2].partition(":")[0])
    wrong = (folder / "score.py").read_text().splitlines()[line - 1]
    assert "self.projection" in wrong if fault == "no super" else wrong in new.splitlines()
    checked = nmt("check", *words)
    assert checked.code == 2
    assert checked.err.splitlines()[-1] == outcome.err.splitlines()[-1]


def test_a_wrong_shape_names_the_plugins_in_use(nmt: Command, folder: Path) -> None:
    change(folder / "score.py", FORWARD, f"        return query.sum(-1)\n{FORWARD}")
    outcome = nmt("train", "tiny.yaml", *SHORT, *PARTS["score"], "--plugin", "score.py")
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == (
        "plug-ins in use: score.py; check the shapes of what they return"
    )


@pytest.mark.parametrize("text", ["def f():\n    f()\n\nf()\n", "import score_helper\n"])
def test_an_import_that_never_ends_or_fails_elsewhere_is_one_line(
    text: str, nmt: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "score_helper.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(folder)
    (folder / "score.py").write_text(text)
    nmt("check", "tiny.yaml", *PARTS["score"], "--plugin", "score.py").assert_refused(
        "score.py, line ", ": cannot be imported: ", "; correct the file"
    )


def test_an_error_in_another_process_is_one_line(
    nmt: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.encode_blocks._FEW_BLOCKS", 1)
    words = ["tiny.yaml", *SHORT, *PARTS["tokenizer"], "--plugin", "tokenizer.py"]
    assert nmt("train", *words).code == 0
    change(
        folder / "tokenizer.py",
        "        return [self._vocabulary",
        "        1 / 0\n        return [self._vocabulary",
    )
    error = "plug-in tokenizer.py, line ", ": ZeroDivisionError: division by zero; correct"
    train = nmt("train", *words, "run=runs/new", "data.encoding_processes=2")
    train.assert_refused(*error)
    lines = (folder / "test.en").read_bytes()
    for workers in (1, 2):
        given = ("--plugin", "tokenizer.py", "--workers", workers)
        nmt("translate", "runs/tiny", *given, stdin=lines).assert_refused(*error)


def test_another_positional_argument_is_refused(nmt: Command, folder: Path) -> None:
    change(folder / "score.py", "key_size: int, *", "key_size: int, depth: int, *")
    nmt("check", "tiny.yaml", *PARTS["score"], "--plugin", "score.py").assert_refused(
        "model.attention.score: score score.py:Distance: missing a required argument: 'depth', as "
        "its constructor is called with (query_size, key_size); make all other arguments options, "
        "after a *"
    )
    change(folder / "score.py", "query_size: int, key_size: int, depth: int", "query_size: int")
    nmt("check", "tiny.yaml", *PARTS["score"], "--plugin", "score.py").assert_refused(
        "score score.py:Distance: too many positional arguments, as its constructor is called with"
    )


def test_arguments_may_have_other_names_and_defaults(nmt: Command, folder: Path) -> None:
    shutil.copy(OUTSIDE / "cell.py", folder)
    text = (folder / "cell.py").read_text()
    (folder / "cell.py").write_text(
        text.replace("input_size", "width")
        .replace("hidden_size", "height")
        .replace("height: int, *", "height: int, unused: int = 1, *")
    )
    outcome = nmt("train", "tiny.yaml", *SHORT, *PARTS["cell"], "--plugin", "cell.py")
    assert outcome.code == 0, outcome.err


def test_a_misspelt_optimizer_of_torch_gets_the_nearest_names(nmt: Command, folder: Path) -> None:
    for name, nearest in (("Adm", "Adam"), ("sdg", "SGD"), ("adamW", "AdamW")):
        outcome = nmt(
            "check", "tiny.yaml", f"training.optimizer=torch.optim:{name}", "--plugin=torch.optim"
        )
        outcome.assert_refused(
            f"training.optimizer: unknown class '{name}' of torch.optim (did you mean "
            f"'{nearest}'?); allowed: {nearest}"
        )
        assert outcome.err.endswith(", …\n")
        assert "LBFGS" not in outcome.err


def test_check_prints_the_plugins_and_their_hashes(nmt: Command, folder: Path) -> None:
    parts = [*PARTS["score"], *PARTS["tokenizer"]]
    given = ("--plugin", "score.py", "--plugin", "tokenizer.py")
    outcome = nmt("check", "tiny.yaml", *parts, *given)
    assert outcome.code == 0, outcome.err
    found = {line for line in outcome.lines if line.startswith("plug-in ")}
    hashes = {
        name: sha256((folder / name).read_bytes()).hexdigest()
        for name in ("score.py", "tokenizer.py")
    }
    assert found == {f"plug-in         {folder / name}, SHA-256 {hashes[name]}" for name in hashes}
    assert nmt("train", "tiny.yaml", *parts, *given, *SHORT).code == 0
    copies = {copy.name for copy in (folder / "runs/tiny/plugin_copies").iterdir()}
    assert copies == {f"{name}-{hashes[name]}.txt" for name in hashes}
    assert "plug-in" not in nmt("check", "tiny.yaml").out


def test_a_plugin_without_use_warns_once(nmt: Command, folder: Path) -> None:
    given = ("--plugin", "score.py", "--plugin", "tokenizer.py", "--plugin", "tests", *SHORT)
    part = "model.attention.score=tests.integration.outside.score:Distance"
    outcome = nmt("train", "tiny.yaml", part, *given)
    assert outcome.code == 0, outcome.err
    warnings = [line for line in outcome.err.splitlines() if "--plugin" in line]
    assert warnings == [
        f"nmt: warning: --plugin {folder / name}: no option uses it; leave it out"
        for name in ("score.py", "tokenizer.py")
    ]
    used = nmt("translate", "runs/tiny", "--plugin", "tests", stdin=b"one .\n")
    assert (used.code, used.err) == (0, "")


def test_export_from_python_takes_plugins(nmt: Command, folder: Path) -> None:
    given = ("--plugin", "score.py", *SHORT)
    assert nmt("train", "tiny.yaml", *PARTS["score"], *given).code == 0
    path = folder / "a.onnx"
    with pytest.raises(ConfigError, match=r"must be allowed; add --plugin score\.py"):
        export_run("runs/tiny", path)
    with pytest.raises(ConfigError, match=r"plug-in other\.py: no such file or module"):
        export_run("runs/tiny", path, plugins=["other.py"])
    # With its plug-in the run opens; the search ends the export before PyTorch takes half a minute.
    with pytest.raises(ConfigError, match=r"^decoding\.search: 'sampling' cannot be exported"):
        export_run("runs/tiny", path, decoding={"search": "sampling"}, plugins=["score.py"])


# Training in which each process has a file of its own, of the same name.
EACH = """
import os
import sys

from nmt.cli.main import main

sys.exit(main([*sys.argv[1:], "--plugin", f"{os.environ['RANK']}/score.py"]))
"""


def test_processes_with_different_files_are_refused(folder: Path) -> None:
    (folder / "each.py").write_text(EACH)
    for rank in ("0", "1"):
        (folder / rank).mkdir()
        shutil.copy(folder / "score.py", folder / rank)
    with (folder / "1/score.py").open("a") as file:
        file.write("# changed\n")
    hashes = [sha256((folder / rank / "score.py").read_bytes()).hexdigest() for rank in ("0", "1")]
    words = ("each.py", "train", "tiny.yaml", *PARTS["score"], *SHORT)
    ended = subprocess.run(
        [*TORCHRUN, "2", *words],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("nmt: error: "))
    assert "rank 1 of torchrun differs from rank 0: SHA-256 of" in line
    assert f"{hashes[0]}" in line and f"{hashes[1]}" in line
    assert not (folder / "runs").exists()
