"""Training that starts with the weights of another run: fine-tuning."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("in_copy")

BASE = "start_from=runs/tiny"
HERE = ("run=runs/tuned", BASE, "training.max_epochs=1")


def validations(run: str) -> list[dict[str, Any]]:
    lines = (Path(run) / "metrics.jsonl").read_text().splitlines()
    return [fact for fact in map(json.loads, lines) if fact["kind"] == "validation"]


def test_training_starts_where_the_other_run_was_best(nmt: Any) -> None:
    best = min(fact["loss"] for fact in validations("runs/tiny"))
    rate = "training.optimizer.learning_rate=1e-9"
    assert nmt("train", "tiny.yaml", *HERE, rate).code == 0
    assert validations("runs/tuned")[0]["loss"] == pytest.approx(best, rel=1e-4)
    for file in Path("runs/tiny/tokenizer").rglob("*.*"):
        copy = Path("runs/tuned/tokenizer") / file.relative_to("runs/tiny/tokenizer")
        assert copy.read_bytes() == file.read_bytes()


def test_the_moving_average_starts_there_too(nmt: Any) -> None:
    best = min(fact["loss"] for fact in validations("runs/tiny"))
    options = ("training.optimizer.learning_rate=1e-9", "training.ema_decay=0.999")
    assert nmt("train", "tiny.yaml", *HERE, *options).code == 0
    assert validations("runs/tuned")[0]["loss"] == pytest.approx(best, rel=1e-4)


def test_other_text_and_other_dropout_are_welcome(nmt: Any) -> None:
    Path("more.en").write_text("one two .\nthree .\n")
    Path("more.de").write_text("zwei eins .\ndrei .\n")
    corpus = "data.train={source: more.en, target: more.de}"
    assert nmt("train", "tiny.yaml", *HERE, corpus, "model.embedding.dropout=0.5").code == 0
    Path("one.txt").write_text("nine nine .\n")
    assert nmt("translate", "runs/tuned", "one.txt").lines == ["neun neun ."]


def test_a_resume_does_not_need_the_other_run(nmt: Any) -> None:
    assert nmt("train", "tiny.yaml", *HERE).code == 0
    shutil.rmtree("runs/tiny")
    again = nmt("train", "tiny.yaml", *HERE[:2], "training.max_epochs=2", "--resume")
    assert again.code == 0, again.err


def test_check_tries_it(nmt: Any) -> None:
    outcome = nmt("check", "tiny.yaml", "run=runs/tuned", BASE)
    assert outcome.code == 0, outcome.err
    (loss,) = (line for line in outcome.lines if line.startswith("largest batch"))
    assert float(loss.split("loss ")[1].split()[0]) < 0.5, "not that of chance"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["start_from=runs/none"], ["runs/none: no such folder"]),
        (["start_from=./runs/tuned"], ["start_from: is the run itself, runs/tuned"]),
        (["start_from=train.en"], ["train.en: is not a folder"]),
        (
            [BASE, "tokenizer.name=characters"],
            ["tokenizer.name: characters, and start_from: runs/tiny has words", "the same"],
        ),
        (
            [BASE, "model.decoder.hidden_size=48"],
            ["start_from: runs/tiny: of its model, ", " in this one; ", "runs/tiny/config.yaml"],
        ),
        (
            [BASE, "model.attention.score=dot"],
            ["start_from: runs/tiny: of its model, decoder.attention.score.", "missing"],
        ),
    ],
)
def test_what_does_not_fit_is_refused(nmt: Any, options: list[str], parts: list[str]) -> None:
    nmt("train", "tiny.yaml", "run=runs/tuned", *options).assert_refused(*parts)
    assert not Path("runs/tuned").exists()
