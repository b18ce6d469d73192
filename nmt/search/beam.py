"""Batched beam search with exact early stopping."""

from dataclasses import KW_ONLY, dataclass, replace
from math import inf
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.batch import reorder, select
from nmt.core.special_tokens import EOS
from nmt.search.constraints import Progress, forbid_early_end, measure_progress, rank_constrained
from nmt.search.hypothesis import NBest
from nmt.search.observer import SearchStep
from nmt.search.request import Request
from nmt.search.rules import LengthBounds, PartialHypotheses
from nmt.search.search import (
    Candidates,
    HypothesisCollector,
    OpenHypotheses,
    Search,
    State,
    Stepper,
    best_in_order,
)
from nmt.search.shapes import Chosen, LogProbabilities, Slots, Totals

_BLOCK = 64  # tokens in a block; see `rank_continuations`
_FEW = 2**17  # for fewer log-probabilities, ranking without blocks is faster


@dataclass(frozen=True)
class OpenSentences:
    """The sentences that have open hypotheses.

    Attributes:
        number: `[N]`, row of the request.
        slots: `[N W]`, rows of the open hypotheses, best first; R: an empty slot.
        num_free: `[N]`, places of the beam not taken by finished hypotheses.
        best: `[N n_best]`, scores of the best finished hypotheses; -inf for missing ones.
        longest: `[N]`, maximum length of a hypothesis in tokens, including EOS.
        batch_size: rows of the request, including finished sentences.
    """

    number: Int[Tensor, " N"]
    slots: Slots
    num_free: Int[Tensor, " N"]
    best: Float[Tensor, "N K"]
    longest: Int[Tensor, " N"]
    batch_size: int


