import pytest
import torch

from nmt.nn.bridge import BRIDGES, FinalBridge, MeanBridge
from nmt.nn.encoders.encoder import EncoderOutput


def encoded() -> EncoderOutput:
    torch.manual_seed(1)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    return EncoderOutput(torch.randn(2, 3, 4), torch.randn(2, 2, 4), mask)


@pytest.mark.parametrize("name", sorted(BRIDGES))
def test_bridge_gives_one_state_per_layer(name: str) -> None:
    bridge = BRIDGES[name](4, 6, 3)
    assert bridge(encoded()).shape == (2, 3, 6)


def test_final_bridge_reads_the_last_states_of_the_top_layer() -> None:
    bridge = FinalBridge(4, 6, 1)
    given = encoded()
    expected = torch.tanh(bridge.projection(given.final[:, 1]))
    torch.testing.assert_close(bridge(given)[:, 0], expected)


def test_mean_bridge_ignores_padding() -> None:
    bridge = MeanBridge(4, 6, 1)
    given = encoded()
    mean = torch.stack([given.states[0, :2].mean(0), given.states[1].mean(0)])
    torch.testing.assert_close(bridge(given)[:, 0], torch.tanh(bridge.projection(mean)))


@pytest.mark.parametrize("kind", [FinalBridge, MeanBridge])
def test_each_layer_has_rows_of_its_own(kind: type[FinalBridge]) -> None:
    bridge, given = kind(4, 6, 3), encoded()
    torch.nn.init.normal_(bridge.projection.bias)
    states = bridge(given)
    for layer in range(3):
        one = kind(4, 6, 1)
        rows = slice(6 * layer, 6 * layer + 6)
        with torch.no_grad():
            one.projection.weight.copy_(bridge.projection.weight[rows])
            one.projection.bias.copy_(bridge.projection.bias[rows])
        torch.testing.assert_close(states[:, layer], one(given)[:, 0])


def test_zero_bridge_gives_zeros() -> None:
    assert not BRIDGES["zero"](4, 6, 3)(encoded()).any()
