"""Beam search over a whole batch, with stopping that is provably right."""

from dataclasses import dataclass
from math import inf
from typing import Generic

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.search.hypothesis import Hypothesis
from nmt.search.ranking import Candidates, rank_continuations
from nmt.search.search import Search, State, StepFunction
from nmt.structure import select
from nmt.symbols import BOS, EOS


@dataclass(frozen=True)
class _Open(Generic[State]):
    """The open hypotheses of all sentences: R rows, those of one sentence side by side.

    Attributes:
        tokens: `[R T]`, from BOS on.
        totals: `[R]`, log-probability.
        state: what the step function needs.
    """

    tokens: Int[Tensor, "R T"]
    totals: Float[Tensor, " R"]
    state: State


@dataclass(frozen=True)
class _Sentences:
    """The sentences that have open hypotheses.

    Attributes:
        number: `[N]`, place in the batch.
        slots: `[N W]`, rows of the open hypotheses, best first; R: an empty slot.
        num_free: `[N]`, places of the beam that no finished hypothesis holds.
        best: `[N n_best]`, scores of the best finished ones; -inf where there are none yet.
        most: `[N]`, most tokens, EOS not counted.
    """

    number: Int[Tensor, " N"]
    slots: Int[Tensor, "N W"]
    num_free: Int[Tensor, " N"]
    best: Float[Tensor, "N K"]
    most: Int[Tensor, " N"]


class BeamSearch(Search):
    """Keep the `beam_size` best hypotheses of each length; the finished ones hold their place.

    At each step all continuations of a sentence's open hypotheses are ranked, and the best fill
    the places of the beam that no finished hypothesis holds. A sentence is done when nothing is
    open, or when no open hypothesis can still beat the worst of its `n_best` finished ones (see
    `LengthPenalty.bound`): stopping changes no result. So a beam of one is greedy search, a beam
    as wide as the space is exhaustive, and the first of `n_best` is the same for any `n_best`.

    Only open hypotheses have rows in the state: what is finished costs nothing.

    Args:
        beam_size: places in the beam.
        n_best: most hypotheses to return for a sentence.
        penalty: what finished hypotheses are ranked by. Open ones of a step are equally long, so
            that they need none.
        limits: how long translations may be.
    """

    def __call__(
        self, step: StepFunction[State], state: State, source_lengths: Int[Tensor, " B"]
    ) -> list[list[Hypothesis]]:
        """Translate a batch; see `Search`."""
        found: list[list[Hypothesis]] = [[] for _ in range(len(source_lengths))]
        sentences = self._start(source_lengths)
        totals = torch.zeros(len(found), device=source_lengths.device)
        beam = _Open(torch.full_like(source_lengths, BOS).unsqueeze(1), totals, state)
        while len(sentences.number) > 0:
            length = beam.tokens.shape[1] - 1
            log_probabilities, state = step(beam.tokens[:, -1], beam.state)
            candidates = rank_continuations(
                _force_end(log_probabilities, sentences, length),
                beam.totals,
                sentences.slots,
                self.limits.first_token(length),
                self.beam_size,
            )
            places = torch.arange(candidates.totals.shape[1], device=totals.device)
            kept = (places < sentences.num_free.unsqueeze(1)) & (candidates.totals != -inf)
            ends = kept & (candidates.tokens == EOS)
            scores = self.penalty.score(candidates.totals, totals.new_full((), length + 1))
            if ends.any():
                _collect(found, beam.tokens, sentences.number, candidates, scores, ends)
                sentences = _finish(sentences, scores, ends)
            goes_on = kept & ~ends & self._can_improve(sentences, candidates, kept & ~ends)
            beam = _advance(_Open(beam.tokens, beam.totals, state), candidates, goes_on)
            sentences = _keep_open(sentences, goes_on)
        return [_best_first(hypotheses)[: self.n_best] for hypotheses in found]

    def _start(self, source_lengths: Int[Tensor, " B"]) -> _Sentences:
        number = torch.arange(len(source_lengths), device=source_lengths.device)
        return _Sentences(
            number=number,
            slots=number.unsqueeze(1),
            num_free=torch.full_like(number, self.beam_size),
            best=torch.full((len(number), self.n_best), -inf, device=number.device),
            most=self.limits.most_tokens(source_lengths),
        )

    def _can_improve(
        self, sentences: _Sentences, candidates: Candidates, is_open: Bool[Tensor, "N C"]
    ) -> Bool[Tensor, "N 1"]:
        """Whether an open hypothesis can still displace one of the best finished ones."""
        highest = candidates.totals.masked_fill(~is_open, -inf).amax(dim=1)
        longest = (sentences.most + 1).to(highest.dtype)
        bound = self.penalty.bound(highest, longest)
        return (bound > sentences.best[:, -1]).unsqueeze(1)


