from types import SimpleNamespace

import pytest

from nmt.build.model import build_model
from nmt.cli.check import count_parameters, describe_time, measure_speed
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, make_batch

SOURCE_SIZE, TARGET_SIZE, E = 30, 40, 8


@pytest.mark.parametrize("tie", ["none", "target", "all"])
def test_every_parameter_is_counted_once(tie: str) -> None:
    config = ModelConfig.model_validate(
        {
            "embedding": {"size": E, "tie": tie},
            "encoder": {"hidden_size": 8},
            "decoder": {"hidden_size": 8},
        }
    )
    model = build_model(config, SOURCE_SIZE, TARGET_SIZE if tie != "all" else SOURCE_SIZE)
    counts = count_parameters(model)
    assert sum(counts.values()) == sum(p.numel() for p in set(model.parameters()))
    assert counts["source embedding"] == SOURCE_SIZE * E
    assert counts.get("target embedding", 0) == (0 if tie == "all" else TARGET_SIZE * E)
    assert counts["attention"] == sum(p.numel() for p in model.decoder.attention.parameters())
    bias = SOURCE_SIZE if tie == "all" else TARGET_SIZE
    assert counts["projection"] == bias + (TARGET_SIZE * E if tie == "none" else 0)


def make_pairs(num: int) -> Batch:
    return make_batch([[5, 6, 7]] * num, [[8, 9]] * num)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a clock shows each time that it is read; updates do nothing."""
    times: list[float] = []
    monkeypatch.setattr("nmt.cli.check.make_update", lambda state, batch: 0.0)
    monkeypatch.setattr("nmt.cli.check.time", SimpleNamespace(perf_counter=lambda: times.pop(0)))
    return times


def test_speed_is_the_median_of_the_updates(clock: list[float]) -> None:
    # 3 tokens a pair (EOS counts); the clock is read at the start, and around each update.
    clock += [0.0, 0.0, 1.0, 1.0, 1.5, 1.5, 3.9]
    batches = [make_pairs(4), make_pairs(6), make_pairs(5)]
    # 12, 36 and, as the machine stalls, 6.25 tokens a second
    assert measure_speed(None, batches) == 12.0  # type: ignore[arg-type]


def test_measuring_the_speed_takes_seconds_at_the_most(clock: list[float]) -> None:
    clock += [0.0, 0.0, 5.0]
    assert measure_speed(None, [make_pairs(4)] * 100) == 4 * 3 / 5.0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((30, None), ", 20 min for 30 epochs"),
        ((30, 100), ", 78 s for 100 updates"),
        ((1, 100), ", 39 s for 1 epoch"),
        ((None, 500), ", 6 min for 500 updates"),
        ((None, None), ""),
    ],
)
def test_the_time_is_that_of_the_nearest_limit(
    limits: tuple[int | None, int | None], told: str
) -> None:
    said = describe_time(39.0, 50, *limits)
    assert said == f"about 39 s an epoch{told} on this machine, without validations"
