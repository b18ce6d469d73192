"""Metrics with options, from the configuration to the scores, on text without spaces."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sacrebleu.metrics.bleu import BLEU

from nmt.config.file import load_config
from nmt.evaluation.minimum_bayes_risk import BleuUtility
from nmt.inference.translator import Translator

from .conftest import GERMAN, run_nmt, write_corpus

DIGITS = dict(zip(GERMAN, "零一二三四五六七八九", strict=True)) | {".": "。"}
SHORT = ("training.max_epochs=2", "training.validation.every=null")


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two epochs that writes digits without spaces; for reading only."""
    folder = tmp_path_factory.mktemp("chinese")
    write_corpus(folder)
    for path in folder.glob("*.de"):
        lines = ["".join(map(DIGITS.get, line.split())) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{line}\n" for line in lines))
    with contextlib.chdir(folder):
        outcome = run_nmt("train", "tiny.yaml", "tokenizer.name=characters", *SHORT)
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture
def in_chinese(chinese: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(chinese, tmp_path / "copy")
    with contextlib.chdir(tmp_path / "copy"):
        yield tmp_path / "copy"


def test_the_tokenizer_of_the_references_is_chosen_once_stored_and_logged(chinese: Path) -> None:
    run = chinese / "runs" / "tiny"
    (metric,) = load_config(run / "config.yaml").training.validation.metrics
    assert metric.options["tokenize"] == "zh"
    log = (run / "train.log").read_text()
    assert (
        log.count("sacreBLEU's tokenizer zh, chosen by the script of the validation references")
        == 1
    )
    signatures = [
        score["signature"] for score in json.loads((run / "results.json").read_text())["test"]
    ]
    assert "|tok:zh|" in signatures[0]


def test_the_translations_of_each_validation_are_kept_and_give_its_scores(chinese: Path) -> None:
    run = chinese / "runs" / "tiny"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    validations = [row for row in rows if row["kind"] == "validation"]
    assert len(validations) == 2
    references = (chinese / "valid.de").read_text().splitlines()
    for row in validations:
        lines = (run / "translations" / f"valid-{row['update']}.txt").read_text().splitlines()
        score = BLEU(tokenize="zh").corpus_score(lines, [references])
        assert row["scores"] == {"bleu": pytest.approx(score.score)}


def test_a_resumed_run_keeps_its_tokenizer(nmt: Any, in_chinese: Path) -> None:
    given = ("tokenizer.name=characters", *SHORT[1:], "training.max_epochs=3", "--resume")
    outcome = nmt("train", "tiny.yaml", *given)
    assert outcome.code == 0, outcome.err
    assert "resuming with other options: training.max_epochs (2 -> 3)\n" in outcome.err


def test_evaluate_and_mbr_use_the_tokenizer_of_the_run(nmt: Any, in_chinese: Path) -> None:
    # The references that are scored do not decide: the run has.
    Path("other.de").write_text(Path("valid.en").read_text())
    given = ("evaluate", "runs/tiny", "--source", "valid.en", "--reference", "other.de")
    outcome = nmt(*given, "--metrics", "bleu,bleu_lc,{name: bleu, tokenize: intl, as: words}")
    assert outcome.code == 0, outcome.err
    tokenizers = [line.partition("|tok:")[2].partition("|")[0] for line in outcome.lines]
    assert tokenizers == ["zh", "zh", "intl"]
    assert [line.split("  ")[0] for line in outcome.lines] == ["BLEU", "BLEU lowercased", "words"]
    translator = Translator.from_run(
        "runs/tiny", device="cpu", decoding={"mbr": "bleu", "search": "sampling"}
    )
    assert translator.reranker is not None
    assert isinstance(translator.reranker.utility, BleuUtility)
    assert translator.reranker.utility.tokenizer == "zh"


def test_a_run_of_before_is_scored_by_the_script_of_the_references(
    nmt: Any, in_chinese: Path
) -> None:
    config = Path("runs/tiny/config.yaml")
    tree = yaml.safe_load(config.read_text())
    tree["training"]["validation"]["metrics"] = ["bleu"]
    config.write_text(yaml.safe_dump(tree))
    assert "|tok:zh|" in nmt("evaluate", "runs/tiny", "--metrics", "bleu").out
    given = ("--source", "valid.en", "--reference", "valid.en")
    assert "|tok:13a|" in nmt("evaluate", "runs/tiny", "--metrics", "bleu", *given).out


@pytest.mark.usefixtures("in_trained")
def test_evaluate_takes_metrics_with_options(nmt: Any, tmp_path: Path) -> None:
    given = "ter, {name: chrf, word_order: 2}, {name: bleu, tokenize: char, as: characters}"
    outcome = nmt("evaluate", "runs/tiny", "--metrics", given, "--json", tmp_path / "x.json")
    assert outcome.code == 0, outcome.err
    assert [line.split("  ")[0].strip() for line in outcome.lines] == [
        *("TER lowercased", "chrF++", "characters")
    ]
    scores = json.loads((tmp_path / "x.json").read_text())["scores"]
    assert [score["name"] for score in scores] == ["ter", "chrf", "characters"]
    assert "|nw:2|" in scores[1]["signature"] and "|tok:char|" in scores[2]["signature"]


@pytest.mark.usefixtures("in_trained")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("bleu,bleu", "'bleu' is listed twice; give this one another name, as in "),
        ("{name: chrf, word_ordr: 2}", "unknown option 'word_ordr' of metric 'chrf' (did you mean"),
        ("{name: chrf, word_order: two}", "word_order: must be a whole number, not 'two'"),
        ("{name: chrf", "--metrics {name: chrf: line 1: not YAML: expected ',' or '}'"),
        ("", "--metrics: must not be empty; name a metric"),
        ("{word_order: 2}", "{word_order: 2}: name: is missing"),
    ],
)
def test_metrics_that_evaluate_refuses(given: str, message: str, nmt: Any) -> None:
    nmt("evaluate", "runs/tiny", "--metrics", given).assert_refused(message)


