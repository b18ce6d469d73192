"""Every command, configuration and program of the README and docs/ works as it is written.

The corpora are small, and trainings make two updates. `docs/experiments.md` is left out: it is a
dated log, with the commands and names of its day.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.cli.arguments import add_arguments
from nmt.cli.main import COMMANDS
from nmt.config.data import CorpusConfig
from nmt.config.file import dump_config, load_config
from tests.integration.documents import BLOCKS, NAMES, PAGES, ROOT, Block, blocks, commands

PROGRAMS = r"(nmt|python|pip|make|torchrun|sbatch|echo|git|cd)"
IN_SHELL = "python -m venv .venv && . .venv/bin/activate"
BY_SLURM = "sbatch --nodes=4 scripts/train.slurm configs/toy.yaml"


def kind_of(command: str) -> str:
    """Name the test that is responsible for a command; an empty name: none is."""
    kinds = {
        r"nmt demo": "demo",
        r"nmt serve .*": "serve",  # tests/integration/test_serve.py
        r"(echo '[^']*' \| )?nmt .*": "nmt",
        r"(OMP_NUM_THREADS=\d+ )?torchrun .*-m nmt .*": "torchrun",
        r"(\w+=\w+ )*python scripts/\w+\.py.*": "script",
        r"make \w+": "make",
        r"pip install .*": "pip",
        r"python docs/exercises/check\.py \w+": "exercise",  # tests/integration/test_exercises.py
        re.escape(IN_SHELL): "shell",
        re.escape(BY_SLURM): "slurm",  # tests/scripts/test_train_slurm.py
    }
    return next((kind for form, kind in kinds.items() if re.fullmatch(form, command)), "")


def test_every_block_is_known() -> None:
    assert len(BLOCKS) > 50
    kinds = {"sh", "console", "yaml", "python", "js", "text", ""}
    assert {block.language for block in BLOCKS} <= kinds
    assert [command for command in commands() if not kind_of(command)] == []
    hidden = [
        (block.page, line)
        for block in [*blocks("text"), *blocks("")]
        for line in block.text.splitlines()
        if re.match(rf"\s*(\$ )?{PROGRAMS} [-\w./=]+($|\s)", line)
    ]
    assert hidden == [], "commands belong in a block with the language sh"


# ---- the shell ----


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    wanted = [command.split()[1] for command in commands() if kind_of(command) == "make"]
    wanted += re.findall(r"`make (\w+)`", "".join(path.read_text() for path in PAGES))
    assert [target for target in wanted if f"\n{target}: " not in makefile] == []


def test_extras_that_are_installed_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for command in commands():
        if kind_of(command) == "pip":
            *_, constraints, target = shlex.split(command)
            assert (ROOT / constraints).exists()
            extras = re.fullmatch(r"\.\[([\w,]+)\]", target)
            assert extras is not None, command
            assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()


def test_commands_of_other_tests_have_these_tests() -> None:
    assert (ROOT / "tests/integration/test_demo.py").exists()
    assert (ROOT / "tests/integration/test_serve.py").exists()
    assert (ROOT / "tests/scripts/test_train_slurm.py").exists()
    assert (ROOT / "tests/integration/test_exercises.py").exists()
    assert IN_SHELL in commands()
    assert BY_SLURM in commands()


def test_commands_of_the_server_have_valid_arguments() -> None:
    module = import_module("nmt.cli.serve")
    parser = argparse.ArgumentParser()
    add_arguments(parser, module.Arguments)
    served = [command for command in commands() if kind_of(command) == "serve"]
    assert len(served) > 1
    for command in served:
        parser.parse_intermixed_args(shlex.split(command)[2:])


class AcceptedError(Exception):
    """A script has accepted its arguments."""


SCRIPTS = sorted({command for command in commands() if kind_of(command) == "script"})


@pytest.mark.parametrize("command", SCRIPTS)
def test_scripts_accept_their_arguments(
    command: str, load_script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With these arguments; another test runs each script with small sizes."""
    _, path, *arguments = shlex.split(re.sub(r"^(\w+=\w+ )+| [<|>] .*", "", command))
    name = Path(path).stem
    trained = (ROOT / "tests/integration/test_translation_benchmarks.py").read_text()
    assert (ROOT / f"tests/scripts/test_{name}.py").exists() or f'"{name}.py"' in trained
    parse = argparse.ArgumentParser.parse_known_intermixed_args

    def parse_and_stop(parser: argparse.ArgumentParser, given: None = None) -> None:
        _, unknown = parse(parser, given)
        assert unknown == []
        raise AcceptedError

    script = load_script(name)
    monkeypatch.setattr("sys.argv", [path, *arguments])
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_intermixed_args", parse_and_stop)
    with pytest.raises(AcceptedError):
        script.main()


