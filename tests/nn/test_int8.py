"""Weights of 8 bits: by hand, how far off they may be, and that a row stands for itself."""

import copy

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.special_tokens import BOS, EOS
from nmt.nn.decoders.table import DECODERS
from nmt.nn.int8 import Int8Linear, Int8Weight, int8_product, quantize
from nmt.nn.recurrent.table import CELLS

SIZES = {
    "embedding": {"size": 64},
    "encoder": {"hidden_size": 32},
    "decoder": {"hidden_size": 64},
}


def test_int8_product_equals_a_worked_example() -> None:
    # Row 0 has scale 1/127 (its largest is 1), row 1 scale 2/127: 0.5 becomes 32 (31.75 rounded).
    weight = Int8Weight.of(torch.tensor([[1.0, -0.5], [2.0, 0.5]]))
    assert weight.values.tolist() == [[127, -64], [127, 32]]
    # The input has scale 4/127: it becomes 127 and 32 (31.75 rounded).
    found = weight.multiply(torch.tensor([[4.0, 1.0]]), torch.tensor([0.0, 10.0]))
    first = (127 * 127 - 64 * 32) * (4 / 127) * (1 / 127)
    second = (127 * 127 + 32 * 32) * (4 / 127) * (2 / 127) + 10.0
    torch.testing.assert_close(found, torch.tensor([[first, second]]))


@given(
    rows=st.integers(1, 9),
    width=st.integers(2, 70),
    outputs=st.integers(1, 70),
    size=st.sampled_from([1e-20, 1e-3, 1.0, 1e6]),
    seed=st.integers(0, 100),
)
def test_int8_error_is_within_rounding(
    rows: int, width: int, outputs: int, size: float, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = nn.Linear(width, outputs, bias=seed % 2 == 0)
    inputs = size * torch.randn(rows, width)
    error = (Int8Linear.of(layer)(inputs) - layer(inputs)).abs()
    # Half a unit of each factor, times the other, for each number that is summed.
    weight = layer.weight.detach().abs()
    half_x, half_w = inputs.abs().amax(1) / 254, weight.amax(1) / 254
    bound = torch.outer(half_x, weight.sum(1)) + torch.outer(inputs.abs().sum(1), half_w)
    assert (error <= bound + width * torch.outer(half_x, half_w) + 1e-5 * (size + 1)).all()


def test_int8_of_zeros_is_zero() -> None:
    weight = Int8Weight.of(torch.zeros(2, 3))
    assert weight.multiply(torch.zeros(2, 3), None).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_int8_rows_do_not_depend_on_the_batch() -> None:
    torch.manual_seed(1)
    weight, bias = Int8Weight.of(torch.randn(100, 65)), torch.randn(100)
    inputs = torch.randn(40, 3, 65) * torch.logspace(-3, 3, 40)[:, None, None]
    together = weight.multiply(inputs, bias)
    assert together.shape == (40, 3, 100)
    for row in (0, 7, 39):
        assert torch.equal(weight.multiply(inputs[row, 1:2], bias), together[row, 1:2])


@pytest.mark.parametrize(
    "form",
    [
        *({"decoder": {"style": style}} for style, kind in DECODERS.items() if kind.uses_attention),
        *({"decoder": {"cell": cell}} for cell in CELLS),
        {"attention": {"num_heads": 4}, "embedding": {"tie": "all"}},
        {"attention": None, "decoder": {"style": "sutskever", "num_layers": 2}},
    ],
    ids=str,
)
def test_int8_steps_equal_one_call(form: dict[str, object]) -> None:
    groups = {key: {**SIZES.get(key, {}), **(form.get(key) or {})} for key in SIZES}
    given_attention = {"attention": form["attention"]} if "attention" in form else {}
    torch.manual_seed(1)
    model = build_model(ModelConfig.model_validate({**groups, **given_attention}), 90, 90).eval()
    exact = copy.deepcopy(model)
    model.quantize()
    assert any(isinstance(part, Int8Weight) for part in model.decoder.modules())
    assert isinstance(model.projection, Int8Linear)
    assert not any(isinstance(part, Int8Weight) for part in model.encoder.modules())
    for name, part in model.named_modules():
        if name.endswith(("key_projection", "value_projection")):
            assert isinstance(part, nn.Linear), "it runs once for a sentence"
    source, lengths = torch.tensor([[5, 6, 7, EOS], [8, EOS, 0, 0]]), torch.tensor([4, 2])
    words = torch.tensor([[BOS, 9, 10], [BOS, 11, 12]])
    with torch.inference_mode():
        state, plain = (
            model.start(model.encode(source, lengths)),
            exact.start(exact.encode(source, lengths)),
        )
        together = model.projection(model._decode(words, state).vectors).log_softmax(-1)
        for step in range(3):
            found, state = model.step(words[:, step], state)
            expected, plain = exact.step(words[:, step], plain)
            torch.testing.assert_close(found, together[:, step], rtol=1e-4, atol=1e-4)
            assert 0 < (found - expected).abs().max() < 0.2


def test_quantized_decoder_runs_word_by_word() -> None:
    torch.manual_seed(1)
    model = build_model(ModelConfig.model_validate(SIZES), 90, 90).eval()
    assert model.decoder.slow_path_reason is None
    quantize(model.decoder)
    assert model.decoder.slow_path_reason == "8-bit weights"
    state = model.start(model.encode(torch.tensor([[5, 6, EOS]]), torch.tensor([3])))
    with torch.inference_mode():
        assert model._decode(torch.tensor([[BOS, 9]]), state).vectors.isfinite().all()


def test_small_layers_are_not_quantized() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(1, 9000), nn.Linear(64, 64))
    quantize(module)
    assert [type(layer) for layer in module] == [nn.Linear, nn.Linear, Int8Linear]


def test_the_operator_for_graphs_is_the_product() -> None:
    weight, inputs = torch.randn(6, 8), torch.randn(3, 8)
    quantised = Int8Weight.of(weight)
    product = int8_product(inputs, quantised.values, quantised.scales)
    assert torch.equal(product, quantised.multiply(inputs, None))


def test_restricted_int8_layer_equals_rows_of_the_whole() -> None:
    layer, rows = Int8Linear.of(torch.nn.Linear(8, 6)), torch.tensor([4, 0])
    inputs = torch.randn(3, 8)
    torch.testing.assert_close(layer.restrict(rows)(inputs), layer(inputs)[:, rows])


def test_small_inputs_are_as_precise_as_large_ones() -> None:
    torch.manual_seed(1)
    weight, inputs = Int8Weight.of(torch.randn(6, 8)), torch.randn(3, 8)
    tiny = weight.multiply(inputs * 2.0**-30, None)
    assert torch.equal(tiny, weight.multiply(inputs, None) * 2.0**-30)


def test_the_product_in_a_graph_has_its_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    layers = [Int8Linear.of(nn.Linear(8, 6, bias=bias)) for bias in (True, False)]
    inputs = torch.randn(3, 2, 8)
    expected = [layer(inputs) for layer in layers]
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    for layer, outputs in zip(layers, expected, strict=True):
        torch.testing.assert_close(layer(inputs), outputs)