def test_invalid_metrics_are_refused_before_training(nmt: Any, in_chinese: Path) -> None:
    for command in ("train", "check"):
        twice = "training.validation.metrics=[bleu, bleu]"
        nmt(command, "tiny.yaml", "run=x", twice).assert_refused(
            "training.validation.metrics[1]: 'bleu' is listed twice; give this one another name"
        )
        mecab = "training.validation.metrics=[{name: bleu, tokenize: ja-mecab}]"
        nmt(command, "tiny.yaml", "run=x", mecab).assert_refused(
            "metric bleu: tokenize: 'ja-mecab' needs an extra of sacreBLEU that is not installed; "
            "pip install 'sacrebleu[ja]', or choose 'char'"
        )


def test_two_metrics_of_one_name_steer_by_their_labels(nmt: Any, in_chinese: Path) -> None:
    metrics = "training.validation.metrics=[bleu, {name: bleu, tokenize: char, as: chars}]"
    steered = ("training.validation.best=chars", "training.early_stopping.metric=chars")
    given = ("run=runs/two", "tokenizer.name=characters", SHORT[1], "training.max_epochs=1")
    outcome = nmt("train", "tiny.yaml", *given, metrics, *steered)
    assert outcome.code == 0, outcome.err
    results = json.loads(Path("runs/two/results.json").read_text())
    assert results["best"]["metric"] == "chars"
    assert [score["name"] for score in results["test"]] == ["bleu", "chrf", "chars"]
    outcome = nmt("tune", "runs/two", "--metric", "chars", "--length-penalties", "average")
    assert outcome.lines[0].split()[-1] == "chars"
    assert "the run's own penalties (length penalty average" in outcome.err


def test_references_that_the_model_cannot_write_are_warned_of(nmt: Any, in_chinese: Path) -> None:
    lines = Path("valid.de").read_text().splitlines()
    lines[2:4] = ["½" + lines[2], lines[3] + "…"]
    Path("valid.de").write_text("".join(f"{line}\n" for line in lines))
    told = (
        "the model cannot write 2 of 20 references exactly, which lowers the score: its tokenizer "
        f"changes {lines[2]!r} to '1⁄2{lines[2][1:]}' (normalization: nfkc, lowercase: false)"
    )
    given = ("tiny.yaml", "tokenizer.name=characters", SHORT[1], "training.max_epochs=1")
    for command, run in (("check", "x"), ("train", "runs/nfkc")):
        outcome = nmt(command, *given, f"run={run}", "tokenizer.normalization=nfkc")
        assert outcome.code == 0, outcome.err
        assert outcome.err.count(f"data.valid: {told}") == 1
        assert "data.test: the model cannot write" not in outcome.err
    files = ("--source", "valid.en", "--reference", "valid.de")
    outcome = nmt("evaluate", "runs/nfkc", *files, "--metrics", "bleu")
    assert f"valid.en and valid.de: {told}" in outcome.err
    outcome = nmt("evaluate", "runs/tiny", *files, "--metrics", "bleu")
    assert outcome.code == 0 and "cannot write" not in outcome.err, "NFC changes none of them"
