import torch

from nmt.training.optim.checkpoint_averaging import average_weights


def test_by_hand() -> None:
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
