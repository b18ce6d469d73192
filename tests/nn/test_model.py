"""The contract of the model, over every wiring, cell, score and alignment."""

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, repeat, select
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.nn.attention.alignments.alignment import Alignment
from nmt.nn.attention.alignments.hard import HardAlignment
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import Attention, BaseAttention, FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.bridge import BRIDGES
from nmt.nn.decoders.bahdanau import BahdanauDecoder
from nmt.nn.decoders.conditional import ConditionalDecoder
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.interface import DecoderParts, LayerOptions
from nmt.nn.decoders.luong import LuongDecoder
from nmt.nn.decoders.table import DECODERS
from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.layers import WordEmbedding
from nmt.nn.model import Model, ModelOutput, evaluation_mode
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.table import CELLS

VOCABULARY, EMBEDDING, HIDDEN, STATE = 13, 4, 5, 6

FUSED: dict[str, Any] = {
    "bahdanau": BahdanauDecoder,
    "conditional": ConditionalDecoder,
    "luong": LuongDecoder,
}
WIRINGS: dict[str, Any] = {
    **DECODERS,
    "bahdanau, one fixed vector": BahdanauDecoder,
    **{f"{name}, plain loop": partial(FUSED[name], fused=False) for name in FUSED},
    "luong without input feeding": partial(LuongDecoder, input_feeding=False),
}
FIXED = {"sutskever", "bahdanau, one fixed vector"}
ONE_LAYER = LayerOptions()
PLAIN_STACK = LayerOptions(2)
STACKS = (ONE_LAYER, PLAIN_STACK, LayerOptions(3, residual=True))


def works(score: str, alignment: str) -> bool:
    """What a configuration does not refuse."""
    return not (SCORES[score].is_constant and ALIGNMENTS[alignment].needs_distinct_scores)


def make_attention(score: str, alignment: str, num_heads: int, value_size: int) -> BaseAttention:
    def make_head(query_size: int, value_size: int) -> Attention:
        return Attention(SCORES[score](query_size, value_size), ALIGNMENTS[alignment](query_size))

    if num_heads == 1:
        return make_head(STATE, value_size)
    return MultiHeadAttention(make_head, num_heads, STATE, value_size)


def make_model(
    wiring: str = "bahdanau",
    score: str = "additive",
    alignment: str = "softmax",
    num_heads: int = 1,
    cell: str = "gru",
    layers: LayerOptions = ONE_LAYER,
    dropout: float = 0.0,
    encoder_cell: str | None = None,
    bridge: str = "final",
) -> Model:
    torch.manual_seed(1)
    embedding = WordEmbedding(VOCABULARY, EMBEDDING, dropout=dropout)
    reads = CELLS[encoder_cell or cell]
    hidden = STATE // 2 if SCORES[score].needs_equal_sizes else HIDDEN
    encoder = RecurrentEncoder(EMBEDDING, cell=reads, hidden_size=hidden, dropout=dropout)
    attention = make_attention(score, alignment, num_heads, 2 * hidden)
    parts = DecoderParts(
        make_cell=lambda size: CELLS[cell](size, STATE),
        attention=FixedContext() if wiring in FIXED else attention,
        input_size=EMBEDDING,
        value_size=2 * hidden,
        output_size=EMBEDDING,
        layers=layers,
    )
    decoder: Decoder = WIRINGS[wiring](parts)
    between = BRIDGES[bridge](2 * hidden, decoder.state_size, layers.num_layers)
    return Model(embedding, embedding, encoder, between, decoder, EMBEDDING, output_dropout=dropout)


def is_fused(model: Model) -> bool:
    decoder = model.decoder
    assert isinstance(decoder, BahdanauDecoder | ConditionalDecoder | LuongDecoder)
    return decoder.slow_path_reason is None


def make_batch() -> Batch:
    source = torch.tensor([[4, 5, 6, 7, EOS], [8, 9, EOS, PAD, PAD], [10, EOS, PAD, PAD, PAD]])
    target = torch.tensor([[BOS, 4, 5, EOS, PAD], [BOS, 7, 8, 9, EOS], [BOS, 11, EOS, PAD, PAD]])
    return Batch(source, torch.tensor([5, 3, 2]), target, 9)


