"""Beam search over a whole batch, with stopping that is provably right."""

from dataclasses import dataclass
from math import inf
from typing import Generic, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.core.tensor_tree import reorder, select
from nmt.search.constraints import (
    add_candidates,
    allocate,
    count_unmet,
    forbid_early_end,
    measure_progress,
)
from nmt.search.hypothesis import Hypothesis, best_first
from nmt.search.penalties import Scoring
from nmt.search.ranking import Candidates, rank_continuations
from nmt.search.request import Request
from nmt.search.rules import LengthBounds, PartialHypotheses, Rules
from nmt.search.search import Search, State, Stepper


@dataclass(frozen=True)
class OpenHypotheses(Generic[State]):
    """The open hypotheses of all sentences: R rows, those of one sentence side by side.

    Attributes:
        tokens: `[R T]`, from BOS on.
        sentence: `[R]`, row of the request.
        log_probability: `[R]`, by the model.
        total: `[R]`, the same as the rules have it: what is ranked by.
        state: what the step function needs.
    """

    tokens: Int[Tensor, "R T"]
    sentence: Int[Tensor, " R"]
    log_probability: Float[Tensor, " R"]
    total: Float[Tensor, " R"]
    state: State


@dataclass(frozen=True)
class OpenSentences:
    """The sentences that have open hypotheses.

    Attributes:
        number: `[N]`, row of the request.
        slots: `[N W]`, rows of the open hypotheses, best first; R: an empty slot.
        num_free: `[N]`, places of the beam that no finished hypothesis holds.
        best: `[N n_best]`, scores of the best finished ones; -inf where there are none yet.
        longest: `[N]`, most tokens of a hypothesis, EOS counted.
    """

    number: Int[Tensor, " N"]
    slots: Int[Tensor, "N W"]
    num_free: Int[Tensor, " N"]
    best: Float[Tensor, "N K"]
    longest: Int[Tensor, " N"]


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
        scoring: what finished hypotheses are ranked by. Open ones of a step are equally long, and
            are ranked by their log-probability.
        rules: what may follow, and how long translations may be.
        stopping: `exact`, or `first`: a sentence is done as soon as `n_best` hypotheses have ended,
            whatever the open ones might come to. Faster, and the result may be worse.
    """

    supports_phrases = True

    def __init__(
        self,
        beam_size: int,
        n_best: int,
        scoring: Scoring,
        rules: Rules,
        *,
        stopping: Literal["exact", "first"] = "exact",
    ) -> None:
        super().__init__(beam_size, n_best, scoring, rules)
        self.stopping = stopping

    def __call__(
        self, model: Stepper[State], state: State, request: Request
    ) -> list[list[Hypothesis]]:
        """Translate a batch; see `Search`."""
        found: list[list[Hypothesis]] = [[] for _ in range(len(request))]
        sentences = self._start(request)
        bounds = LengthBounds.of(self.rules.limits, request)
        totals = torch.zeros(len(found), device=request.source_lengths.device)
        tokens = torch.full_like(request.source_lengths, BOS).unsqueeze(1)
        beam = OpenHypotheses(tokens, sentences.number, totals, totals, state)
        while len(sentences.number) > 0:
            log_probabilities, state = model.step(beam.tokens[:, -1], beam.state)
            partial = PartialHypotheses(beam.tokens, beam.sentence, request)
            ranked = self.rules.apply(log_probabilities, partial, bounds)
            candidates, kept = self._rank(ranked, beam, sentences, request)
            beam = OpenHypotheses(
                beam.tokens, beam.sentence, beam.log_probability, beam.total, state
            )
            ends = kept & (candidates.tokens == EOS)
            if ends.any():
                length = beam.tokens.shape[1]
                scores = self._score(model, state, candidates.totals, candidates.rows, length)
                _collect(found, beam, log_probabilities, candidates, scores, ends)
                if request.phrases is not None:
                    # What lacks a phrase stands behind all that have theirs, and stops nothing.
                    edges = self.rules.word_edges(request)
                    has_all = _has_phrases(candidates, beam, request, edges)
                    scores = scores.masked_fill(~has_all, -inf)
                sentences = _finish(sentences, scores, ends)
            continues = kept & ~ends
            continues = continues & self._can_improve(sentences, candidates, continues)
            beam = _advance(beam, log_probabilities, candidates, continues)
            sentences = _keep_open(sentences, continues)
        edges = self.rules.word_edges(request)
        return [hypotheses[: self.n_best] for hypotheses in _in_order(found, request, edges)]

    def _start(self, request: Request) -> OpenSentences:
        number = torch.arange(len(request), device=request.source_lengths.device)
        return OpenSentences(
            number=number,
            slots=number.unsqueeze(1),
            num_free=torch.full_like(number, self.beam_size),
            best=torch.full((len(number), self.n_best), -inf, device=number.device),
            longest=self.rules.max_lengths(request) + 1,
        )

    def _rank(
        self,
        ranked: Float[Tensor, "R V"],
        beam: OpenHypotheses[State],
        sentences: OpenSentences,
        request: Request,
    ) -> tuple[Candidates, Bool[Tensor, "N C"]]:
        """The continuations of each sentence, best first, and which of them fill its beam."""
        if request.phrases is not None:
            phrases = request.phrases[beam.sentence]
            edges = self.rules.word_edges(request)
            return _rank_constrained(ranked, beam, sentences, phrases, edges, self.beam_size)
        candidates = rank_continuations(ranked, beam.total, sentences.slots, self.beam_size)
        places = torch.arange(candidates.totals.shape[1], device=ranked.device)
        return candidates, (places < sentences.num_free.unsqueeze(1)) & (candidates.totals != -inf)

    def _can_improve(
        self, sentences: OpenSentences, candidates: Candidates, is_open: Bool[Tensor, "N C"]
    ) -> Bool[Tensor, "N 1"]:
        """Whether an open hypothesis can still displace one of the best finished ones."""
        worst = sentences.best[:, -1]
        if self.stopping == "first":
            return (worst == -inf).unsqueeze(1)
        highest = candidates.totals.masked_fill(~is_open, -inf).amax(dim=1)
        bound = self.scoring.bound(highest, sentences.longest.to(highest.dtype))
        return (bound > worst).unsqueeze(1)


def _rank_constrained(
    ranked: Float[Tensor, "R V"],
    beam: OpenHypotheses[State],
    sentences: OpenSentences,
    phrases: Int[Tensor, "R P L"],
    word_edges: Bool[Tensor, "2 V"] | None,
    beam_size: int,
) -> tuple[Candidates, Bool[Tensor, "N C"]]:
    """The same for translations that must have some phrases; places are dealt out by these."""
    progress = measure_progress(beam.tokens, phrases, word_edges)
    ranked = forbid_early_end(ranked, progress)
    candidates = rank_continuations(ranked, beam.total, sentences.slots, beam_size)
    candidates = add_candidates(candidates, ranked, beam.total, sentences.slots, progress, phrases)
    rows = candidates.rows.clamp(max=len(ranked) - 1).flatten()
    # Where there are fewer candidates than places, some have tokens that there are not.
    tokens = candidates.tokens.clamp(max=ranked.shape[1] - 1)
    longer = torch.cat([beam.tokens[rows], tokens.view(-1, 1)], dim=1)
    longer_progress = measure_progress(longer, phrases[rows], word_edges)
    num_met = longer_progress.num_tokens(phrases[rows])
    kept = allocate(candidates, num_met.view_as(candidates.rows), sentences.num_free)
    # No more columns than the beam has places: each makes slots of the next step.
    columns = kept.byte().sort(dim=1, descending=True, stable=True).indices[:, :beam_size]
    return candidates.take(columns), kept.gather(1, columns)


def _has_phrases(
    candidates: Candidates,
    beam: OpenHypotheses[State],
    request: Request,
    word_edges: Bool[Tensor, "2 V"] | None,
) -> Bool[Tensor, "N C"]:
    """Whether the hypotheses that are continued have all of their phrases."""
    assert request.phrases is not None
    progress = measure_progress(beam.tokens, request.phrases[beam.sentence], word_edges)
    is_complete = progress.is_met.all(dim=1)
    return torch.cat([is_complete, is_complete.new_zeros(1)])[candidates.rows]


def _in_order(
    found: list[list[Hypothesis]], request: Request, word_edges: Bool[Tensor, "2 V"] | None
) -> list[list[Hypothesis]]:
    """The hypotheses of each sentence, the best first; of those that lack the fewest phrases."""
    found = list(map(best_first, found))
    if request.phrases is None:
        return found
    phrases = [
        [[token for token in phrase if token != PAD] for phrase in of_sentence]
        for of_sentence in request.phrases.tolist()
    ]
    chosen = []
    edges = None if word_edges is None else word_edges.tolist()
    for hypotheses, wanted in zip(found, phrases, strict=True):
        num_unmet = [count_unmet(item.tokens, wanted, edges) for item in hypotheses]
        least = min(num_unmet)
        chosen.append([item for item, n in zip(hypotheses, num_unmet, strict=True) if n == least])
    return chosen


def _collect(
    found: list[list[Hypothesis]],
    beam: OpenHypotheses[State],
    log_probabilities: Float[Tensor, "R V"],
    candidates: Candidates,
    scores: Float[Tensor, "N C"],
    ends: Bool[Tensor, "N C"],
) -> None:
    """Add the hypotheses that end now, the best of each sentence first."""
    rows = candidates.rows[ends]
    for sentence, tokens, log_probability, score in zip(
        beam.sentence[rows].tolist(),
        beam.tokens[rows, 1:].tolist(),
        (beam.log_probability[rows] + log_probabilities[rows, EOS]).tolist(),
        scores[ends].tolist(),
        strict=True,
    ):
        found[sentence].append(Hypothesis(tuple(tokens), log_probability, score))


def _finish(
    sentences: OpenSentences, scores: Float[Tensor, "N C"], ends: Bool[Tensor, "N C"]
) -> OpenSentences:
    """Give the hypotheses that end their places."""
    best = torch.cat([sentences.best, scores.masked_fill(~ends, -inf)], dim=1)
    return OpenSentences(
        sentences.number,
        sentences.slots,
        sentences.num_free - ends.sum(dim=1),
        best.topk(sentences.best.shape[1], dim=1).values,
        sentences.longest,
    )


def _advance(
    beam: OpenHypotheses[State],
    log_probabilities: Float[Tensor, "R V"],
    candidates: Candidates,
    continues: Bool[Tensor, "N C"],
) -> OpenHypotheses[State]:
    """The hypotheses that go on, each one token longer."""
    chosen = continues.flatten().nonzero().squeeze(1)
    rows, tokens = candidates.rows.flatten()[chosen], candidates.tokens.flatten()[chosen]
    unmoved = torch.arange(len(beam.total), device=rows.device)
    log_probability = beam.log_probability[rows] + log_probabilities[rows, tokens]
    # Moving the state costs about as much as the attention; often there is little to move.
    if not torch.equal(rows, unmoved):
        stay = torch.equal(beam.sentence[rows], beam.sentence)
        beam = reorder(beam, rows) if stay else select(beam, rows)
    longer = torch.cat([beam.tokens, tokens.unsqueeze(1)], dim=1)
    totals = candidates.totals.flatten()[chosen]
    return OpenHypotheses(longer, beam.sentence, log_probability, totals, beam.state)


def _keep_open(sentences: OpenSentences, continues: Bool[Tensor, "N C"]) -> OpenSentences:
    """The sentences that are not done, with the places of their hypotheses after `_advance`."""
    places = continues.flatten().cumsum(dim=0).view_as(continues)
    slots = torch.where(continues, places - 1, continues.sum())
    moved = OpenSentences(
        sentences.number, slots, sentences.num_free, sentences.best, sentences.longest
    )
    not_done = continues.any(dim=1)
    return moved if not_done.all() else select(moved, not_done.nonzero().flatten())
