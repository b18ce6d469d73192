"""Options that can be trained with, and should hardly be, come with what to set."""

from typing import Any

import pytest

from nmt.build.model import build_model
from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.config.registry import SCHEDULES, PlugIn
from nmt.training.advice import advise_on_rate, advise_on_size, advise_on_warmup
from nmt.training.optim.schedule import Schedule


def schedule(total: int | None = 100, name: str = "constant", **options: Any) -> Schedule:
    made: Schedule = SCHEDULES.create(PlugIn(name=name, **options), total)
    return made


def config(*overrides: str) -> Config:
    return load_config("configs/toy.yaml", overrides)


def test_a_warm_up_must_be_shorter_than_the_training() -> None:
    assert advise_on_warmup(schedule(4_000, warmup=3_999)) is None
    assert advise_on_warmup(schedule(None, warmup=4_000)) is None
    assert advise_on_warmup(schedule(1_200, warmup=4_000)) == (
        "training.schedule.warmup: 4,000 updates, but the training has only 1,200, so the "
        "learning rate never peaks; set it to 120, a tenth of them"
    )


@pytest.mark.parametrize(
    ("optimizer", "cell", "told"),
    [
        ("{name: adam, learning_rate: 6e-3}", "gru", None),
        (
            "{name: adam, learning_rate: 1.0}",
            "gru",
            "1 is far above the useful range of adam with gated cells",
        ),
        (
            "{name: adamw, learning_rate: 1e-7}",
            "lstm",
            "1e-07 is far below the useful range of adamw with gated",
        ),
        ("{name: adam, learning_rate: 0.015}", "gru", None),
        (
            "{name: adam, learning_rate: 0.015}",
            "rnn",
            "0.015 is far above the useful range of adam with plain",
        ),
        ("{name: sgd, learning_rate: 1.0}", "gru", None),
        (
            "{name: sgd, learning_rate: 1e-4}",
            "gru",
            "0.0001 is far below the useful range of sgd with gated",
        ),
        (
            "{name: sgd, learning_rate: 1.0, momentum: 0.99}",
            "gru",
            "1 is far above the useful range of sgd with",
        ),
    ],
)
def test_a_rate_must_suit_the_optimizer_and_the_cells(
    optimizer: str, cell: str, told: str | None
) -> None:
    given = config(f"training.optimizer={optimizer}", f"model.decoder.cell={cell}")
    advice = advise_on_rate(given, schedule())
    assert (advice is None) == (told is None)
    if advice is not None and told is not None:
        assert advice.startswith(f"training.optimizer.learning_rate: {told}")


def test_the_rate_that_is_advised_is_taken() -> None:
    for optimizer in ("{name: adam, learning_rate: 9}", "{name: sgd, learning_rate: 99}"):
        advice = advise_on_rate(config(f"training.optimizer={optimizer}"), schedule())
        assert advice is not None
        rate = advice.rpartition("set it to ")[2]
        override = f"training.optimizer.learning_rate={rate}"
        better = config(f"training.optimizer={optimizer}", override)
        assert advise_on_rate(better, schedule()) is None


def test_unknown_optimizer_gets_no_advice() -> None:
    given = config()
    optimizer = PlugIn(name="adadelta", learning_rate=1e3)
    training = given.training.model_copy(update={"optimizer": optimizer})
    assert advise_on_rate(given.model_copy(update={"training": training}), schedule()) is None


@pytest.mark.parametrize("num_tokens", [2_000, 20_000, 200_000])
def test_too_large_model_gets_a_smaller_suggestion(num_tokens: int) -> None:
    large = ("model.embedding.size=1024", "model.decoder.hidden_size=2048")
    advice = advise_on_size(config(*large), 51 * num_tokens, num_tokens, 8_000, 8_000)
    assert advice is not None
    start = f"model: {51 * num_tokens:,} parameters will memorize {num_tokens:,} target tokens"
    assert advice.startswith(f"{start}; use more text, or a smaller model: model.")
    overrides = advice.partition("smaller model: ")[2].split()
    entries = max(300, num_tokens // 50)
    assert overrides[-1] == f"tokenizer.vocabulary_size={entries}"
    model = build_model(config(*overrides).model, entries, entries)
    size = sum(parameter.numel() for parameter in model.parameters())
    assert size <= 15 * num_tokens or overrides[0] == "model.embedding.size=16"
    assert advise_on_size(config(*overrides), size, num_tokens, entries, entries) is None


def test_a_model_that_suits_its_text_gets_no_advice() -> None:
    """Of the Multi30k recipe there are 5.9M parameters and 29,000 pairs of 14 tokens."""
    assert advise_on_size(config(), 5_900_000, 29_000 * 14, 8_000, 8_000) is None
