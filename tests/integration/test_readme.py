"""What the README tells people to type works as it is written."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from nmt.config import CorpusConfig
from nmt.config_file import dump_config, load_config

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture
def in_place_of_the_demo(in_copy: Path) -> Path:
    """A folder as `make demo` leaves it, but with a corpus and a model that take seconds."""
    for folder in ("data/toy", "configs"):
        Path(folder).mkdir(parents=True)
    for path in [*in_copy.glob("*.en"), *in_copy.glob("*.de"), *in_copy.glob("*.align")]:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:80]))
        shutil.copy(path, "data/toy")
        if path.stem == "test":  # as `head` writes them
            Path(f"data/toy/few{path.suffix}").write_text("".join(lines[:5]))
    config = Path("tiny.yaml").read_text()
    config = config.replace("runs/tiny", "runs/toy").replace("max_epochs: 16", "max_epochs: 1")
    Path("configs/toy.yaml").write_text(config)
    Path("runs/tiny").rename("runs/toy")
    # The config by hand, on a corpus of 80 lines.
    by_hand, _, _ = blocks("yaml")
    small = re.sub("vocabulary_size: [0-9]+", "vocabulary_size: 45", by_hand)
    Path("mine.yaml").write_text(small.replace("max_epochs: 30", "max_epochs: 1"))
    return in_copy


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_every_command_works(nmt: Any, in_place_of_the_demo: Path) -> None:
    ran = 0
    for command in commands():
        piped = re.fullmatch(r"echo '(?P<text>.*)' \| (?P<command>nmt .*)", command)
        words = shlex.split(piped["command"] if piped else command)
        if words[0] != "nmt" or "configs/multi30k" in command:
            continue  # what these name is looked at below
        outcome = nmt(*words[1:], stdin=f"{piped['text']}\n".encode() if piped else b"")
        assert outcome.code == 0, f"{command}\n{outcome.err}"
        ran += 1
    assert ran >= 10


def test_the_groups_for_a_small_corpus_fit_into_the_file(tmp_path: Path) -> None:
    by_hand, small, _ = blocks("yaml")
    (tmp_path / "mine.yaml").write_text(by_hand[: by_hand.index("tokenizer:")] + small)
    config = load_config(tmp_path / "mine.yaml")
    assert config.model.encoder.hidden_size == 128
    assert config.training.batch_tokens == 1000


@pytest.mark.parametrize("is_tsv", [False, True])
def test_the_file_for_fine_tuning_builds_on_that_of_a_run(tmp_path: Path, is_tsv: bool) -> None:
    by_hand, _, tuned = blocks("yaml")
    if is_tsv:
        by_hand = re.sub(r"\{source: (\w+)\.\w+, target: .*?\}", r"{tsv: \1.tsv}", by_hand)
        assert by_hand.count("{tsv: ") == 3
    (tmp_path / "mine.yaml").write_text(by_hand)
    base = load_config(tmp_path / "mine.yaml")
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/config.yaml").write_text(dump_config(base))
    (tmp_path / "tuned.yaml").write_text(tuned)
    config = load_config(tmp_path / "tuned.yaml")
    assert (config.run, config.start_from) == ("runs/tuned", "runs/mine")
    assert (config.tokenizer, config.model) == (base.tokenizer, base.model)
    assert config.data.train == [CorpusConfig(source="new.en", target="new.de")]
    assert config.data.valid == CorpusConfig(source="new_valid.en", target="new_valid.de")
    assert config.data.test is None


def test_the_code_works(in_place_of_the_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(code, {})
    assert capsys.readouterr().out.count("\n") == 3


def test_every_file_that_is_named_is_there() -> None:
    # What the demo and training make is not there yet, nor is what the reader is to write.
    made = re.compile(r"(data|runs|\.venv)/|(mine|train|valid|test)\.\w+$|.*NAME")
    links = re.findall(r"\]\(([\w./-]+)\)", README)
    quoted = re.findall(r"`((?:nmt|configs|scripts|docs)/[\w./-]+)`", README)
    typed = [
        word
        for command in commands()
        for word in shlex.split(command)
        if re.match(r"(configs|scripts)/", word)
    ]
    named = {name for name in [*links, *quoted, *typed] if not made.match(name)}
    assert len(named) > 8
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("words", [shlex.split(line) for line in commands() if "make" in line])
def test_make_targets_exist(words: list[str]) -> None:
    assert f"\n{words[1]}: " in (ROOT / "Makefile").read_text()


def test_configurations_that_are_named_load() -> None:
    for command in commands():
        for word in shlex.split(command):
            if word.startswith("configs/"):
                load_config(ROOT / word)