@dataclass(eq=False)
class BeamSearch(Search):
    """Search that keeps the `beam_size` best hypotheses of each length.

    Finished hypotheses keep their place. Each step ranks all continuations of a sentence's open
    hypotheses, and the best ones take the other places of the beam. A sentence is done when no open
    hypothesis can still beat the worst of its `n_best` finished ones (see
    `LengthPenalty.can_beat`). So early stopping does not change the result.
    A beam of one is greedy search, and an unlimited beam is exhaustive search. The best hypothesis
    is the same for any `n_best`.

    Only open hypotheses have rows in the state, so finished ones cost nothing.

    Args:
        beam_size: places in the beam.
        n_best: maximum number of hypotheses to return for a sentence.
        scoring: ranks finished hypotheses. Open ones have the same length at each step, and are
            ranked by their log-probability.
        rules: rules on the next token, and length limits.
        stopping: when the search of a sentence ends. exact: when no open hypothesis can score
            higher. first: when `n_best` hypotheses have finished; faster, but may be worse.
    """

    supports_phrases = True

    _: KW_ONLY
    stopping: Literal["exact", "first"] = "exact"

    def __call__(self, model: Stepper[State], state: State, request: Request) -> NBest:
        """Translate a batch; see `Search`."""
        finished = HypothesisCollector(len(request.source_lengths))
        bounds = LengthBounds.of(self.rules.limits, request)
        sentences = self._start(bounds)
        edges = self.rules.word_edges(request)
        beam = OpenHypotheses.start(state, request)
        while len(sentences.number) > 0:
            log_probabilities, state = model.step(beam.tokens[:, -1], beam.state)
            partial = PartialHypotheses(beam.tokens, beam.sentence, request)
            by_model = None if request.observer is None else log_probabilities.clone()
            ranked = self.rules.apply(log_probabilities, partial, bounds)
            beam = replace(beam, state=state)
            progress = None
            if request.phrases is not None:
                progress = measure_progress(beam.tokens, request.phrases[beam.sentence], edges)
            candidates, kept = self._rank(ranked, beam, sentences, progress)
            ends, scores = kept & (candidates.tokens == EOS), None
            if ends.any():
                length = beam.tokens.shape[1]
                scores = self._score(model, state, candidates.totals, candidates.rows, length)
                rows = candidates.rows[ends]
                num_unmet = None if progress is None else progress.num_unmet()[rows]
                log_probability = beam.log_probability[rows] + log_probabilities[rows, EOS]
                tokens = beam.tokens[rows, 1:]
                finished.add(beam.sentence[rows], tokens, log_probability, scores[ends], num_unmet)
                # A hypothesis without all its phrases ranks last and does not stop the search.
                counts = ends if num_unmet is None else ends.masked_scatter(ends, num_unmet == 0)
                sentences = _finish(sentences, scores.masked_fill(~counts, -inf), ends)
            is_open = kept & ~ends
            is_open = is_open & self._can_improve(sentences, candidates, is_open)
            if request.observer is not None and by_model is not None:
                places = sentences.number, sentences.slots, candidates, kept, is_open
                request.observer(
                    SearchStep(partial, beam, by_model, ranked, *places, scores, progress)
                )
            beam = _advance(beam, log_probabilities, candidates, is_open)
            sentences = _keep_open(sentences, is_open)
        return [found[: self.n_best] for found in finished.best_first()]

    def _start(self, bounds: LengthBounds) -> OpenSentences:
        number = torch.arange(len(bounds.max_length), device=bounds.max_length.device)
        return OpenSentences(
            number=number,
            slots=number.unsqueeze(1),
            num_free=torch.full_like(number, self.beam_size),
            best=torch.full((len(number), self.n_best), -inf, device=number.device),
            longest=bounds.max_length + 1,
            batch_size=len(number),
        )

    def _rank(
        self,
        ranked: LogProbabilities,
        beam: OpenHypotheses[State],
        sentences: OpenSentences,
        progress: Progress | None,
    ) -> tuple[Candidates, Chosen]:
        """Return the continuations of each sentence, best first, and which ones its beam keeps."""
        slots, num_free = sentences.slots, sentences.num_free
        if progress is not None:
            ranked = forbid_early_end(ranked, progress)
        candidates = rank_continuations(ranked, beam.total, slots, self.beam_size)
        if progress is not None:
            return rank_constrained(candidates, ranked, beam.total, slots, num_free, progress)
        places = torch.arange(candidates.totals.shape[1], device=ranked.device)
        return candidates, (places < num_free.unsqueeze(1)) & (candidates.totals != -inf)

    def _can_improve(
        self, sentences: OpenSentences, candidates: Candidates, is_open: Chosen
    ) -> Bool[Tensor, "N 1"]:
        """Return whether an open hypothesis can still displace one of the best finished ones."""
        worst = sentences.best[:, -1:]
        if self.stopping == "first":
            return worst == -inf
        longest = sentences.longest.unsqueeze(1)
        return self.scoring.length.can_beat(worst, candidates.totals, is_open, longest)


def _finish(sentences: OpenSentences, scores: Float[Tensor, "N C"], ends: Chosen) -> OpenSentences:
    """Take beam places for the hypotheses that end, and update the best scores."""
    best = torch.cat([sentences.best, scores], dim=1).topk(sentences.best.shape[1]).values
    return replace(sentences, num_free=sentences.num_free - ends.sum(dim=1), best=best)


def _advance(
    beam: OpenHypotheses[State],
    log_probabilities: LogProbabilities,
    candidates: Candidates,
    is_open: Chosen,
) -> OpenHypotheses[State]:
    """Return the hypotheses that stay open, each one token longer."""
    chosen = is_open.flatten().nonzero().squeeze(1)
    rows, tokens = candidates.rows.flatten()[chosen], candidates.tokens.flatten()[chosen]
    unmoved = torch.arange(len(beam.total), device=rows.device)
    log_probability = beam.log_probability[rows] + log_probabilities[rows, tokens]
    # Reordering the state costs about as much as the attention, so skip it where possible.
    if not torch.equal(rows, unmoved):
        stay = torch.equal(beam.sentence[rows], beam.sentence)
        beam = reorder(beam, rows) if stay else select(beam, rows)
    longer = torch.cat([beam.tokens, tokens.unsqueeze(1)], dim=1)
    totals = candidates.totals.flatten()[chosen]
    return OpenHypotheses(longer, beam.sentence, log_probability, totals, beam.state)


