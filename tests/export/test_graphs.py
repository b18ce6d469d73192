"""The parts of an exported graph that need no exporter: by hand, or what PyTorch has for them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.export.onnx_graph import ShortlistGraph
from nmt.export.onnx_operators import operators
from nmt.inference.shortlist import Shortlist
from nmt.nn.int8 import Int8Weight, int8_product
from nmt.word_alignment.ibm1 import Lexicon


@pytest.mark.parametrize("copies", [False, True])
def test_shortlist_has_candidates_of_the_words_and_frequent_tokens(
    copies: bool,
) -> None:
    table = torch.full((8, 2), PAD)
    table[4], table[5], table[UNK] = torch.tensor([8, 9]), torch.tensor([10, PAD]), 11
    table[[PAD, BOS, EOS]] = 7  # which ask for nothing
    lexicon = Lexicon(table.numpy(), np.ones((8, 2), np.float32), np.array([12, 13], np.int32))
    candidates = ShortlistGraph(Shortlist(lexicon, 2, 1, copies=copies), 14)
    source = torch.tensor([[4, 5, EOS], [UNK, EOS, PAD]])
    tokens, mask = candidates(source)
    everywhere = {PAD, UNK, BOS, EOS, 12}
    first = everywhere | {8, 9, 10} | ({4, 5} if copies else set())
    second = everywhere | {11}
    assert tokens.tolist() == sorted(first | second)
    assert [set(tokens[row].tolist()) for row in mask] == [first, second]


def rows() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(4, 8) * torch.tensor([[1e-3], [1.0], [1e3], [0.0]])


def int8_arguments() -> tuple[Tensor, ...]:
    weight = Int8Weight.of(torch.randn(6, 8))
    return rows(), weight.values, weight.scales


@pytest.mark.parametrize(
    ("operator", "function", "arguments"),
    [
        (torch.ops.nmt.int8_product.default, int8_product, int8_arguments),
        (torch.ops.aten.matmul.default, torch.matmul, lambda: (rows(), rows()[1])),
        (torch.ops.aten.matmul.default, torch.matmul, lambda: (rows(), rows()[:2].T)),
        (torch.ops.aten.lerp.Tensor, torch.lerp, lambda: (rows(), rows() + 1, rows().sigmoid())),
        (torch.ops.aten.log_sigmoid.default, torch.nn.functional.logsigmoid, lambda: (rows(),)),
    ],
    ids=["int8_product", "matrix times vector", "matrix times matrix", "lerp", "log_sigmoid"],
)
def test_operator_equals_pytorch(
    operator: Any, function: Callable[..., Tensor], arguments: Callable[[], tuple[Tensor, ...]]
) -> None:
    given = arguments()
    found = operators()[operator](*(np.ascontiguousarray(tensor) for tensor in given))
    expected = function(*given).numpy()
    np.testing.assert_allclose(found.value, expected, rtol=1e-4, atol=1e-6)
