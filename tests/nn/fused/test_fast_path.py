"""A part with a step of its own never trains with the step of its base."""

from dataclasses import dataclass, replace
from functools import partial, partialmethod
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from nmt.core.batch import Batch
from nmt.nn.attention.alignments.alignment import AlignmentOutput, SoftmaxAlignment
from nmt.nn.attention.attention import (
    Attention,
    AttentionOutput,
    BaseAttention,
    FixedContext,
)
from nmt.nn.attention.scores.additive import AdditiveScore
from nmt.nn.attention.scores.multiplicative import GeneralScore
from nmt.nn.bridge import FinalBridge
from nmt.nn.decoders.bahdanau import BahdanauDecoder
from nmt.nn.decoders.conditional import ConditionalDecoder
from nmt.nn.decoders.gnmt import GNMTDecoder
from nmt.nn.decoders.interface import DecoderParts, LayerOptions
from nmt.nn.decoders.luong import LuongDecoder
from nmt.nn.decoders.sutskever import SutskeverDecoder
from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.fused.attention import AttentionInputs, AttentionTape
from nmt.nn.fused.fast_path import FastPath
from nmt.nn.layers import WordEmbedding
from nmt.nn.model import Model
from nmt.nn.recurrent.gru import GRU, DeepGRU
from nmt.nn.recurrent.lstm import LSTM
from nmt.nn.recurrent.minimal import MinGRU, MinLSTM
from nmt.nn.recurrent.sru import SRU, SSRU
from nmt.nn.recurrent.zoneout import ZoneoutGRU

SIZE, VOCABULARY = 4, 11


