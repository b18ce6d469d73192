"""Train and check mention data that gives misleading figures; evaluate, score and align as well."""

from pathlib import Path

import pytest

from .conftest import Command


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_validation_set_of_training_pairs_is_warned_of(
    command: str, nmt: Command, in_copy: Path
) -> None:
    options = ("run=runs/same", "data.valid={source: train.en, target: train.de}")
    short = ("training.max_updates=2", "data.test=null", "training.validation.metrics=[]")
    steered = ("training.validation.best=loss", "training.early_stopping=null")
    outcome = nmt(command, "tiny.yaml", *options, *short, *steered)
    assert outcome.code == 0, outcome.err
    told = "data.valid: 400 of 400 pairs (100.0%) are also training pairs, so its scores"
    assert outcome.err.count(told) == 1


@pytest.mark.parametrize("command", ["score", "align"])
def test_unknown_tokens_of_both_sides_are_summed_up(
    command: str, nmt: Command, in_trained: Path
) -> None:
    num_lines = 20
    for source, target, are_swapped in (("en", "de", False), ("de", "en", True)):
        files = ("--source", f"test.{source}", "--target", f"test.{target}")
        outcome = nmt(command, "runs/tiny", *files)
        assert outcome.code == 0 and len(outcome.lines) == num_lines
        for side, name in (("source", source), ("target", target)):
            words = [line.split() for line in Path(f"test.{name}").read_text().splitlines()]
            num_words = sum(map(len, words))  # all are unknown but for the stop
            told = (
                f"{num_words - num_lines} of {num_words} {side} tokens, in 20 of 20 lines, are "
                f"unknown to the model; check that the {side} text is in the right language\n"
            )
            assert (told in outcome.err) == are_swapped
        assert ("unknown" in outcome.err) == are_swapped


def test_evaluate_sums_up_unknown_source_tokens(nmt: Command, in_copy: Path) -> None:
    lines = Path("test.en").read_text().splitlines()
    Path("some.en").write_text("\n".join([f"Zeppelin {lines[0]}", *lines[1:]]) + "\n")
    num_tokens = sum(len(line.split()) for line in lines) + 1
    given = ("--source", "some.en", "--reference", "test.de")
    outcome = nmt("evaluate", "runs/tiny", *given, "--beam-size", 1, "--metrics", "bleu")
    told = f"1 of {num_tokens} source tokens, in 1 of 20 lines, are unknown to the model\n"
    assert outcome.code == 0 and told in outcome.err


def test_check_advises_on_rate_warm_up_and_size(nmt: Command, in_copy: Path) -> None:
    large = ("model.embedding.size=64", "model.encoder.hidden_size=128")
    rate = ("training.optimizer.learning_rate=3", "training.schedule.warmup=4000")
    outcome = nmt("check", "tiny.yaml", "run=runs/new", *large, *rate)
    assert outcome.code == 0, outcome.err
    for told in (
        "training.optimizer.learning_rate: 3 is far above the useful range of adam with gated",
        "training.schedule.warmup: 4,000 updates, but the training has only ",
        "target tokens; use more text, or a smaller model: model.",
    ):
        assert told in outcome.err
    fitting = outcome.err.partition("smaller model: ")[2].splitlines()[0].split()
    outcome = nmt("check", "tiny.yaml", "run=runs/new", *fitting)
    assert outcome.code == 0 and outcome.err.count("; set it to ") == 0, outcome.err
    assert "will memorize" not in outcome.err
