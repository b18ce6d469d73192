"""Training that starts with the weights of another run: fine-tuning."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.file import load_config

pytestmark = pytest.mark.usefixtures("in_copy")

BASE = "start_from=runs/tiny"
HERE = ("run=runs/tuned", BASE, "training.max_epochs=1")
BEST = Path("runs/tiny/checkpoints/best/model.safetensors")


def validations(run: str) -> list[dict[str, Any]]:
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [fact for fact in map(json.loads, lines) if fact["kind"] == "validation"]


@pytest.mark.parametrize("ema", ["null", "0.999"])
def test_training_starts_from_the_best_weights_of_the_base_run(nmt: Any, ema: str) -> None:
    best = max(validations("runs/tiny"), key=lambda fact: fact["scores"]["bleu"])
    outcome = nmt("train", "tiny.yaml", *HERE, f"training.ema_decay={ema}")
    assert outcome.code == 0, outcome.err
    first, *others = validations("runs/tuned")
    assert (first["update"], first["loss"]) == (0, pytest.approx(best["loss"], rel=1e-5))
    assert others, "and then it is trained"
    for file in Path("runs/tiny/tokenizer").rglob("*.*"):
        copy = Path("runs/tuned/tokenizer") / file.relative_to("runs/tiny/tokenizer")
        assert copy.read_bytes() == file.read_bytes()


def test_fine_tuning_without_improvement_keeps_the_base_weights_as_best(nmt: Any) -> None:
    assert nmt("train", "tiny.yaml", *HERE, "training.optimizer.learning_rate=10").code == 0
    tuned = Path("runs/tuned/checkpoints/best/model.safetensors")
    assert tuned.read_bytes() == BEST.read_bytes()


def test_the_options_of_a_run_can_be_built_on(nmt: Any) -> None:
    Path("more.en").write_text("one two .\nthree .\n")
    Path("more.de").write_text("zwei eins .\ndrei .\n")
    Path("mine.yaml").write_text(
        "extends: runs/tiny/config.yaml\nstart_from: runs/tiny\nrun: runs/tuned\n"
        "data: {train: {source: more.en, target: more.de}}\n"
        "model: {embedding: {dropout: 0.5}}\ntraining: {max_epochs: 1, r_drop: 1.0}\n"
    )
    outcome = nmt("train", "mine.yaml")
    assert outcome.code == 0, outcome.err
    log = Path("runs/tuned/train.log").read_text()
    told = "weights of runs/tiny, with other options: "
    assert log.count(f"{told}model.embedding.dropout: 0.0 -> 0.5\n") == 1
    assert nmt("check", "mine.yaml").err.count(told) == 1
    Path("one.txt").write_text("nine nine .\n")
    assert nmt("translate", "runs/tuned", "one.txt").lines == ["neun neun ."]


def test_normal_form_of_an_older_run_is_kept_by_default(nmt: Any) -> None:
    short = ("training.max_epochs=1", "training.validation.every=null")
    old = ("train", "tiny.yaml", "run=runs/old", *short)
    assert nmt(*old, "tokenizer.normalization=nfkc").code == 0
    assert nmt(*old, "--resume").code == 0
    tuned = ("train", "tiny.yaml", "run=runs/tuned", "start_from=runs/old", *short)
    outcome = nmt(*tuned)
    assert outcome.code == 0, outcome.err
    for run in ("runs/old", "runs/tuned"):
        assert load_config(f"{run}/config.yaml").tokenizer.normalization == "nfkc"
    nmt(*tuned, "--overwrite", "tokenizer.normalization=nfc").assert_refused(
        "tokenizer.normalization: differs from start_from ('nfkc' -> 'nfc')"
    )


def test_unknown_text_is_reported(nmt: Any) -> None:
    Path("more.en").write_text("one two .\nforty two .\n")
    Path("more.de").write_text("zwei eins .\nzwei zwei .\n")
    corpora = (
        "data.train=[{source: train.en, target: train.de}, {source: more.en, target: more.de}]"
    )
    outcome = nmt("train", "tiny.yaml", *HERE, corpora)
    assert outcome.code == 0, outcome.err
    warnings = [line for line in outcome.err.splitlines() if "unknown" in line]
    assert warnings == [
        "nmt: warning: data.train[1]: 16.7% of the source tokens are unknown to the tokenizer of "
        "runs/tiny, so the model will not learn them; use text of the same kind, or train from "
        "scratch"
    ]


def test_subwords_of_both_sides_in_one_table(nmt: Any) -> None:
    shared = (
        *("tokenizer={name: sentencepiece, vocabulary_size: 60, shared: true}",),
        *("model.embedding.tie=all", "training.max_epochs=1"),
    )
    assert nmt("train", "tiny.yaml", "run=runs/base", *shared).code == 0
    (base,) = validations("runs/base")
    outcome = nmt("train", "tiny.yaml", "run=runs/tuned", "start_from=runs/base", *shared)
    assert outcome.code == 0, outcome.err
    assert validations("runs/tuned")[0]["loss"] == pytest.approx(base["loss"], rel=1e-5)
    assert [folder.name for folder in Path("runs/tuned/tokenizer").iterdir()] == ["shared"]


def test_a_resume_does_not_need_the_other_run(nmt: Any) -> None:
    assert nmt("train", "tiny.yaml", *HERE).code == 0
    shutil.rmtree("runs/tiny")
    again = nmt("train", "tiny.yaml", *HERE[:2], "training.max_epochs=2", "--resume")
    assert again.code == 0, again.err


def test_a_resume_without_a_checkpoint_starts_from_the_other_run(nmt: Any) -> None:
    """As after a kill before the first save, which leaves no measurements either."""

    def lose_all() -> None:
        shutil.rmtree("runs/tuned/checkpoints")
        for name in ("results.json", "metrics.jsonl"):
            Path("runs/tuned", name).unlink()

    assert nmt("train", "tiny.yaml", *HERE).code == 0
    lose_all()
    shutil.rmtree("runs/tuned/tokenizer")
    assert nmt("train", "tiny.yaml", *HERE, "--resume").code == 0
    lose_all()
    shutil.rmtree("runs/tiny")
    again = nmt("train", "tiny.yaml", *HERE, "--resume")
    again.assert_refused("start_from: runs/tiny: no such folder")


def test_check_tries_it(nmt: Any) -> None:
    outcome = nmt("check", "tiny.yaml", "run=runs/tuned", BASE)
    assert outcome.code == 0, outcome.err
    (loss,) = (line for line in outcome.lines if line.startswith("largest batch"))
    assert float(loss.split("loss ")[1].split()[0]) < 0.5, "not that of chance"


@pytest.mark.parametrize("given", ["runs/tiny", "runs/../runs/tiny", "here", "absolute"])
def test_a_run_is_not_put_in_the_place_of_its_own_start(
    nmt: Any, snapshot: Callable[[Path], dict[str, bytes]], given: str
) -> None:
    Path("here").symlink_to("runs/tiny")
    given = given.replace("absolute", str(Path("runs/tiny").resolve()))
    before = snapshot(Path("runs/tiny"))
    for command in (["train", "--overwrite"], ["check"]):
        outcome = nmt(*command, "tiny.yaml", f"start_from={given}")
        outcome.assert_refused(f"start_from: {given}: is the new run itself; give another run=PATH")
    assert snapshot(Path("runs/tiny")) == before


def test_missing_run_cannot_start_from_itself(nmt: Any) -> None:
    for command in ("train", "check"):
        outcome = nmt(command, "tiny.yaml", "run=runs/none", "start_from=runs/none")
        outcome.assert_refused(
            "start_from: runs/none: is the new run itself; give another run=PATH"
        )
    assert not Path("runs/none").exists()


def test_a_run_in_the_place_of_its_start_is_resumed(nmt: Any) -> None:
    assert nmt("train", "tiny.yaml", *HERE).code == 0
    shutil.rmtree("runs/tiny")
    Path("runs/tuned").rename("runs/tiny")
    again = nmt("train", "tiny.yaml", BASE, "training.max_epochs=2", "--resume")
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["start_from=runs/none"], ["start_from: runs/none: no such folder"]),
        (["start_from=train.en"], ["start_from: train.en: is not a folder"]),
        (
            [BASE, "tokenizer.name=characters"],
            [
                "tokenizer.name: differs from start_from ('words' -> 'characters')",
                "add `extends: runs/tiny/config.yaml` to use all",
            ],
        ),
        (
            [BASE, "model.decoder.hidden_size=48"],
            ["start_from: runs/tiny has another model (model.decoder.hidden_size: 32 -> 48), so"],
        ),
        (
            [BASE, "model.attention.score=dot"],
            ["has another model (model.attention.score.name: 'additive' -> 'dot'", "do not fit"],
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    nmt: Any, options: list[str], parts: list[str]
) -> None:
    nmt("train", "tiny.yaml", "run=runs/tuned", *options).assert_refused(*parts)
    assert not Path("runs/tuned").exists()


def test_separate_embeddings_cannot_become_tied(nmt: Any) -> None:
    two = ("run=runs/two", "model.embedding.tie=none", "training.max_epochs=1")
    assert nmt("train", "tiny.yaml", *two).code == 0
    outcome = nmt("train", "tiny.yaml", "run=runs/tuned", "start_from=runs/two")
    outcome.assert_refused("(model.embedding.tie: 'none' -> 'target'), so its weights do not fit")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda: shutil.rmtree(BEST.parent),
            "checkpoints/best: no best checkpoint; train",
        ),
        (lambda: BEST.write_bytes(b"?" * 9), "start_from: runs/tiny/checkpoints/best"),
        (
            lambda: shutil.rmtree("runs/tiny/tokenizer/source"),
            "start_from: runs/tiny/tokenizer/source",
        ),
        (lambda: Path("runs/tiny/config.yaml").unlink(), "start_from: runs/tiny: has no config"),
    ],
)
def test_a_damaged_run_is_not_started_from(
    nmt: Any, harm: Callable[[], None], message: str
) -> None:
    harm()
    nmt("train", "tiny.yaml", *HERE).assert_refused(message)
    assert not Path("runs/tuned").exists()
