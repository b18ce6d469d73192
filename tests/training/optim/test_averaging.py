import pytest
import torch
from torch import nn

from nmt.training.optim.averaging import ExponentialMovingAverage, average_weights


def make(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(value)
    return model


def test_by_hand() -> None:
    model = make(0.0)
    average = ExponentialMovingAverage(model, decay=0.9)
    model.weight.data.fill_(1.0)
    average.update(10**9)
    average.update(10**9)
    assert average.tensors()["weight"].item() == pytest.approx(1 - 0.9**2)


def test_moving_average_forgets_the_initial_weights() -> None:
    model = make(1000.0)
    average = ExponentialMovingAverage(model, decay=0.9999)
    model.weight.data.fill_(1.0)
    for update in range(1, 101):
        average.update(update)
    assert average.tensors()["weight"].item() == pytest.approx(1.0, abs=0.1)


def test_model_has_the_average_only_inside_the_context() -> None:
    model = make(3.0)
    average = ExponentialMovingAverage(model, decay=0.5)
    model.weight.data.fill_(5.0)
    with average.average_parameters():
        assert model.weight.item() == 3.0
    assert model.weight.item() == 5.0


def test_the_model_has_its_own_weights_back_after_an_error() -> None:
    model = make(3.0)
    average = ExponentialMovingAverage(model, decay=0.5)
    model.weight.data.fill_(5.0)
    with pytest.raises(ZeroDivisionError), average.average_parameters():
        _ = 1 / 0
    assert model.weight.item() == 5.0


def test_a_restored_one_is_the_same() -> None:
    model = make(3.0)
    average = ExponentialMovingAverage(model, decay=0.5)
    model.weight.data.fill_(5.0)
    average.update(100)
    other = ExponentialMovingAverage(model, decay=0.5)
    other.restore({name: tensor.clone() for name, tensor in average.tensors().items()})
    assert torch.equal(other.tensors()["weight"], average.tensors()["weight"])


def test_checkpoints_are_averaged_by_hand() -> None:
    average = average_weights(
        {"a": torch.tensor([value, 2 * value]), "count": torch.tensor(int(value))}
        for value in (1.0, 2.0, 6.0)
    )
    torch.testing.assert_close(average["a"], torch.tensor([3.0, 6.0]))
    assert average["count"] == torch.tensor(6)
    assert average["a"].dtype == torch.float32


def test_the_average_of_one_is_itself() -> None:
    weights = {"a": torch.randn(5)}
    assert torch.equal(average_weights([weights, weights, weights])["a"], weights["a"])