def _force_end(
    log_probabilities: Float[Tensor, "R V"], sentences: _Sentences, length: int
) -> Float[Tensor, "R V"]:
    """Leave EOS alone to the sentences that are as long as they may be."""
    at_limit = sentences.most == length
    if not at_limit.any():
        return log_probabilities
    num_rows, vocabulary_size = log_probabilities.shape
    # One place more than there are rows, for the empty slots.
    forced = at_limit.new_zeros(num_rows + 1)
    forced[sentences.slots[at_limit]] = True
    other = torch.arange(vocabulary_size, device=log_probabilities.device) != EOS
    return log_probabilities.masked_fill(forced[:-1].unsqueeze(1) & other, -inf)


def _collect(
    found: list[list[Hypothesis]],
    tokens: Int[Tensor, "R T"],
    number: Int[Tensor, " N"],
    candidates: Candidates,
    scores: Float[Tensor, "N C"],
    ends: Bool[Tensor, "N C"],
) -> None:
    """Add the hypotheses that end now, the best of each sentence first."""
    for sentence, row, total, score in zip(
        number[ends.nonzero()[:, 0]].tolist(),
        tokens[candidates.rows[ends], 1:].tolist(),
        candidates.totals[ends].tolist(),
        scores[ends].tolist(),
        strict=True,
    ):
        found[sentence].append(Hypothesis(tuple(row), total, score))


def _finish(
    sentences: _Sentences, scores: Float[Tensor, "N C"], ends: Bool[Tensor, "N C"]
) -> _Sentences:
    """Give the hypotheses that end their places."""
    best = torch.cat([sentences.best, scores.masked_fill(~ends, -inf)], dim=1)
    return _Sentences(
        sentences.number,
        sentences.slots,
        sentences.num_free - ends.sum(dim=1),
        best.topk(sentences.best.shape[1], dim=1).values,
        sentences.most,
    )


def _advance(
    beam: _Open[State], candidates: Candidates, goes_on: Bool[Tensor, "N C"]
) -> _Open[State]:
    """The hypotheses that go on, each one token longer."""
    rows, tokens = candidates.rows[goes_on], candidates.tokens[goes_on]
    unmoved = torch.arange(len(beam.totals), device=rows.device)
    # Moving the state costs about as much as the attention; often there is nothing to move.
    if not torch.equal(rows, unmoved):
        beam = select(beam, rows)
    longer = torch.cat([beam.tokens, tokens.unsqueeze(1)], dim=1)
    return _Open(longer, candidates.totals[goes_on], beam.state)


def _keep_open(sentences: _Sentences, goes_on: Bool[Tensor, "N C"]) -> _Sentences:
    """The sentences that are not done, with the places of their hypotheses after `_advance`."""
    places = goes_on.flatten().cumsum(dim=0).view_as(goes_on)
    slots = torch.where(goes_on, places - 1, goes_on.sum())
    moved = _Sentences(sentences.number, slots, sentences.num_free, sentences.best, sentences.most)
    not_done = goes_on.any(dim=1)
    return moved if not_done.all() else select(moved, not_done.nonzero().flatten())


def _best_first(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda hypothesis: hypothesis.score, reverse=True)