# ---- nmt ----

SMALL = {
    "tokenizer.vocabulary_size": "45",
    "training.schedule.warmup": "0",
    "training.schedule.cooldown": "0",
}
LIMITS = ["training.max_updates=2", "training.max_epochs=null", "device=cpu"]


@pytest.fixture
def after_the_demo(in_copy: Path) -> Path:
    """A folder as `nmt demo` leaves it, but with a corpus and a model that take seconds."""
    for folder in ("data/toy", "configs"):
        Path(folder).mkdir(parents=True)
    for path in [*in_copy.glob("*.en"), *in_copy.glob("*.de"), *in_copy.glob("*.align")]:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:80]))
        shutil.copy(path, "data/toy")
        if path.suffix != ".align":
            shutil.copytree("data/toy", "data/multi30k", dirs_exist_ok=True)
    for side in ("en", "de", "fr"):
        shutil.copy("test.de" if side == "fr" else f"test.{side}", f"test2016.{side}")
        shutil.copy(f"test2016.{side}", "data/multi30k")
    shutil.copytree(ROOT / "configs/multi30k", "configs/multi30k")
    config = Path("tiny.yaml").read_text()
    config = config.replace("runs/tiny", "runs/toy").replace("max_epochs: 16", "max_epochs: 1")
    Path("configs/toy.yaml").write_text(config)
    Path("runs/tiny").rename("runs/toy")
    for side in ("en", "de"):
        lines = Path(f"data/toy/test.{side}").read_text().splitlines(keepends=True)
        Path(f"data/toy/tour.{side}").write_text("".join(lines[:3]))
    for example in (ROOT / "docs/examples").glob("*.py"):
        shutil.copy(example, ".")
    Path("mine.yaml").write_text(MINE)
    Path("page.html").write_text("<p>one two .</p>")
    Path("own.yaml").write_text(blocks("yaml", "docs/adding-a-part.md")[0].text)
    return in_copy


MINE = blocks("yaml", "README.md")[0].text
NUMBER = r"[0-9]+\.[0-9]+"
# What the output of a command looks like as a whole (lines of translations: one for each of the
# input), and files that it makes, with a pattern of their content.
GIVES: dict[str, tuple[str, dict[str, str]]] = {
    "nmt translate runs/toy": (r"[^\n]*\n", {}),
    "nmt translate runs/toy data/toy/test.en -o test.out --html attention.html": (
        "",
        {"test.out": r"^([^\n]*\n){20}$", "attention.html": "<title>Translations of runs/toy"},
    ),
    "nmt trace runs/toy 'Tom chases Jerry.' --html trace.html": (
        "",
        {"trace.html": "<title>runs/toy: trace"},
    ),
    "nmt evaluate runs/toy --metrics bleu": (rf"BLEU +{NUMBER}  nrefs:1\|.*\n", {}),
    "nmt align runs/toy --source data/toy/tour.en --target data/toy/tour.de": (
        r"((\d+-\d+ ?)*\n){3}",
        {},
    ),
    "nmt align runs/toy --source data/toy/test.en --target data/toy/test.de "
    "--gold data/toy/test.align": (r"((\d+-\d+ ?)*\n){20}", {}),
    "nmt train configs/toy.yaml run=runs/luong model.decoder.style=luong "
    "model.attention.score=general": ("", {"runs/luong/config.yaml": "name: luong"}),
    "nmt check mine.yaml": (r"configuration(.*\n)+time (.*\n)", {}),
    "nmt train mine.yaml training.max_epochs=30": ("", {"runs/mine/config.yaml": "sentencepiece"}),
    "nmt translate runs/mine test.en": (r"(.*\n){20}", {}),
    "nmt translate runs/toy page.html -o seite.html --document": (
        "",
        {"seite.html": r"^<p>[^<>]+</p>$"},
    ),
    "nmt train mine.yaml run=runs/own model.attention.score=own_score.py:Distance "
    "--plugin own_score.py": ("", {"runs/own/config.yaml": "own_score.py:Distance"}),
    "nmt translate runs/own test.en --plugin own_score.py": (r"(.*\n){20}", {}),
    "nmt translate runs/toy data/toy/test.en -o test.out --beam-size 10 --alignments test.align": (
        "",
        {"test.out": r"^([^\n]*\n){20}$", "test.align": r"^((\d+-\d+ ?)*\n){20}$"},
    ),
    "nmt translate runs/toy data/toy/test.en --n-best 3 --beam-size 5": (r"(.*\n){60}", {}),
    "nmt evaluate runs/toy --source data/toy/valid.en --reference data/toy/valid.de "
    "--json valid.json": (rf"BLEU +{NUMBER}  nrefs:1\|(.*\n)+", {"valid.json": '"signature"'}),
    "nmt score runs/toy --source data/toy/test.en --target data/toy/test.de": (
        rf"(-{NUMBER}.*\n){{20}}",
        {},
    ),
    "nmt tune runs/toy --dry-run": (rf"length penalty .*\n(.* {NUMBER}.*\n)+(.*\n)*", {}),
    "nmt translate toy.onnx data/toy/test.en": (r"(.*\n){20}", {}),
}