def is_representative(wiring: str, cell: str, layers: LayerOptions) -> bool:
    """Leave out combinations that differ from others in ways that have been tested with the GRU."""
    if cell != "lstm" and wiring.endswith("plain loop"):
        return False
    stacked = cell == "lstm" or wiring in ("bahdanau", "luong without input feeding")
    return layers == ONE_LAYER or (stacked and layers != PLAIN_STACK)


MATRIX = [
    {"wiring": wiring, "score": score, "alignment": alignment, "num_heads": num_heads}
    for wiring, score, alignment, num_heads in product(WIRINGS, SCORES, ALIGNMENTS, (1, 2))
    if works(score, alignment) and wiring not in FIXED
    if num_heads == 1 or (wiring == "luong" and not SCORES[score].is_constant)
]
FORMS = [
    *({"score": score} for score in SCORES),
    *({"alignment": alignment} for alignment in ALIGNMENTS),
    *(
        {"wiring": wiring, "cell": cell, "layers": layers}
        for wiring, cell, layers in product(WIRINGS, CELLS, STACKS)
        if cell == "gru" or is_representative(wiring, cell, layers)
    ),
]


def name_of(form: dict[str, Any]) -> str:
    return "-".join(map(str, form.values()))


@pytest.fixture(params=FORMS, ids=name_of)
def model(request: pytest.FixtureRequest) -> Model:
    return make_model(**request.param).eval()


@pytest.mark.usefixtures("unchecked")  # the forms above have all parts
@pytest.mark.parametrize("form", MATRIX, ids=name_of)
def test_every_score_works_with_every_alignment_in_every_wiring(form: dict[str, Any]) -> None:
    """Shapes and weights, T steps = one call of T, a moved state, gradients: for all that is."""
    model, batch = make_model(**form).eval(), make_batch()
    output = model(batch)
    check_shapes_and_weights(model, output)
    check_steps(model, output)
    test_moving_the_state_changes_nothing_else(model)
    test_every_parameter_gets_a_gradient(model)


def test_steps_equal_one_call(model: Model) -> None:
    check_steps(model, model(make_batch()))


def check_steps(model: Model, output: ModelOutput) -> None:
    batch = make_batch()
    state = model.start(model.encode(batch.source, batch.source_lengths))
    for step in range(batch.labels.shape[1]):
        log_probabilities, state = model.step(batch.decoder_input[:, step], state)
        expected = torch.log_softmax(output.logits[:, step], dim=-1)
        torch.testing.assert_close(log_probabilities, expected, rtol=1e-4, atol=1e-5)


def test_coverage_is_the_sum_of_the_weights_and_one_on_padding(model: Model) -> None:
    batch = make_batch()
    state = model.read(batch.source, batch.source_lengths, with_coverage=True, allowed=None)
    for tokens in batch.decoder_input.unbind(1):
        _, state = model.step(tokens, state)
    padding, weights = (batch.source == PAD).float(), model(batch).weights
    coverage = model.coverage(state)
    torch.testing.assert_close(coverage.seen, weights.sum(dim=1) + padding)
    again = sum(
        torch.minimum(weights[:, step], weights[:, :step].sum(dim=1)).sum(dim=1)
        for step in range(weights.shape[1])
    )
    torch.testing.assert_close(coverage.again, again)


def test_shapes_and_weights(model: Model) -> None:
    check_shapes_and_weights(model, model(make_batch()))


def check_shapes_and_weights(model: Model, output: ModelOutput) -> None:
    assert output.logits.shape == (3, 4, VOCABULARY)
    assert output.weights.shape == (3, 4, 5)
    total = output.weights.sum(-1)
    if isinstance(model.decoder.attention, FixedContext):
        assert (total == 0).all()
    elif all(part.sums_to_one for part in model.modules() if isinstance(part, Alignment)):
        torch.testing.assert_close(total, torch.ones(3, 4))
    else:
        assert (total > 0).all() and (total < 1 + 1e-5).all()
    assert (output.weights[1, :, 3:] == 0).all() and (output.weights[2, :, 2:] == 0).all()


@pytest.mark.parametrize("wiring", sorted(WIRINGS.keys() - FIXED))
def test_weights_of_each_head_are_returned_and_their_mean(wiring: str) -> None:
    output = make_model(wiring, num_heads=2).eval()(make_batch())
    assert output.heads is not None and output.heads.shape == (3, 4, 2, 5)
    torch.testing.assert_close(output.heads.mean(2), output.weights)
    assert not output.heads[:, :, 0].equal(output.heads[:, :, 1])
    assert make_model(wiring).eval()(make_batch()).heads is None


