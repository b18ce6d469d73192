"""Code from outside the package is never imported unless the user names it; errors are one line."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.main import COMMANDS
from tests.integration.conftest import Command, run_nmt
from tests.integration.test_plugins import OUTSIDE
from tests.integration.test_ranks import TORCHRUN

# A file that leaves a mark when it is imported, with all parts that the run below uses.
MARK = """
from pathlib import Path

Path(__file__).with_name("mark").touch()
"""
ADVICE = "add --plugin mine.py"
SCORE = "mine.py:Distance"
PAIR = ("--source", "test.en", "--target", "test.de")


@pytest.fixture(scope="session")
def with_plugin(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `trained` with mine.py and the run runs/mine, whose score and tokenizer it has."""
    folder = tmp_path_factory.mktemp("outside") / "copy"
    shutil.copytree(trained, folder)
    parts = [(OUTSIDE / f"{part}.py").read_text() for part in ("score", "tokenizer")]
    (folder / "mine.py").write_text("\n".join([*parts, MARK]))
    score = f"model.attention.score={SCORE}"
    tokenizer = "tokenizer.name=mine.py:PairTrainer"
    options = ["run=runs/mine", score, tokenizer, "training.max_updates=2"]
    with contextlib.chdir(folder):
        outcome = run_nmt("train", "tiny.yaml", *options, "--plugin", "mine.py")
        assert outcome.code == 0, outcome.err
        assert (folder / "mark").exists()
        assert not (folder / "__pycache__").exists()
        (folder / "mark").unlink()
        config = (folder / "runs/mine/config.yaml").read_text()
        (folder / "mine.yaml").write_text(config)
        for name, base in (("extending", "mine.yaml"), ("inherited", "runs/mine/config.yaml")):
            (folder / f"{name}.yaml").write_text(f"extends: {base}\nrun: runs/other\n")
        shutil.copytree("runs/mine", "runs/version_1")
        old = config.replace("version: 2", "version: 1")
        (folder / "runs/version_1/config.yaml").write_text(old)
        (folder / "n-best.txt").write_text("0 ||| null . ||| -1\n")
    return folder


@pytest.fixture
def here(with_plugin: Path) -> Iterator[Path]:
    """The working directory is the folder of `with_plugin`, for reading only."""
    with contextlib.chdir(with_plugin):
        yield with_plugin


# Every command, with the plug-in in each place that may name one.
WORDS = [
    ("train", "mine.yaml", "run=runs/new"),
    ("check", "mine.yaml"),
    ("train", "mine.yaml", "--resume"),
    ("train", "extending.yaml"),
    ("check", "inherited.yaml"),
    ("train", "tiny.yaml", f"model.attention.score={SCORE}", "run=runs/new"),
    ("check", "tiny.yaml", f"model.attention.score={SCORE}"),
    ("check", "tiny.yaml", f"model.attention.score={{name: {SCORE}, power: 3}}"),
    ("check", "tiny.yaml", f"training.validation.metrics=[bleu, {SCORE}]"),
    ("train", "tiny.yaml", "start_from=runs/mine", "run=runs/new"),
    ("check", "tiny.yaml", "start_from=runs/mine"),
    ("train", "tiny.yaml", "tokenizer.source_path=runs/mine/tokenizer/source", "run=runs/new"),
    ("check", "tiny.yaml", "tokenizer.source_path=runs/mine/tokenizer/source"),
    ("translate", "runs/mine"),
    ("translate", "runs/version_1"),
    ("translate", "runs/tiny", "--ensemble", "runs/mine"),
    ("translate", "runs/tiny", "--search", SCORE),
    ("translate", "runs/tiny", "--length-penalty", SCORE),
    ("translate", "runs/tiny", "--set", f"coverage_penalty={SCORE}"),
    ("evaluate", "runs/mine"),
    ("evaluate", "runs/tiny", "--metrics", f"bleu,{SCORE}"),
    ("tune", "runs/mine"),
    ("tune", "runs/tiny", "--length-penalties", f"none,{SCORE}"),
    ("tune", "runs/tiny", "--coverage-penalties", f"none,{SCORE}"),
    ("score", "runs/mine", *PAIR),
    ("rescore", "runs/mine", "--source", "test.en", "--n-best", "n-best.txt"),
    ("align", "runs/mine", *PAIR),
    ("align", "runs/tiny", "--reverse", "runs/mine", *PAIR),
    ("lexicon", "runs/mine"),
    ("export", "runs/mine", "-o", "mine.onnx"),
    ("trace", "runs/mine", "one two ."),
    ("serve", "runs/mine", "--port", "0"),
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_nothing_is_imported_without_plugin(
    words: tuple[str, ...], nmt: Command, here: Path
) -> None:
    outcome = replace(nmt(*words, stdin=b"one two .\n"), out="")  # `check` describes the corpora
    outcome.assert_refused(ADVICE, "code from outside the package")
    if "start_from=runs/mine" in words:
        outcome.assert_refused("nmt: error: start_from: ")
    assert not (here / "mark").exists()
    assert not (here / "__pycache__").exists()
    assert not (here / "runs/new").exists()


def test_no_command_is_left_out() -> None:
    assert {words[0] for words in WORDS} | {"demo"} == set(COMMANDS)


def test_the_demo_imports_nothing(
    nmt: Command, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr("nmt.cli.demo._SIZES", {"train": 60, "valid": 5, "test": 5})
    for name in ("mine.py", "yaml.py"):  # the second one hides a module that commands import
        shutil.copy(here / "mine.py", tmp_path / name)
    with contextlib.chdir(tmp_path):  # monkeypatch would return to the folder of `here`, too late
        assert nmt("demo", f"model.attention.score={SCORE}").code == 2
    (line,) = (line for line in capfd.readouterr().err.splitlines() if "nmt: error: " in line)
    assert ADVICE in line
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("train", "mine.yaml", "run=runs/new"),
        ("translate", "runs/mine", "test.en", "-o", "out.de"),
    ],
    ids=" ".join,
)
def test_processes_of_torchrun_import_nothing(words: tuple[str, ...], here: Path) -> None:
    command = [*TORCHRUN, "2", "-m", "nmt", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("nmt: error: "))
    assert ADVICE in line
    assert not (here / "mark").exists()
    assert not (here / "runs/new").exists()
    assert not (here / "out.de").exists()


