"""Several models as one: what is averaged, and that nothing else is special about them."""

import math

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, make_batch, repeat, select
from nmt.core.special_tokens import BOS
from nmt.nn.decoders.interface import AllowedTokens
from nmt.nn.ensemble import Ensemble, Space
from nmt.nn.int8 import Int8Linear
from nmt.nn.model import Model

VOCABULARY = 11


def make_model(seed: int, **groups: object) -> Model:
    torch.manual_seed(seed)
    small = {"embedding": {"size": 4}, "encoder": {"hidden_size": 3}, **groups}
    config = ModelConfig.model_validate({"decoder": {"hidden_size": 5}, **small})
    return build_model(config, VOCABULARY, VOCABULARY).eval()


@pytest.fixture
def batch() -> Batch:
    return make_batch([[4, 5, 6], [7]], [[8, 9], [10, 4, 4]])


@pytest.mark.parametrize("space", ["log", "linear"])
def test_one_model_twice_is_the_model(batch: Batch, space: Space) -> None:
    model = make_model(1)
    both = Ensemble([model, model], space=space)
    expected, seen = model(batch), both(batch)
    torch.testing.assert_close(seen.logits, expected.logits.log_softmax(-1))
    torch.testing.assert_close(seen.weights, expected.weights)


def test_probabilities_are_averaged_worked_by_hand(batch: Batch) -> None:
    first, second = make_model(1), make_model(2, decoder={"style": "luong", "hidden_size": 7})
    one, two = (model(batch).logits.softmax(-1) for model in (first, second))
    linear = Ensemble([first, second], space="linear")(batch).logits
    torch.testing.assert_close(linear.exp(), (one + two) / 2)
    root = (one * two).sqrt()
    log = Ensemble([first, second], space="log")(batch).logits
    torch.testing.assert_close(log.exp(), root / root.sum(-1, keepdim=True))


@pytest.mark.parametrize("space", ["log", "linear"])
def test_ensemble_steps_equal_teacher_forcing(batch: Batch, space: Space) -> None:
    members = [make_model(1), make_model(2, attention=None), make_model(3)]
    ensemble = Ensemble(members, space=space)
    state = repeat(
        ensemble.read(batch.source, batch.source_lengths, with_coverage=True, allowed=None), 2
    )
    state = select(state, torch.tensor([3, 1]))  # the second sentence, then the first
    expected = ensemble(batch)
    for step, tokens in enumerate(batch.decoder_input.flip(0).unbind(1)):
        log_probabilities, state = ensemble.step(tokens, state)
        torch.testing.assert_close(log_probabilities, expected.logits[:, step].flip(0))
    padding = torch.tensor([[0.0] * 4, [0.0, 0.0, 1.0, 1.0]])
    covered = expected.weights.sum(dim=1) + padding
    coverage = ensemble.coverage(state)
    torch.testing.assert_close(coverage.seen, covered.flip(0))
    lookers = [model.coverage(part).again for model, part in zip(members, state, strict=True)][::2]
    assert (coverage.again > 0.1).all()
    torch.testing.assert_close(coverage.again, (lookers[0] + lookers[1]) / 2)


def test_members_without_attention_do_not_dilute_the_weights(batch: Batch) -> None:
    looker = make_model(1)
    ensemble = Ensemble([looker, make_model(2, attention=None)])
    assert ensemble.has_attention
    torch.testing.assert_close(ensemble(batch).weights, looker(batch).weights)
    assert not Ensemble([make_model(2, attention=None)]).has_attention


def test_zero_probability_of_one_member_stays_zero_in_log_space_only() -> None:
    sure = torch.tensor([[0.0, -math.inf]])
    open_ = torch.tensor([[0.0, 0.0]])
    log = Ensemble([make_model(1)], space="log")._average([sure, open_])
    linear = Ensemble([make_model(1)])._average([sure, open_])
    assert log.exp().tolist() == [[1.0, 0.0]]
    assert linear.exp().tolist() == [pytest.approx([0.75, 0.25])]


@pytest.mark.parametrize("space", ["log", "linear"])
def test_each_member_projects_to_the_allowed_words_of_a_restricted_step(
    batch: Batch, space: Space
) -> None:
    members = [make_model(1), make_model(2, decoder={"style": "luong", "hidden_size": 7})]
    with torch.no_grad():
        for member in members:
            torch.nn.init.normal_(member.projection.bias)  # type: ignore[arg-type]
    ensemble, words = Ensemble(members, space=space), torch.tensor([BOS, 2, 5, 7])
    allowed = torch.tensor([[True, True, False, True], [True, False, True, True]])
    state = ensemble.read(
        batch.source, batch.source_lengths, with_coverage=False, allowed=AllowedTokens(allowed)
    )
    found, _ = ensemble.restrict(words)(torch.zeros(2, dtype=torch.int64), state)
    parts = [member(batch).logits[:, 0, words].exp() * allowed for member in members]
    one, two = (part / part.sum(-1, keepdim=True) for part in parts)
    mean = (one + two) / 2 if space == "linear" else (one * two).sqrt()
    torch.testing.assert_close(found.exp(), mean / mean.sum(-1, keepdim=True))


def test_every_member_gets_weights_of_8_bits() -> None:
    ensemble = Ensemble([make_model(1), make_model(2)])
    ensemble.quantize()
    assert all(isinstance(model.projection, Int8Linear) for model in ensemble.models)