def test_a_model_knows_whether_it_picks_one_position() -> None:
    picking = {name for name in ALIGNMENTS if make_model(alignment=name).picks_one}
    assert picking == {"hard", "gumbel", "monotonic"}
    assert make_model(alignment="hard", num_heads=2).picks_one


def test_sentence_equals_the_sentence_in_a_batch(model: Model) -> None:
    batch = make_batch()
    together = model(batch)
    alone = model(Batch(batch.source[1:2, :3], batch.source_lengths[1:2], batch.target[1:2, :5], 4))
    torch.testing.assert_close(together.logits[1:2], alone.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.weights[1:2, :, :3], alone.weights, rtol=1e-4, atol=1e-5)


def test_later_words_do_not_change_earlier_ones(model: Model) -> None:
    batch = make_batch()
    changed = batch.target.clone()
    changed[:, 3:] = 12
    before, after = model(batch).logits, model(replace(batch, target=changed)).logits
    torch.testing.assert_close(before[:, :3], after[:, :3])


def test_moving_the_state_changes_nothing_else(model: Model) -> None:
    batch = make_batch()
    state = model.start(model.encode(batch.source, batch.source_lengths))
    first, state = model.step(torch.tensor([BOS, BOS, BOS]), state)
    tokens = torch.tensor([4, 5, 6])
    expected, _ = model.step(tokens, state)
    rows = torch.tensor([2, 0, 0])
    moved, _ = model.step(tokens[rows], select(state, rows))
    torch.testing.assert_close(moved, expected[rows])
    doubled, _ = model.step(tokens.repeat_interleave(2), repeat(state, 2))
    torch.testing.assert_close(doubled, expected.repeat_interleave(2, dim=0))
    assert first.dtype == torch.float32