def test_the_message_names_the_place_and_what_to_do(nmt: Command, here: Path) -> None:
    sentence = (
        "is code from outside the package, which must be allowed; add --plugin mine.py (in "
        "Python: plugins=['mine.py'])"
    )
    nmt("check", "extending.yaml", "tokenizer.name=words").assert_refused(
        f"nmt: error: mine.yaml: model.attention.score: '{SCORE}' {sentence}"
    )
    override = f"model.attention.score={SCORE}"
    nmt("check", "tiny.yaml", override).assert_refused(
        f"nmt: error: override '{override}': model.attention.score: '{SCORE}' {sentence}"
    )


def test_a_tokenizer_of_a_folder_is_not_imported(nmt: Command, here: Path) -> None:
    folder = "runs/mine/tokenizer/source"
    saved = json.loads((here / folder / "tokenizer.json").read_text())
    assert saved["plugin"] == "mine.py:PairTokenizer"
    outcome = nmt("train", "tiny.yaml", f"tokenizer.source_path={folder}", "run=runs/new")
    outcome.assert_refused(f"{folder}: 'mine.py:PairTokenizer' is code from outside")


def test_commands_forget_what_was_allowed(nmt: Command, here: Path) -> None:
    allowed = nmt("translate", "runs/mine", "--plugin", "mine.py", stdin=b"one .\n")
    assert allowed.code == 0, allowed.err
    (here / "mark").unlink()
    nmt("translate", "runs/mine", stdin=b"one .\n").assert_refused(ADVICE)
    assert not (here / "mark").exists()


