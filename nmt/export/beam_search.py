"""Beam search for a graph: rounds of tensors in, tensors out, without a decision in Python."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf
from typing import Generic

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.core.tensor_tree import Shared, fill, map_shared, map_tensors, select, tensors_of
from nmt.search.penalties import LengthPenalty
from nmt.search.rules import EXTRA_TOKENS, LengthLimits
from nmt.search.search import State, StepFunction

NUM_EXCLUDED = 4
"""Tokens that may be more probable than all that may follow: PAD, UNK, BOS, and EOS too early."""
_FIRST_TEXT = max(PAD, UNK, BOS) + 1
_FEW = 8  # sentences that go on to the end together
_sym_max: Callable[[int, int], int] = torch.sym_max
_sym_min: Callable[[int, int], int] = torch.sym_min


@dataclass(frozen=True)
class FinishedHypotheses:
    """The best translations of each sentence, best first.

    Attributes:
        scores: `[B N]`, what they are ranked by; -inf: there are not so many.
        log_probabilities: `[B N]`, EOS counted.
        lengths: `[B N]`, tokens of each.
        tokens: `[B N T]`, without BOS and EOS; of no meaning beyond the length.
    """

    scores: Float[Tensor, "B N"]
    log_probabilities: Float[Tensor, "B N"]
    lengths: Int[Tensor, "B N"]
    tokens: Int[Tensor, "B N T"]


@dataclass(frozen=True)
class OpenSentences(Generic[State]):
    """Some sentences of a batch, and their open hypotheses: M of the first, K of each.

    Attributes:
        number: `[M]`, which of the batch they are.
        fewest: `[M 1]`, tokens of a translation, EOS not counted.
        most: `[M 1]`, likewise.
        num_free: `[M 1]`, places of the beam that no finished hypothesis holds.
        totals: `[M K]`, log-probability of each open hypothesis; -inf where there is none.
        last: `[M K]`, what was written last.
        written: `[M K T]`, all that was written.
        found: the best finished ones.
        state: of the step function; `[M ...]` where it is `Shared`, else `[M K ...]`.
    """

    number: Int[Tensor, " M"]
    fewest: Int[Tensor, "M 1"]
    most: Int[Tensor, "M 1"]
    num_free: Int[Tensor, "M 1"]
    totals: Float[Tensor, "M K"]
    last: Int[Tensor, "M K"]
    written: Int[Tensor, "M K T"]
    found: FinishedHypotheses
    state: State


@dataclass(frozen=True)
class SearchState(Generic[State]):
    """How far the search has come.

    Attributes:
        length: tokens of each open hypothesis; without dimensions.
        open: the sentences that are not done.
        found: the best translations of all B, as far as they are done.
    """

    length: Int[Tensor, ""]
    open: OpenSentences[State]
    found: FinishedHypotheses


@dataclass(frozen=True)
class ExportableBeamSearch:
    """`BeamSearch` in tensors whose shapes are known before a round.

    But for the order of equals it finds the same, as its rules are the same: at each step all
    continuations of a sentence's open hypotheses are ranked, the best fill the places that no
    finished one holds, and a sentence is done when none that is open can still win. It lacks the
    rules that look at what has been written, so that something may always follow. Room for the
    longest translation is taken at once: `[B K T]` of whole numbers, T by the limits. Within a
    round all sentences keep their places; it ends when a quarter of them is done.

    Attributes:
        length_penalty: what finished hypotheses are ranked by.
        limits: how long translations may be.
    """

    length_penalty: LengthPenalty
    limits: LengthLimits

    def start(
        self,
        state: State,
        source_lengths: Int[Tensor, " B"],
        longest_source: int,
        places: Int[Tensor, " K"],
        ranks: Int[Tensor, " N"],
    ) -> SearchState[State]:
        """Before the first word.

        Args:
            state: one row for each sentence.
            source_lengths: tokens of each source, EOS counted.
            longest_source: S, at least the greatest of them.
            places: 0 to K - 1, for a beam of K; the vocabulary has `NUM_EXCLUDED` more at least.
            ranks: 0 to N - 1, for the N best; at most K.
        """
        one = torch.ones_like(source_lengths).unsqueeze(1)
        columns = torch.zeros(self._most_columns(longest_source), dtype=torch.long)
        none, first = ranks * 0 * one, places * 0 * one
        nowhere = torch.full_like(none, -inf, dtype=torch.float32)
        found = FinishedHypotheses(nowhere, nowhere.clone(), none, none.unsqueeze(2) + columns)
        sentences = OpenSentences(
            number=torch.arange(source_lengths.shape[0]),
            fewest=self.limits.min_lengths(source_lengths).unsqueeze(1),
            most=self.limits.max_lengths(source_lengths).unsqueeze(1),
            num_free=one * places.shape[0],
            totals=torch.where(places == 0, 0.0, -inf) + first,  # for all places are the same
            last=first + BOS,
            written=first.unsqueeze(2) + columns,
            found=found,
            state=map_tensors(partial(_spread, times=places.shape[0]), state, leave=Shared),
        )
        return SearchState(
            torch.zeros((), dtype=torch.long), sentences, map_tensors(torch.clone, found)
        )

    def round(self, step: StepFunction[State], batch: SearchState[State]) -> SearchState[State]:
        """Go on until a quarter of the sentences is done, or all of a few; and leave these out.

        Args:
            step: one word further.
            batch: of `start`, or of the round before; at least one sentence is open.
        """
        now = batch.open
        fixed = _LoopConstants.of(now)
        whole = map_tensors(partial(torch.flatten, start_dim=0, end_dim=1), now.state, leave=Shared)
        state = map_shared(partial(_spread_rows, times=now.totals.shape[1]), whole)
        begun = _LoopState(
            *(batch.length, now.last.flatten(), now.written.flatten(0, 1).clone(), now.totals),
            *(now.num_free, now.found, tensors_of(state, leave=Shared)),
        )

        def continues(*tensors: Tensor) -> Tensor:
            is_open = (fill(begun, tensors).totals > -inf).any(dim=1)
            return is_open.sum() > fixed.fewest_open

        def advance(*tensors: Tensor) -> tuple[Tensor, ...]:
            beam = fill(begun, tensors)
            log_probabilities, after = step(beam.last, fill(state, beam.state, leave=Shared))
            moving = tensors_of(after, leave=Shared)
            return tensors_of(self._advance(beam, fixed, log_probabilities, moving))

        beam = fill(begun, _loop(continues, advance, tensors_of(begun)))
        shape = now.totals.shape
        moved = [_unflatten(tensor, shape) for tensor in beam.state]
        after = replace(
            now,
            num_free=beam.num_free,
            totals=beam.totals,
            last=_unflatten(beam.last, shape),
            written=_unflatten(beam.written, shape),
            found=beam.found,
            state=fill(now.state, moved, leave=Shared),
        )
        pairs = zip(tensors_of(batch.found), tensors_of(beam.found), strict=True)
        found = fill(batch.found, [old.index_copy(0, now.number, new) for old, new in pairs])
        is_open = (beam.totals > -inf).any(dim=1)
        return SearchState(beam.length, select(after, is_open.nonzero().squeeze(1)), found)

    def _most_columns(self, longest_source: int) -> int:
        """Tokens that any translation of a batch may have, at least."""
        limits = self.limits
        if limits.max_length_ratio is None:
            return limits.max_length
        ratio = ceil(max(limits.max_length_ratio, limits.min_length_ratio))
        # (`max` and `min` would decide for the graph.)
        longest = _sym_max(longest_source * ratio + EXTRA_TOKENS, limits.min_length)
        return _sym_min(longest, limits.max_length)

    def _advance(
        self,
        beam: "_LoopState",
        fixed: "_LoopConstants",
        log_probabilities: Float[Tensor, "R V"],
        state: tuple[Tensor, ...],
    ) -> "_LoopState":
        """One token further."""
        totals, places, tokens = _rank(log_probabilities, beam, fixed)
        kept = (fixed.places < beam.num_free) & (totals > -inf)
        ends = kept & (tokens == EOS)
        rows = (fixed.rows + places).flatten()
        written = beam.written.index_select(0, rows)
        found = self._finish(beam, fixed, totals.masked_fill(~ends, -inf), written)
        is_open = kept & ~ends
        highest = totals.masked_fill(~is_open, -inf).amax(dim=1, keepdim=True)
        bound = self.length_penalty.bound(highest, (fixed.most + 1).to(highest.dtype))
        is_open = is_open & (bound > found.scores[:, -1:])
        last = tokens.flatten()
        return _LoopState(
            beam.length + 1,
            last,
            torch.where(fixed.columns == beam.length, last.unsqueeze(1), written),
            totals.masked_fill(~is_open, -inf),
            beam.num_free - ends.sum(dim=1, keepdim=True),
            found,
            tuple(tensor.index_select(0, rows) for tensor in state),
        )

    def _finish(
        self,
        beam: "_LoopState",
        fixed: "_LoopConstants",
        totals: Float[Tensor, "M K"],
        written: Int[Tensor, "R T"],
    ) -> FinishedHypotheses:
        """The best of those that were found and those that end now (where it is not -inf)."""
        found = beam.found
        scores = self.length_penalty.score(totals, (beam.length + 1).to(totals.dtype))
        scores, order = torch.cat([found.scores, scores], dim=1).topk(found.scores.shape[1])
        lengths = torch.zeros_like(totals, dtype=torch.long) + beam.length
        tokens = torch.cat([found.tokens, _unflatten(written, totals.shape)], dim=1).flatten(0, 1)
        return FinishedHypotheses(
            scores,
            torch.cat([found.log_probabilities, totals], dim=1).gather(1, order),
            torch.cat([found.lengths, lengths], dim=1).gather(1, order),
            tokens.index_select(0, (fixed.pooled + order).flatten()).view_as(found.tokens),
        )


@dataclass(frozen=True)
class _LoopState:
    """What goes around the loop of a round; the places of a sentence are R = M * K rows.

    Attributes:
        length: tokens of each open hypothesis; without dimensions.
        last: `[R]`, what was written last.
        written: `[R T]`, all that was written.
        totals: `[M K]`, log-probability of each open hypothesis; -inf where there is none.
        num_free: `[M 1]`, places of the beam that no finished hypothesis holds.
        found: the best finished ones.
        state: of the step function, tensor by tensor, but for what is `Shared`.
    """

    length: Int[Tensor, ""]
    last: Int[Tensor, " R"]
    written: Int[Tensor, "R T"]
    totals: Float[Tensor, "M K"]
    num_free: Int[Tensor, "M 1"]
    found: FinishedHypotheses
    state: tuple[Tensor, ...]


@dataclass(frozen=True)
class _LoopConstants:
    """What the loop of a round only reads.

    Attributes:
        places: `[1 K]`, 0 to K - 1.
        columns: `[1 T]`, 0 to T - 1.
        rows: `[M 1]`, the first of the R rows of each sentence.
        pooled: `[M 1]`, the same where N found ones go before the K open ones.
        fewest: `[M 1]`, tokens of a translation, EOS not counted.
        most: `[M 1]`, likewise.
        fewest_open: open sentences at which the round ends.
    """

    places: Int[Tensor, "1 K"]
    columns: Int[Tensor, "1 T"]
    rows: Int[Tensor, "M 1"]
    pooled: Int[Tensor, "M 1"]
    fewest: Int[Tensor, "M 1"]
    most: Int[Tensor, "M 1"]
    fewest_open: Int[Tensor, ""]

    @classmethod
    def of(cls, now: OpenSentences[State]) -> "_LoopConstants":
        """That of a round."""
        num_sentences, num_places, num_columns = now.written.shape
        sentences = torch.arange(num_sentences).unsqueeze(1)
        number = torch.ones_like(now.number).sum()
        return cls(
            torch.arange(num_places).unsqueeze(0),
            torch.arange(num_columns).unsqueeze(0),
            sentences * num_places,
            sentences * (now.found.scores.shape[1] + num_places),
            now.fewest,
            now.most,
            torch.where(number <= _FEW, 0, number * 3 // 4),
        )


def _loop(
    continues: Callable[..., Tensor],
    advance: Callable[..., tuple[Tensor, ...]],
    tensors: tuple[Tensor, ...],
) -> Sequence[Tensor]:
    """A loop in Python, or in the graph."""
    if torch.compiler.is_exporting():
        from torch._higher_order_ops.while_loop import while_loop

        looped: Sequence[Tensor] = while_loop(continues, advance, tensors)  # type: ignore[no-untyped-call]
        return looped
    while continues(*tensors):
        tensors = advance(*tensors)
    return tensors


def _unflatten(tensor: Shaped[Tensor, "R *D"], shape: torch.Size) -> Shaped[Tensor, "M K *D"]:
    """Rows by sentence and place."""
    return tensor.view(*shape, *tensor.shape[1:])


def _spread(tensor: Shaped[Tensor, "M *D"], times: int) -> Shaped[Tensor, "M K *D"]:
    """The same row for each place."""
    return tensor.unsqueeze(1).expand(-1, times, *[-1] * (tensor.dim() - 1)).clone()


def _spread_rows(tensor: Shaped[Tensor, "M *D"], times: int) -> Shaped[Tensor, "R *D"]:
    """Every row K times, copies side by side."""
    # Not by `repeat_interleave`, which is exported wrongly for a number that is not known.
    return _spread(tensor, times).flatten(0, 1)


def _rank(
    log_probabilities: Float[Tensor, "R V"], beam: _LoopState, fixed: _LoopConstants
) -> tuple[Float[Tensor, "M K"], Int[Tensor, "M K"], Int[Tensor, "M K"]]:
    """The best continuations of each sentence: log-probability, of which place, with which token.

    Of each hypothesis those few are looked at that can be among the best of its sentence.
    """
    shape = beam.totals.shape
    values, tokens = log_probabilities.topk(shape[1] + NUM_EXCLUDED)
    values, tokens = _unflatten(values, shape), _unflatten(tokens, shape)
    too_short = (beam.length < fixed.fewest).unsqueeze(2)
    must_end = (beam.length >= fixed.most).unsqueeze(2)
    is_refused = (tokens < _FIRST_TEXT) | (too_short & (tokens == EOS)) | must_end
    end = log_probabilities[:, EOS].view_as(beam.totals).unsqueeze(2)
    ends = [values.masked_fill(is_refused, -inf), end.masked_fill(~must_end, -inf)]
    tokens = torch.cat([tokens, torch.full_like(tokens[:, :, :1], EOS)], dim=2)
    totals = (torch.cat(ends, dim=2) + beam.totals.unsqueeze(2)).flatten(1)
    best, order = totals.topk(shape[1])
    places = torch.div(order, tokens.shape[2], rounding_mode="floor")
    return best, places, tokens.flatten(1).gather(1, order)
