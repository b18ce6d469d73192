import pytest
import torch

from nmt.build.model import build_model
from nmt.cli.training_cost import count_parameters, measure_speed, measure_update
from nmt.config.model import ModelConfig
from nmt.config.registry import OPTIMIZERS, PlugIn
from nmt.core.batch import Batch, make_batch
from nmt.nn.model import Model
from nmt.training.objective.objective import Objective

SOURCE_SIZE, TARGET_SIZE, E = 30, 40, 8


def make_model(tie: str = "target") -> Model:
    config = ModelConfig.model_validate(
        {
            "embedding": {"size": E, "tie": tie},
            "encoder": {"hidden_size": 8},
            "decoder": {"hidden_size": 8},
        }
    )
    return build_model(config, SOURCE_SIZE, TARGET_SIZE if tie != "all" else SOURCE_SIZE)


def make_pairs(num: int) -> Batch:
    return make_batch([[5, 6, 7]] * num, [[8, 9]] * num)


def measure(num_pairs: int, optimizer: str = "adam") -> tuple[Model, int, int, int]:
    model = make_model()
    _, sizes = measure_update(
        *(model, OPTIMIZERS.create(PlugIn(name=optimizer), model), make_pairs(num_pairs)),
        Objective(0.1),
    )
    return model, sizes["weights"], sizes["optimizer"], sizes["activations"]


@pytest.mark.parametrize("tie", ["none", "target", "all"])
def test_every_parameter_is_counted_once(tie: str) -> None:
    model = make_model(tie)
    counts = count_parameters(model)
    assert sum(counts.values()) == sum(p.numel() for p in set(model.parameters()))
    assert counts["source embedding"] == SOURCE_SIZE * E
    assert counts["target embedding"] == (0 if tie == "all" else TARGET_SIZE * E)
    bias = SOURCE_SIZE if tie == "all" else TARGET_SIZE
    assert counts["projection"] == bias + (TARGET_SIZE * E if tie == "none" else 0)


def test_memory_of_the_weights_and_of_adam_by_hand() -> None:
    model, weights, optimizer, _ = measure(2)
    num = sum(p.numel() for p in set(model.parameters()))
    assert weights == 4 * num
    # Two float32 means for each parameter, and a step count for each tensor.
    assert optimizer == 2 * 4 * num + 4 * len(set(model.parameters()))


def test_plain_sgd_remembers_nothing() -> None:
    assert measure(2, "sgd")[2] == 0


def test_activations_grow_with_the_batch() -> None:
    few, many = measure(10)[3], measure(40)[3]
    assert 2.0 * few < many < 5.0 * few


def test_two_passes_keep_twice_the_activations() -> None:
    def activations(r_drop: float) -> int:
        model = make_model()
        optimizer = OPTIMIZERS.create(PlugIn(name="sgd"), model)
        _, sizes = measure_update(model, optimizer, make_pairs(10), Objective(r_drop=r_drop))
        return sizes["activations"]

    assert 1.8 * activations(0.0) < activations(1.0) < 3.5 * activations(0.0)


def test_the_loss_before_training_is_near_chance() -> None:
    model = make_model()
    optimizer = OPTIMIZERS.create(PlugIn(name="adam"), model)
    loss, _ = measure_update(model, optimizer, make_pairs(4), Objective())
    assert loss == pytest.approx(torch.tensor(float(TARGET_SIZE)).log().item(), abs=1.0)


def test_the_speed_is_that_of_a_middling_update(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    optimizer = OPTIMIZERS.create(PlugIn(name="adam"), model)
    # 3 tokens a pair (EOS counts); the clock is read at the start, and around each update.
    times = iter([0.0, 0.0, 1.0, 1.0, 1.5, 1.5, 3.9])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    batches = [make_pairs(4), make_pairs(6), make_pairs(5)]
    # 12, 36 and, as the machine stalls, 6.25 tokens a second
    assert measure_speed(model, optimizer, batches, Objective(0.1)) == 12.0


def test_measuring_the_speed_takes_seconds_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    optimizer = OPTIMIZERS.create(PlugIn(name="adam"), model)
    times = iter([0.0, 0.0, 5.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    batches = [make_pairs(4)] * 100
    assert measure_speed(model, optimizer, batches, Objective(0.1)) == 4 * 3 / 5.0