def make_small(words: list[str]) -> list[str]:
    """Give a training two updates, and a vocabulary that the small corpus can fill."""
    if words[0] not in ("train", "check"):
        return words
    plugins = [name for option, name in pairwise(words) if option == "--plugin"]
    config = load_config(words[1], plugins=plugins)
    small = [f"{key}={value}" for key, value in SMALL.items() if takes(config, key)]
    kept = [word for word in words if not word.startswith("training.max_epochs=")]
    return [*kept, *LIMITS, *small]


def takes(config: Any, key: str) -> bool:
    """Return whether the plug-in that is named has this option."""
    group, part, option = key.split(".") if key.count(".") == 2 else ("", *key.split("."))
    owner = getattr(config, group) if group else config
    return option in getattr(owner, part).options or hasattr(getattr(owner, part), option)


def run_as_written(nmt: Any, command: str, exported: Callable[[], Path] | None = None) -> Any:
    """Run a command of nmt in this process, without its pipes; a training makes two updates.

    An export takes half a minute; the plain one, `nmt export RUN -o FILE`, is that of `exported`.
    """
    piped = re.fullmatch(r"echo '(?P<text>.*)' \| (?P<command>nmt .*)", command)
    plain = piped["command"] if piped else command
    plain, _, _ = plain.partition(" | ")
    words = shlex.split(plain.replace("RUN", "runs/toy"))
    if exported and re.fullmatch(r"nmt export runs/toy -o \S+", shlex.join(words)):
        shutil.copy(exported(), words[-1])
        return SimpleNamespace(out="", err="")
    if words[1] == "export":  # where shapes are not checked, which torch cannot trace
        words = [sys.executable, "-m", *words]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return SimpleNamespace(out=done.stdout, err=done.stderr)
    outcome = nmt(*make_small(words[1:]), stdin=f"{piped['text']}\n".encode() if piped else b"")
    assert outcome.code == 0, f"{command}\n{outcome.err}"
    return outcome


RUN_ON = [
    # Three exports take minutes.
    pytest.param(name, marks=pytest.mark.slow if name == "docs/benchmarks.md" else ())
    for name in NAMES
    if any(kind_of(it) == "nmt" for it in commands(name))
]


@pytest.mark.parametrize("page", RUN_ON)
def test_every_command_works(
    nmt: Any, after_the_demo: Path, page: str, request: pytest.FixtureRequest
) -> None:
    odd = []
    for command in commands(page):
        if kind_of(command) != "nmt":
            continue
        outcome = run_as_written(nmt, command, lambda: request.getfixturevalue("exported"))
        output, files = GIVES.get(command.rpartition(" | ")[2], (r"(.*\n)*", {}))
        if not re.fullmatch(output, outcome.out):
            odd.append(f"{command}\n{outcome.out}")
        for name, content in files.items():
            text = Path(name).read_text(encoding="utf-8", errors="replace")
            if not re.search(content, text):
                odd.append(f"{command}: {name}\n{text[:500]}")
        if command.endswith(" --resume"):
            assert "the run is already finished" in outcome.err
    assert odd == []


def test_outputs_that_are_shown_have_the_form_of_those_that_are_printed() -> None:
    shown = {command: output for it in blocks("console") for command, output in it.session}
    assert len(shown) >= 6
    for command, output in shown.items():
        form, _ = GIVES.get(command.rpartition(" | ")[2], ("", {}))
        assert re.fullmatch(form, output), command


def test_outputs_are_described_for_commands_that_exist() -> None:
    assert [known for known in GIVES if not any(it.endswith(known) for it in commands())] == []


BY_TORCHRUN = sorted({command for command in commands() if kind_of(command) == "torchrun"})