def _keep_open(sentences: OpenSentences, is_open: Chosen) -> OpenSentences:
    """Return the sentences that are not done, with their slots after `_advance`."""
    places = is_open.flatten().cumsum(dim=0).view_as(is_open)
    slots = torch.where(is_open, places - 1, is_open.sum())
    moved = replace(sentences, slots=slots)
    not_done = is_open.any(dim=1)
    return moved if not_done.all() else select(moved, not_done.nonzero().flatten())


def rank_continuations(
    log_probabilities: LogProbabilities, totals: Totals, slots: Slots, count: int
) -> Candidates:
    """Rank all continuations of R open hypotheses, separately for each of N sentences.

    One pass over the vocabulary finds the maximum of each block of tokens. The best C continuations
    are in the C blocks with the highest maxima (ties: the first). Any other block has C blocks
    before it, each with an element at least as good. Only those C blocks are searched. Unlike
    `torch.topk`, this is faster, and breaks ties in the same way on any device and in any batch.

    Args:
        log_probabilities: of each token after each hypothesis.
        totals: log-probability of each hypothesis so far.
        slots: the hypotheses of each sentence; R: an empty slot.
        count: C, reduced if there are fewer continuations.
    """
    vocabulary_size = log_probabilities.shape[1]
    count = min(count, slots.shape[1] * vocabulary_size)
    if slots.numel() * vocabulary_size <= _FEW:
        values = _of_slots(log_probabilities + totals.unsqueeze(1), slots)
        order = best_in_order(values, count)
        rows = slots.gather(1, order // vocabulary_size)
        return Candidates(values.gather(1, order), rows, order % vocabulary_size)
    maxima = _block_maxima(log_probabilities) + totals.unsqueeze(1)
    num_blocks = maxima.shape[1]
    # Blocks of all slots of a sentence, sorted ascending to break ties by position.
    blocks = best_in_order(_of_slots(maxima, slots), count).sort(dim=1).values
    rows = slots.gather(1, blocks // num_blocks).unsqueeze(2)
    first = (blocks % num_blocks * _BLOCK).unsqueeze(2)
    tokens = first + torch.arange(_BLOCK, device=slots.device)
    values = _values(log_probabilities, totals, rows, tokens).flatten(1)
    order = best_in_order(values, count)
    rows = rows.expand_as(tokens).flatten(1).gather(1, order)
    return Candidates(values.gather(1, order), rows, tokens.flatten(1).gather(1, order))


def _of_slots(values: Float[Tensor, "R A"], slots: Slots) -> Float[Tensor, "N B"]:
    """Return the values of each sentence's slots, concatenated; -inf for empty slots."""
    padded = torch.cat([values, values.new_full((1, values.shape[1]), -inf)])
    return padded[slots].flatten(1)


def _values(
    log_probabilities: LogProbabilities,
    totals: Totals,
    rows: Int[Tensor, "N P 1"],
    tokens: Int[Tensor, "N P X"],
) -> Float[Tensor, "N P X"]:
    """Return the total of each hypothesis and token; -inf if either does not exist."""
    num_rows, vocabulary_size = log_probabilities.shape
    exists = (tokens < vocabulary_size) & (rows < num_rows)
    safe_rows = rows.clamp(max=num_rows - 1)
    index = safe_rows * vocabulary_size + tokens.clamp(max=vocabulary_size - 1)
    values = log_probabilities.flatten()[index] + totals[safe_rows]
    return values.masked_fill(~exists, -inf)


def _block_maxima(values: Float[Tensor, "R A"]) -> Float[Tensor, "R M"]:
    """Return the maximum of each block of tokens; the last block may be shorter."""
    end = values.shape[1] // _BLOCK * _BLOCK
    maxima = values[:, :end].view(len(values), end // _BLOCK, _BLOCK).amax(dim=2)
    if end < values.shape[1]:
        maxima = torch.cat([maxima, values[:, end:].amax(dim=1, keepdim=True)], dim=1)
    return maxima