@pytest.fixture
def score(tmp_path: Path, trained: Path) -> Iterator[Path]:
    """The file of the score outside, in a working directory with the corpus and tiny.yaml."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    with contextlib.chdir(tmp_path):
        yield Path(shutil.copy(OUTSIDE / "score.py", tmp_path))


def check(option: str, plugin: str = "score.py") -> tuple[str, ...]:
    return "check", "tiny.yaml", f"model.attention.score={option}", "--plugin", plugin


@pytest.mark.usefixtures("score")
@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            "score.py:Distence",
            "override 'model.attention.score=score.py:Distence': model.attention.score: unknown "
            "class 'Distence' of score.py (did you mean 'Distance'?); allowed: Distance",
        ),
        (
            "{name: score.py:Distance, powr: 2}",
            "model.attention.score.powr: unknown option 'powr' of score 'score.py:Distance' "
            "(did you mean 'power'?); allowed: power",
        ),
        (
            "{name: score.py:Distance, power: 0}",
            "model.attention.score.power: must be more than 0, not '0'",
        ),
        (
            "score.py:Score",
            "'score.py:Score' is not a complete Score; define forward, keys",
        ),
        (
            "score.py:Gt",
            "'score.py:Gt' is not a complete Score; extend nmt.nn.attention.scores.score.Score",
        ),
        (
            "score.py:nn",
            "'score.py:nn' is not a complete Score; extend nmt.nn.attention.scores.score.Score",
        ),
    ],
)
def test_a_wrong_class_or_option_is_one_line(nmt: Command, option: str, sentence: str) -> None:
    nmt(*check(option)).assert_refused(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\nraise ValueError('bad\\nnews')\n", "score.py, line 2: cannot be imported: "
         "ValueError: bad; correct the file"),
        ("def broken(:\n", "score.py, line 1: cannot be imported: SyntaxError: "),
        ("import sys\n\nsys.exit(3)\n", "score.py, line 3: cannot be imported: SystemExit: 3;"),
        ("import no_such_helper\n", "score.py, line 1: cannot be imported: ModuleNotFoundError: "
         "No module named 'no_such_helper'; install the module, or set PYTHONPATH to its folder"),
        ("x = '\0'\n", "score.py: cannot be imported: "),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_imported_is_one_line(
    nmt: Command, score: Path, text: str, sentence: str
) -> None:
    score.write_text(text)
    nmt(*check("score.py:Distance")).assert_refused("plug-in ", sentence)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "'power' must have a type, and cannot be called 'name'"),
        (": Power", "name 'Power' is not defined"),
    ],
)
def test_an_option_without_a_usable_type_is_one_line(
    nmt: Command, score: Path, arguments: str, sentence: str
) -> None:
    text = score.read_text().replace(": Annotated[float, Gt(0.0)] = 2.0", arguments)
    future = "from __future__ import annotations"
    score.write_text(text.replace("from typing", f"{future}\nfrom typing", 1))
    nmt(*check("score.py:Distance")).assert_refused(
        f"cannot read the options of score score.py:Distance: {sentence}; correct the constructor"
    )


@pytest.mark.usefixtures("score")
@pytest.mark.parametrize("given", ["scores.py", "a/score.txt", "a/b", "1st"])
def test_a_plugin_that_does_not_exist_is_one_line(nmt: Command, given: str) -> None:
    nmt(*check("score.py:Distance", given)).assert_refused(
        f"plug-in {given}: no such file or module; give FILE.py (from the working folder "
    )


def test_two_files_of_one_name_are_refused(nmt: Command, score: Path) -> None:
    for name in ("a", "b"):
        (score.parent / name).mkdir()
        shutil.copy(score, score.parent / name)
    words = [*check("score.py:Distance", "a/score.py"), "--plugin", "b/score.py"]
    score.unlink()
    outcome = nmt(*words)
    outcome.assert_refused("'score.py:Distance' is in ", "a/score.py or ", "with --plugin")
    words[2] = "model.attention.score=b/score.py:Distence"
    nmt(*words).assert_refused("unknown class 'Distence' of score.py")


def test_prints_of_a_plugin_go_to_stderr(nmt: Command, here: Path, tmp_path: Path) -> None:
    text = (here / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(f"{text}\nprint('printed')\n")
    given = tmp_path / "mine.py"
    outcome = nmt("translate", "runs/mine", "--plugin", given, stdin=b"one .\n")
    assert outcome.code == 0, outcome.err
    assert len(outcome.lines) == 1
    assert "printed" in outcome.err
    assert "printed" not in outcome.out


def test_a_changed_file_warns_once_with_both_hashes(
    nmt: Command, here: Path, tmp_path: Path
) -> None:
    copies = list((here / "runs/mine/plugin_copies").iterdir())
    assert [copy.read_bytes() for copy in copies] == [(here / "mine.py").read_bytes()]
    (before,) = (copy.stem.removeprefix("mine.py-") for copy in copies)
    same = nmt("translate", "runs/mine", "--plugin", "mine.py", stdin=b"one .\n")
    assert "SHA-256" not in same.err
    changed = tmp_path / "mine.py"
    changed.write_text((here / "mine.py").read_text() + "\n# changed\n")
    outcome = nmt("tune", "runs/mine", "--dry-run", "--plugin", changed)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("SHA-256") == 1
    (line,) = (line for line in outcome.err.splitlines() if "SHA-256" in line)
    assert before in line
    assert "mine.py: SHA-256 " in line and "it is used as it is now" in line


def test_a_copy_of_a_run_is_never_imported(nmt: Command, here: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(here / "runs/mine", run)
    (copy,) = (run / "plugin_copies").iterdir()
    copy.write_text("raise AssertionError('imported')\n")
    outcome = nmt("translate", run, "--plugin", "mine.py", stdin=b"one .\n")
    assert outcome.code == 0, outcome.err
    copy.unlink()
    assert nmt("translate", run, "--plugin", "mine.py", stdin=b"one .\n").code == 0
    shutil.rmtree(run / "plugin_copies")
    assert nmt("translate", run, "--plugin", "mine.py", stdin=b"one .\n").code == 0