@pytest.mark.parametrize("command", BY_TORCHRUN)
def test_commands_of_torchrun_work(
    command: str, nmt: Any, after_the_demo: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """In one process; tests/integration/test_train_ranks.py starts several."""
    from torch.distributed.run import get_args_parser

    words = shlex.split(re.sub(r"^OMP_NUM_THREADS=\d+ ", "", command))
    given = get_args_parser().parse_args(words[1:])
    assert given.module
    assert given.training_script == "nmt"
    if "train" in given.training_script_args:
        shutil.rmtree("runs/toy")
    run_as_written(nmt, shlex.join(["nmt", *given.training_script_args]))


def examples(name: str) -> Iterator[str]:
    """Yield the examples in the help of a command."""
    text = import_module(f"nmt.cli.{name}").__doc__ or ""
    _, _, lines = text.partition("\nexamples:\n")
    for line in re.sub(r" *\\\n *", " ", lines).splitlines():
        yield re.sub(r"^.*\| (?=nmt )|^.*-m (?=nmt )| [<>|] .*$", "", line.strip())


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_the_help_are_accepted(
    nmt: Callable[..., Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [line for line in examples(name) if line]
    assert given
    for line in given:
        words = shlex.split(line)[1:]
        monkeypatch.setattr(f"nmt.cli.{words[0]}.run", lambda arguments: 0)
        outcome = nmt(*words)
        assert outcome.code == 0, f"{line}\n{outcome.err}"


# ---- configurations and programs ----

OUTSIDE = ROOT / "tests/integration/outside"


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_configurations_load(
    block: Block, after_the_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in OUTSIDE.glob("*.py"):
        shutil.copy(path, ".")
    Path("runs/mine").mkdir()
    Path("mine.yaml").write_text(MINE)
    Path("runs/mine/config.yaml").write_text(dump_config(load_config("mine.yaml")))
    text = block.text
    if not re.search(r"^(run|extends):", text, re.MULTILINE):
        text = f"extends: mine.yaml\n{text}"
    Path("block.yaml").write_text(text)
    plugins = sorted(set(re.findall(r"\b\w+\.py(?=:)", text)))
    config = load_config("block.yaml", plugins=plugins)
    if plugins:
        assert plugins[0] in dump_config(config)


def test_the_file_for_fine_tuning_builds_on_that_of_a_run(tmp_path: Path) -> None:
    (tuned,) = [it.text for it in blocks("yaml", "docs/usage.md") if "start_from" in it.text]
    base = load_config_text(tmp_path / "mine.yaml", MINE)
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/config.yaml").write_text(dump_config(base))
    config = load_config_text(tmp_path / "tuned.yaml", tuned)
    assert (config.run, config.start_from) == ("runs/tuned", "runs/mine")
    assert (config.tokenizer, config.model) == (base.tokenizer, base.model)
    assert config.data.train == [CorpusConfig(source="new.en", target="new.de")]
    assert config.data.valid == CorpusConfig(source="new_valid.en", target="new_valid.de")
    assert config.data.test is None


def load_config_text(path: Path, text: str) -> Any:
    path.write_text(text)
    return load_config(path)


SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "nmt").rglob("*.py")}


def is_excerpt(text: str) -> bool:
    """Return whether a block is a part of a file of nmt, perhaps less indented."""
    lines = text.splitlines()
    for indent in ("", "    ", "        ", "            "):
        if any("".join(f"{indent}{line}\n" for line in lines) in it for it in SOURCES.values()):
            return True
    return False


# The blocks of the tour build on each other; tests/integration/test_tour.py runs them.
PROGRAMS_OF_PAGES = [block for block in blocks("python") if block.page != "docs/tour.md"]


@pytest.mark.parametrize("block", PROGRAMS_OF_PAGES, ids=lambda block: block.page)
def test_programs_work(
    block: Block,
    after_the_demo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program is a file that a test runs, an excerpt of the package, or runs here."""
    if included := re.fullmatch(r'--8<-- "(.*)"\n', block.text):
        assert (ROOT / included[1]).is_file()
    elif named := re.fullmatch(r"<!-- (.*\.py) -->", block.before):
        assert block.text == (ROOT / named[1]).read_text(encoding="utf-8")
        monkeypatch.syspath_prepend(after_the_demo)
        exec(compile(block.text, named[1], "exec", dont_inherit=True), {"__name__": "block"})
    elif not is_excerpt(block.text):
        exec(block.text, {})
        assert capsys.readouterr().out.count("\n") >= 3


def test_scripts_of_pages_are_files_that_a_test_opens_in_a_browser() -> None:
    included = [re.fullmatch(r'--8<-- "tests/browser/(.*)"\n', it.text) for it in blocks("js")]
    tested = (ROOT / "tests/browser/test_attention_page.py").read_text(encoding="utf-8")
    assert included
    assert all(script is not None and f'"{script[1]}"' in tested for script in included)


def test_examples_of_adding_a_part_are_files_that_a_test_trains_with() -> None:
    page = (ROOT / "docs/adding-a-part.md").read_text(encoding="utf-8")
    included = re.findall(r'--8<-- "tests/integration/outside/(\w+)\.py"', page)
    assert sorted(included) == sorted(path.stem for path in OUTSIDE.glob("*.py"))