class HalvedGRU(GRU):
    def forward(
        self, projected: Tensor, state: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        return super().forward(projected, state, dropout_mask) / 2


class ReadingLSTM(LSTM):
    def project_hidden(self, hidden: Tensor, dropout_mask: Tensor | None) -> Tensor:
        return super().project_hidden(hidden, dropout_mask) * 2


class Doubled:
    """A step in a mixin that is no part of a model itself."""

    def compare(self, summed: Tensor) -> Tensor:
        result: Tensor = super().compare(summed)  # type: ignore[misc]
        return 2 * result


class DoubledScore(Doubled, AdditiveScore):
    pass


class ShiftedScore(GeneralScore):
    def forward(self, query: Tensor, keys: Tensor, state: Tensor | None = None) -> Tensor:
        return super().forward(query, keys, state).square()


class Sharp(SoftmaxAlignment):
    def forward(
        self, scores: Tensor, mask: Tensor, query: Tensor, state: Tensor | None = None
    ) -> AlignmentOutput:
        return super().forward(2 * scores, mask, query)


class Blurred(Attention):
    def _attend(self, query: Tensor, memory: Any, state: Any) -> AttentionOutput:
        return super()._attend(query / 2, memory, state)


class Forgetful(BahdanauDecoder):
    def _step(self, word: Tensor, state: Any) -> tuple[Tensor, AttentionOutput]:
        return super()._step(word / 2, state)


class LinearLuong(LuongDecoder):
    def _combine(self, context: Tensor, hidden: Tensor) -> Tensor:
        result: Tensor = self.combine(torch.cat([context, hidden], dim=-1))
        return result


OWN_STEPS: dict[str, dict[str, Any]] = {
    "cell": {"cell": HalvedGRU},
    "cell, one product": {"cell": ReadingLSTM},
    "score, by a mixin": {"score": DoubledScore},
    "product score": {"score": ShiftedScore},
    "alignment": {"alignment": Sharp},
    "attention": {"attention": Blurred},
    "decoder": {"decoder": Forgetful},
    "decoder with input feeding": {"decoder": LinearLuong},
}
PLAIN: dict[str, Any] = {
    "cell": GRU,
    "score": AdditiveScore,
    "alignment": SoftmaxAlignment,
    "attention": Attention,
    "decoder": BahdanauDecoder,
}


def make_model(layers: LayerOptions | None = None, **kinds: Any) -> Model:
    torch.manual_seed(1)
    kinds = PLAIN | kinds
    embedding = WordEmbedding(VOCABULARY, SIZE)
    encoder = RecurrentEncoder(
        SIZE, cell=kinds["cell"], hidden_size=SIZE, bidirectional=False, dropout=0.0
    )
    decoder = kinds["decoder"](
        DecoderParts(
            make_cell=lambda size: kinds["cell"](size, SIZE),
            attention=kinds["attention"](kinds["score"](SIZE, SIZE), kinds["alignment"](SIZE)),
            input_size=SIZE,
            value_size=SIZE,
            output_size=SIZE,
            layers=layers or LayerOptions(),
        )
    )
    bridge = FinalBridge(SIZE, decoder.state_size, len(decoder.layers))
    return Model(embedding, embedding, encoder, bridge, decoder, SIZE).double()


def make_batch() -> Batch:
    source, target = (
        torch.tensor([[4, 5, 6], [7, 8, 0]]),
        torch.tensor([[1, 5, 6, 2], [1, 9, 2, 0]]),
    )
    return Batch(source, torch.tensor([3, 2]), target, 5)


@pytest.mark.parametrize("kinds", OWN_STEPS.values(), ids=list(OWN_STEPS))
def test_a_step_of_its_own_is_the_one_that_trains(kinds: dict[str, Any]) -> None:
    ((part, kind),) = kinds.items()
    assert kind.fast_path is None and PLAIN[part].fast_path is not None
    model, batch = make_model(**kinds), make_batch()
    assert model.decoder.slow_path_reason == f"the {part} {kind.__name__}"
    assert_words_one_by_one_are_alike(model, batch)


def assert_words_one_by_one_are_alike(model: Model, batch: Batch) -> None:
    """Compare with the plain code, which runs where a call has one word."""
    decoded, state = (
        model.decode(batch),
        model.start(model.encode(batch.source, batch.source_lengths)),
    )
    words = batch.decoder_input
    for step in range(words.shape[1]):
        one = model._decode(words[:, step : step + 1], state)
        torch.testing.assert_close(decoded.vectors[:, step], one.vectors[:, 0])
        state = one.state


def test_parts_as_they_are_have_a_fast_path() -> None:
    class Renamed(GRU):
        def __init__(self, input_size: int, hidden_size: int) -> None:
            super().__init__(input_size, hidden_size)

    class Centred(GeneralScore):
        def keys(self, inputs: Tensor) -> Tensor:
            keys = super().keys(inputs)
            return keys - keys.mean(1, keepdim=True)

    for decoder in (BahdanauDecoder, ConditionalDecoder, LuongDecoder):
        for score in (AdditiveScore, GeneralScore, Centred):
            for cell in (GRU, LSTM, Renamed):
                model = make_model(decoder=decoder, score=score, cell=cell)
                assert model.decoder.slow_path_reason is None


def test_a_subclass_may_set_a_fast_path_of_its_own() -> None:
    class Scaled(GRU):
        fast_path = GRU.fast_path

        def project(self, inputs: Tensor) -> Tensor:
            return super().project(inputs) * 2

    class Again(Scaled):
        pass

    class Other(Again):
        def hidden(self, state: Tensor) -> Tensor:
            return state

    assert Scaled.fast_path is Again.fast_path is GRU.fast_path
    assert Other.fast_path is None and DeepGRU.fast_path is None and FastPath.fast_path is None


FUSED_FALSE = "fused: false of the cell"
without_feeding = partial(LuongDecoder, input_feeding=False)


@pytest.mark.parametrize(
    ("layers", "kinds", "reason"),
    [
        (LayerOptions(2), {}, "2 layers"),
        (LayerOptions(recurrent_dropout=0.1), {}, "recurrent dropout"),
        (LayerOptions(), {"decoder": GNMTDecoder}, "the decoder GNMTDecoder"),
        (
            LayerOptions(),
            {"alignment": lambda size: SoftmaxAlignment(size, temperature=0.5)},
            "the temperature of the softmax",
        ),
        (
            LayerOptions(),
            {"decoder": lambda parts: BahdanauDecoder(parts, fused=False)},
            "fused: false",
        ),
        (
            LayerOptions(),
            {"cell": lambda *sizes: LSTM(*sizes, fused=False)},
            FUSED_FALSE,
        ),
        (LayerOptions(), {"cell": MinGRU}, "the cell MinGRU"),
        (LayerOptions(), {"cell": lambda *sizes: SRU(*sizes, fused=False)}, FUSED_FALSE),
        (LayerOptions(), {"cell": ZoneoutGRU}, None),
        (LayerOptions(2), {"decoder": without_feeding}, None),
        (LayerOptions(2), {"decoder": without_feeding, "cell": MinGRU}, None),
    ],
)
def test_the_reason_of_the_slow_path_is_named(
    layers: LayerOptions, kinds: dict[str, Any], reason: str | None
) -> None:
    assert make_model(layers, **kinds).decoder.slow_path_reason == reason


@pytest.mark.parametrize(
    "kinds",
    [
        {"decoder": without_feeding},
        {"decoder": SutskeverDecoder, "attention": lambda *parts: FixedContext()},
    ],
)
@pytest.mark.parametrize("cell", [MinGRU, MinLSTM, SRU, SSRU])
def test_elementwise_cells_take_no_single_steps_in_decoders_without_feeding(
    cell: Any, kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(LayerOptions(2), cell=cell, **kinds)
    batch = make_batch()
    expected = model(batch).logits
    monkeypatch.setattr(cell, "forward", None)
    assert torch.equal(model(batch).logits, expected)


class SharpTape(AttentionTape):
    """The steps of `Sharp` by hand, where scores are products: twice the query scores double."""

    def step(self, t: int, query: Tensor) -> Tensor:
        return super().step(t, 2 * query)

    def backward(self, t: int, d_context: Tensor, d_weights: Tensor, d_query: Tensor) -> None:
        super().backward(t, d_context, d_weights, d_query)
        d_query.mul_(2)


class FastSharp(Sharp):
    fast_path = SharpTape


class FastBlurred(Blurred):
    """An attention that attends to half the query, as its tape does."""

    fast_path = True

    def fused_inputs(self, memory: Any) -> AttentionInputs:
        return replace(super().fused_inputs(memory), tape=BlurredTape)


class BlurredTape(AttentionTape):
    def step(self, t: int, query: Tensor) -> Tensor:
        return super().step(t, query / 2)

    def backward(self, t: int, d_context: Tensor, d_weights: Tensor, d_query: Tensor) -> None:
        super().backward(t, d_context, d_weights, d_query)
        d_query.div_(2)


@pytest.mark.parametrize("decoder", [BahdanauDecoder, ConditionalDecoder, LuongDecoder])
@pytest.mark.parametrize("own", [{"alignment": FastSharp}, {"attention": FastBlurred}])
def test_the_tape_of_an_alignment_or_attention_is_the_one_that_trains(
    own: dict[str, Any], decoder: type[BahdanauDecoder]
) -> None:
    kinds, batch, gradients = {"score": GeneralScore, "decoder": decoder, **own}, make_batch(), []
    for model in (make_model(**kinds), make_model(**kinds)):
        if gradients:
            model.decoder.drop_fast_path("the plain loop")
        assert (model.decoder.slow_path_reason is None) == (not gradients)
        decoded = model.decode(batch)
        loss = decoded.vectors.square().sum() + decoded.weights.square().sum()
        used = [p for name, p in model.named_parameters() if name != "projection.bias"]
        gradients.append([decoded.vectors, *torch.autograd.grad(loss, used)])
        assert_words_one_by_one_are_alike(model, batch)
    for fast, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, plain)


def test_attention_with_a_fast_path_needs_its_inputs() -> None:
    class Claiming(Attention):
        fast_path = True
        fused_inputs = BaseAttention.fused_inputs

    model = make_model(attention=Claiming)
    with pytest.raises(NotImplementedError, match=r"Claiming\.fused_inputs"):
        model.decode(make_batch())


class SquashedLSTM(LSTM):
    """A method that is no function of Python."""

    squash = torch.sigmoid


class DoublingLSTM(LSTM):
    def scaled(self, memory: Tensor, factor: float) -> Tensor:
        return factor * torch.tanh(memory)

    squash = partialmethod(scaled, factor=2.0)


@pytest.mark.parametrize("cell", [SquashedLSTM, DoublingLSTM])
def test_a_method_of_any_kind_takes_the_fast_path(cell: type[LSTM]) -> None:
    assert cell.fast_path is None
    assert_words_one_by_one_are_alike(make_model(cell=cell), make_batch())


def test_attributes_other_than_methods_keep_the_fast_path() -> None:
    class Marker:
        """A mixin without methods; it has a `__dict__`."""

    class Marked(Marker, GRU):
        note: ClassVar[str] = "gru"

        @dataclass
        class Options:
            size: int = 1

    assert Marked.fast_path is GRU.fast_path is not None