def test_every_parameter_gets_a_gradient(model: Model) -> None:
    output = model.train()(make_batch())
    loss = output.logits.square().sum()
    if output.sampled is not None:
        loss = loss + output.sampled.log_probability.sum() + output.sampled.entropy.sum()
    loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("cell", "score"),
    [
        *product(("gru", "lstm"), (name for name, score in SCORES.items() if score.fast_path)),
        *(("zoneout_gru", "additive"), ("zoneout_lstm", "dot")),
    ],
)
@pytest.mark.parametrize("wiring", list(FUSED))
def test_fused_decoder_equals_the_plain_loop_in_values_and_gradients(
    wiring: str, cell: str, score: str
) -> None:
    parts: dict[str, Any] = {"cell": cell, "score": score, "dropout": 0.3}
    fast = make_model(wiring, **parts).double().train()
    plain = make_model(f"{wiring}, plain loop", **parts).double().train()
    plain.load_state_dict(fast.state_dict())
    assert is_fused(fast) and not is_fused(plain)
    gradients = []
    for model in (fast, plain):
        torch.manual_seed(2)  # for the same masks of dropout and zoneout
        decoded = model.decode(make_batch())
        state = decoded.state
        given = [decoded.vectors, decoded.weights, state.recurrent]
        given += [] if state.input_feed is None else [state.input_feed]
        loss = sum((tensor * torch.randn(tensor.shape)).sum() for tensor in given)
        assert isinstance(loss, torch.Tensor)
        used = [p for name, p in model.named_parameters() if name != "projection.bias"]
        gradients.append([*given, *torch.autograd.grad(loss, used)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("wiring", list(FUSED))
def test_parts_without_a_fast_path_run_the_plain_loop(wiring: str) -> None:
    for parts in (
        {"cell": "layer_norm_lstm"},
        {"cell": "layer_norm_gru"},
        {"cell": "deep_gru"},
        {"cell": "min_gru"},
        {"cell": "sru"},
        {"score": "cosine"},
        {"score": "location_aware"},
        {"alignment": "entmax"},
        {"num_heads": 2},
        {"layers": LayerOptions(2)},
        {"layers": LayerOptions(recurrent_dropout=0.1)},
    ):
        assert not is_fused(make_model(wiring, **parts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("encoder_cell", "decoder_cell", "wiring", "bridge"),
    [
        *(
            (reads, writes, "bahdanau", "final")
            for reads, writes in product(CELLS, CELLS)
            if {reads, writes} & {"gru", "lstm"} or reads == writes
        ),
        *(("gru", "gru", wiring, bridge) for wiring, bridge in product(WIRINGS, BRIDGES)),
    ],
)
def test_all_parts_run_in_bfloat16(
    encoder_cell: str, decoder_cell: str, wiring: str, bridge: str
) -> None:
    """Under autocast some tensors are float32 and some are not; every pair of parts must cope."""
    model = make_model(wiring, cell=decoder_cell, encoder_cell=encoder_cell, bridge=bridge).eval()
    batch, exact = make_batch(), model(make_batch()).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(batch)
        state = model.start(model.encode(batch.source, batch.source_lengths))
        stepped, _ = model.step(batch.decoder_input[:, 0], state)
    output.logits.float().square().sum().backward()
    torch.testing.assert_close(output.logits.float(), exact, rtol=0.05, atol=0.05)
    expected = torch.log_softmax(exact[:, 0], dim=-1)
    torch.testing.assert_close(stepped, expected, rtol=0.05, atol=0.05)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("score", "alignment"),
    [*((score, "softmax") for score in SCORES), *(("additive", name) for name in ALIGNMENTS)],
)
def test_all_attentions_run_in_bfloat16(score: str, alignment: str) -> None:
    model = make_model(score=score, alignment=alignment)
    batch = make_batch()
    for mode in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model.train(mode)(batch)
        output.logits.float().square().sum().backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    if not ALIGNMENTS[alignment].needs_distinct_scores:  # which a rounding sends elsewhere
        exact = model(batch).logits
        torch.testing.assert_close(output.logits.float(), exact, rtol=0.05, atol=0.05)


def test_the_plain_gru_runs_in_bfloat16() -> None:
    torch.manual_seed(1)
    cell = partial(GRU, fused=False)
    encoder = RecurrentEncoder(EMBEDDING, cell=cell, hidden_size=HIDDEN, dropout=0.0)
    words, mask = torch.randn(2, 3, EMBEDDING), torch.ones(2, 3, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = encoder(words, mask).states
    torch.testing.assert_close(states.float(), encoder(words, mask).states, rtol=0.05, atol=0.05)


def test_scheduled_sampling_at_chance_zero_is_teacher_forcing() -> None:
    model, batch = make_model().eval(), make_batch()
    state = model.start(model.encode(batch.source, batch.source_lengths))
    sampled = model._decode_with_sampling(batch.decoder_input, state, 0.0)
    torch.testing.assert_close(
        model.projection(sampled.vectors), model(batch).logits, rtol=1e-4, atol=1e-5
    )


def test_scheduled_sampling_at_chance_one_feeds_the_models_own_words() -> None:
    model, batch = make_model().eval(), make_batch()
    sampled = model(batch, 1.0)
    own = torch.cat([batch.target[:, :1], sampled.logits.argmax(-1)], dim=1)
    expected = model(replace(batch, target=own))
    torch.testing.assert_close(sampled.logits, expected.logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_recurrent_dropout_is_the_same_for_all_words_of_a_sentence(wiring: str) -> None:
    """However many calls of the decoder they take: scheduled sampling makes one for each."""
    model = make_model(wiring, layers=LayerOptions(2, recurrent_dropout=0.5)).train()
    batch = make_batch()
    state = model.start(model.encode(batch.source, batch.source_lengths))
    assert state.dropout_mask is not None and state.dropout_mask.shape == (3, 2, STATE)
    together = model.decoder(model.target_embedding(batch.decoder_input), state).vectors
    steps = []
    for word in batch.decoder_input.split(1, dim=1):
        decoded = model.decoder(model.target_embedding(word), state)
        state = decoded.state
        steps.append(decoded.vectors)
    torch.testing.assert_close(torch.cat(steps, dim=1), together)


def test_a_projection_of_its_own_starts_as_wide_as_word_vectors() -> None:
    config = ModelConfig.model_validate(
        {"embedding": {"tie": "none", "size": 64}, "decoder": {"output_size": 100}}
    )
    projection = build_model(config, 2000, 2000).projection
    assert isinstance(projection, torch.nn.Linear)
    assert projection.weight.shape == (2000, 100)
    assert projection.weight.std().item() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("style", ["bahdanau", "conditional", "luong", "gnmt", "sutskever"])
def test_decoder_vectors_may_have_a_size_of_their_own(style: str) -> None:
    layers = 2 if style == "gnmt" else 1
    config = ModelConfig.model_validate(
        {
            "embedding": {"tie": "none", "size": 6},
            "attention": None if style == "sutskever" else {},
            "decoder": {"style": style, "output_size": 10, "num_layers": layers},
        }
    )
    model = build_model(config, 20, 20).eval()
    assert model.decode(make_batch()).vectors.shape == (3, 4, 10)
    assert model(make_batch()).logits.shape == (3, 4, 20)


def test_tied_weights_are_one_parameter() -> None:
    model = make_model()
    assert model.projection.weight is model.target_embedding.table.weight
    assert model.source_embedding is model.target_embedding
    loose = Model(
        model.source_embedding,
        model.target_embedding,
        model.encoder,
        model.bridge,
        model.decoder,
        EMBEDDING,
        tie_projection=False,
    )
    assert loose.projection.weight is not model.target_embedding.table.weight


def test_the_mask_of_the_encoder_is_true_at_real_tokens() -> None:
    encoded = make_model().encode(torch.full((3, 3), 5), torch.tensor([1, 3, 0]))
    expected = [[True, False, False], [True, True, True], [False, False, False]]
    assert encoded.mask.tolist() == expected


def test_logits_start_near_zero() -> None:
    """A tied projection must not start out certain of anything."""
    assert make_model()(make_batch()).logits.abs().max().item() < 3.0


def test_scheduled_sampling_draws_for_each_word() -> None:
    model, batch = make_model().eval(), make_batch()
    with torch.no_grad():
        assert isinstance(model.projection, torch.nn.Linear)
        model.projection.bias[12] = 1e4  # so that its own word is one that no reference has
    target = batch.target[1:2].expand(1000, -1)
    source, lengths = batch.source[:1].expand(1000, -1), torch.full((1000,), 5)
    seen: list[torch.Tensor] = []
    model.target_embedding.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    torch.manual_seed(1)
    model(Batch(source, lengths, target, 1000), 0.3)
    words = torch.cat(seen[1:] if seen[0].shape[1] > 1 else seen, dim=1)
    own = words == 12
    assert torch.equal(words[~own], target[:, :-1][~own])
    assert own.float().mean(0).tolist() == pytest.approx([0.0, 0.3, 0.3, 0.3], abs=0.05)
    assert (own[:, 1:].sum(1).bincount() > 10).all(), "some words of a sentence, and not others"


def test_scheduled_sampling_keeps_weights_and_sampled_positions_in_order() -> None:
    model, batch = make_model().eval(), make_batch()
    state = model.start(model.encode(batch.source, batch.source_lengths))
    sampled = model._decode_with_sampling(batch.decoder_input, state, 0.0)
    torch.testing.assert_close(sampled.weights, model(batch).weights)
    hard = make_model(alignment="hard").train()
    attention = hard.decoder.attention
    assert isinstance(attention, Attention) and isinstance(attention.alignment, HardAlignment)
    attention.alignment.expected = 0.0
    choices = [hard.decode(batch, chance).sampled for chance in (0.0, 1e-9)]
    assert choices[0] is not None and choices[1] is not None
    assert choices[1].entropy.shape == batch.decoder_input.shape
    torch.testing.assert_close(choices[1].entropy[:, 0], choices[0].entropy[:, 0])


def test_output_dropout_is_only_active_in_training() -> None:
    groups = {"embedding": {"size": 64}, "encoder": {"hidden_size": 8}}
    decoder = {"hidden_size": 8, "dropout": 0.0, "output_dropout": 0.25}
    torch.manual_seed(1)
    config = ModelConfig.model_validate({**groups, "decoder": decoder})
    model, batch = build_model(config, VOCABULARY, VOCABULARY), make_batch()
    zeros = model.decode(batch).vectors == 0
    assert zeros.float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not (model.eval().decode(batch).vectors == 0).any()


def test_evaluation_mode_ends_with_the_last_that_needs_it() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.5))
    other = torch.nn.Dropout(0.5)
    first, second = evaluation_mode(model), evaluation_mode(model)
    first.__enter__()
    second.__enter__()
    assert not model.training
    assert not model[0].training
    assert other.training
    first.__exit__(None, None, None)
    assert not model.training
    second.__exit__(None, None, None)
    assert model.training
    assert model[0].training
    model.eval()
    model[0].train()  # dropped out where nobody looks at it
    with evaluation_mode(model):
        assert not model[0].training
    assert not model.training
