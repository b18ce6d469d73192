"""What the README tells people to type works as it is written."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from nmt.config.data import CorpusConfig
from nmt.config.file import dump_config, load_config

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


NUMBER = r"[0-9]+\.[0-9]+"
# What a command has to give where it is run as the README has it: what its output looks like as a
# whole (lines of translations: one for each of the input), and files that it makes, with a
# pattern of their content.
GIVES: dict[str, tuple[str, dict[str, str]]] = {
    "nmt train configs/toy.yaml run=runs/first": ("", {"runs/first/results.json": '"bleu"'}),
    "nmt translate runs/toy": (r"[^\n]*\n", {}),
    "nmt evaluate runs/toy": (rf"BLEU +{NUMBER}  nrefs:1\|(.*\n)+", {}),
    "nmt align runs/toy --source data/toy/few.en --target data/toy/few.de --plot runs/toy/plots": (
        r"((\d+-\d+ ?)*\n){5}",
        {"runs/toy/plots/1.png": "PNG"},
    ),
    "nmt score runs/toy --source data/toy/few.en --target data/toy/few.de": (
        rf"(-{NUMBER}.*\n){{5}}",
        {},
    ),
    "nmt check configs/toy.yaml": (r"configuration(.*\n)+time (.*\n)", {}),
    "nmt train configs/toy.yaml run=runs/luong model.decoder.style=luong "
    "model.attention.score=general": ("", {"runs/luong/config.yaml": "name: luong"}),
    "nmt translate runs/toy data/toy/test.en -o test.out --beam-size 10 --alignments test.align": (
        "",
        {"test.out": r"^([^\n]*\n){20}$", "test.align": r"^((\d+-\d+ ?)*\n){20}$"},
    ),
    "nmt translate runs/toy data/toy/test.en --n-best 3 --beam-size 5": (r"(.*\n){60}", {}),
    "nmt evaluate runs/toy --source data/toy/valid.en --reference data/toy/valid.de "
    "--json valid.json": (rf"BLEU +{NUMBER}  nrefs:1\|(.*\n)+", {"valid.json": '"signature"'}),
    "nmt check mine.yaml": (r"configuration(.*\n)+time (.*\n)", {}),
    "nmt train mine.yaml": ("", {"runs/mine/results.json": '"bleu"'}),
    "nmt translate runs/mine test.en": (r"(.*\n){20}", {}),
    "nmt translate runs/toy data/toy/few.en --search sampling --set search.top_k=10 --set "
    "search.seed=2": (r"(.*\n){5}", {}),
    "nmt translate runs/toy data/toy/few.en --set no_repeat_ngram_size=3 --set "
    "'forbidden=[Hunde]'": (r"(.*\n){5}", {}),
    "nmt tune runs/toy --dry-run": (rf"length penalty .*\n(.* {NUMBER}.*\n)+(.*\n)*", {}),
}


def test_every_command_of_the_readme_works(nmt: Any, in_place_of_the_demo: Path) -> None:
    ran, odd = set(), []
    for command in commands():
        piped = re.fullmatch(r"echo '(?P<text>.*)' \| (?P<command>nmt .*)", command)
        plain = piped["command"] if piped else command
        words = shlex.split(plain)
        if words[0] != "nmt" or "configs/multi30k" in command:
            continue  # what these name is looked at below
        outcome = nmt(*words[1:], stdin=f"{piped['text']}\n".encode() if piped else b"")
        assert outcome.code == 0, f"{command}\n{outcome.err}"
        if plain.endswith(" --resume"):
            assert "the run is already finished" in outcome.err
            continue
        output, files = GIVES[plain]
        if not re.fullmatch(output, outcome.out):
            odd.append(f"{command}\n{outcome.out}")
        for name, content in files.items():
            text = Path(name).read_text(encoding="utf-8", errors="replace")
            if not re.search(content, text):
                odd.append(f"{command}: {name}\n{text[:500]}")
        ran.add(plain)
    assert odd == []
    assert ran == GIVES.keys()


def test_the_groups_for_a_small_corpus_fit_into_the_file(tmp_path: Path) -> None:
    by_hand, small, _ = blocks("yaml")
    (tmp_path / "mine.yaml").write_text(by_hand[: by_hand.index("tokenizer:")] + small)
    config = load_config(tmp_path / "mine.yaml")
    assert config.model.encoder.options["hidden_size"] == 128
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
