"""Beam search that `torch.export` can trace, with all decisions in tensor operations.

`docs/exported_search.md` maps it to `nmt.search.beam`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, inf
from typing import TypeVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from nmt.core.batch import Shared, fill, map_shared, map_tensors, select, tensors_of
from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.export.search_state import Beams, FinishedHypotheses, Limits, LoopConstants, LoopState
from nmt.search.length_penalty import LengthPenalty
from nmt.search.rules import EXTRA_TOKENS, LengthLimits
from nmt.search.search import State, StepFunction

# Forbidden tokens that may rank above all allowed ones: PAD, UNK, BOS, and EOS if too early.
NUM_EXCLUDED = 4
_FIRST_TEXT = max(PAD, UNK, BOS) + 1
Tree = TypeVar("Tree")
_sym_max: Callable[[int, int], int] = torch.sym_max
_sym_min: Callable[[int, int], int] = torch.sym_min


@dataclass(frozen=True)
class ExportableBeamSearch:
    """`BeamSearch` in tensors whose shapes are fixed within a round.

    Except for the order of ties, `BeamSearch` gives the same result. Each step ranks all
    continuations of a sentence's open hypotheses. The best ones take the places that finished
    hypotheses leave. A sentence is done when no open hypothesis can still win. Rules on the tokens
    generated so far are not supported, so at least one token may always follow. Memory for the
    longest translation is allocated at the start: integers `[B K T]`, with T from the limits.
    Finished sentences keep their rows until the round ends, when a quarter of the sentences is
    done.

    Attributes:
        length_penalty: ranks finished hypotheses.
        limits: length limits of translations.
    """

    length_penalty: LengthPenalty
    limits: LengthLimits

    def __call__(
        self,
        step: StepFunction[State],
        state: State,
        source_lengths: Int[Tensor, " B"],
        longest_source: int,
        places: Int[Tensor, " K"],
        ranks: Int[Tensor, " N"],
    ) -> FinishedHypotheses:
        """Translate a batch.

        Args:
            step: the step function.
            state: before the first word, one row for each sentence.
            source_lengths: tokens of each source, including EOS.
            longest_source: S, at least the maximum of `source_lengths`.
            places: 0 to K - 1, for a beam of K; the vocabulary has at least K + `NUM_EXCLUDED`
                tokens.
            ranks: 0 to N - 1, for the N best; at most K.
        """
        state = map_tensors(partial(_spread, times=places.shape[0]), state, leave=Shared)
        state = map_shared(torch.clone, state)  # heads are views, which loops cannot read
        beams = self._start(source_lengths, longest_source, places, ranks)
        first = LoopState(torch.zeros((), dtype=torch.long), beams, tensors_of(state, leave=Shared))
        min_length = self.limits.min_lengths(source_lengths).unsqueeze(1)
        max_length = self.limits.max_lengths(source_lengths).unsqueeze(1)

        def should_continue(*tensors: Tensor) -> Tensor:
            return fill(first, tensors).beams.are_open().sum() > 0

        def search_open(*tensors: Tensor) -> tuple[Tensor, ...]:
            batch = fill(first, tensors)
            return tensors_of(self._search_open(step, state, batch, (min_length, max_length)))

        return fill(first, _loop(should_continue, search_open, tensors_of(first))).beams.found

    def _start(
        self,
        source_lengths: Int[Tensor, " B"],
        longest_source: int,
        places: Int[Tensor, " K"],
        ranks: Int[Tensor, " N"],
    ) -> Beams:
        """Return one empty hypothesis for each sentence."""
        one = torch.ones_like(source_lengths).unsqueeze(1)
        columns = torch.zeros(self._most_columns(longest_source), dtype=torch.long)
        none, first = ranks * 0 * one, places * 0 * one
        nowhere = torch.full_like(none, -inf, dtype=torch.float32)
        found = FinishedHypotheses(nowhere, nowhere.clone(), none, none.unsqueeze(2) + columns)
        totals = torch.where(places == 0, 0.0, -inf) + first  # all places start out equal
        tokens = first.unsqueeze(2) + columns
        return Beams(totals, first + BOS, tokens, one * places.shape[0], found)

    def _search_open(
        self, step: StepFunction[State], state: State, batch: LoopState, limits: Limits
    ) -> LoopState:
        """Search the open sentences until a quarter of them is done, or all if there are few.

        Args:
            step: the step function.
            state: only its `Shared` parts are read.
            batch: all sentences; at least one is open.
            limits: minimum and maximum number of tokens of each translation, without EOS.
        """
        sentences = batch.beams.are_open().nonzero().squeeze(1)
        if torch.compiler.is_exporting():  # so that the graph has no special case for 1
            torch._check(sentences.shape[0] >= 2)  # type: ignore[no-untyped-call]
        beams, *lengths = select((batch.beams, *limits), sentences)
        fixed = LoopConstants.of(beams, *lengths)
        num_places = beams.totals.shape[1]
        rows = (sentences.unsqueeze(1) * num_places + fixed.places).flatten()

        def spread(tensor: Tensor) -> Tensor:
            return _spread(tensor.index_select(0, sentences), num_places)

        here = map_shared(spread, state)
        first = LoopState(batch.length, beams, select(batch.state, rows))

        def should_continue(*tensors: Tensor) -> Tensor:
            return fill(first, tensors).beams.are_open().sum() > fixed.fewest_open

        def advance(*tensors: Tensor) -> tuple[Tensor, ...]:
            loop = fill(first, tensors)
            last = loop.beams.last.flatten()
            log_probabilities, after = step(last, fill(here, loop.state, leave=Shared))
            rows, beams = self._advance(loop, fixed, log_probabilities)
            moved = select(tensors_of(after, leave=Shared), rows)
            return tensors_of(LoopState(loop.length + 1, beams, moved))

        after = fill(first, _loop(should_continue, advance, tensors_of(first)))
        beams = _put_back(batch.beams, sentences, after.beams)
        return LoopState(after.length, beams, _put_back(batch.state, rows, after.state))

    def _most_columns(self, longest_source: int) -> int:
        """Return an upper bound on the number of tokens of any translation of a batch."""
        limits = self.limits
        if limits.max_length_ratio is None:
            return limits.max_length
        ratio = ceil(max(limits.max_length_ratio, limits.min_length_ratio))
        # Python's `max` and `min` would make the size constant in the graph.
        longest = _sym_max(longest_source * ratio + EXTRA_TOKENS, limits.min_length)
        return _sym_min(longest, limits.max_length)

    def _advance(
        self, loop: LoopState, fixed: LoopConstants, log_probabilities: Float[Tensor, "R V"]
    ) -> tuple[Int[Tensor, " R"], Beams]:
        """Return the row that each hypothesis continues, and the beams with one more token."""
        totals, places, last = _rank(log_probabilities, loop, fixed)
        kept = (fixed.places < loop.beams.num_free) & (totals > -inf)
        ends = kept & (last == EOS)
        rows = (fixed.rows + places).flatten()
        tokens = _unflatten(loop.beams.tokens.flatten(0, 1).index_select(0, rows), totals.shape)
        found = self._finish(loop, fixed, totals.masked_fill(~ends, -inf), tokens)
        is_open = kept & ~ends
        best = found.scores[:, -1:]
        is_open = is_open & self.length_penalty.can_beat(
            best, totals, is_open, fixed.max_length + 1
        )
        return rows, Beams(
            totals.masked_fill(~is_open, -inf),
            last,
            torch.where(fixed.columns == loop.length, last.unsqueeze(2), tokens),
            loop.beams.num_free - ends.sum(dim=1, keepdim=True),
            found,
        )

    def _finish(
        self,
        loop: LoopState,
        fixed: LoopConstants,
        totals: Float[Tensor, "M K"],
        tokens: Int[Tensor, "M K T"],
    ) -> FinishedHypotheses:
        """Merge the hypotheses that end now (totals above -inf) into the best finished ones."""
        found = loop.beams.found
        scores = self.length_penalty.score(totals, (loop.length + 1).to(totals.dtype))
        scores, order = torch.cat([found.scores, scores], dim=1).topk(found.scores.shape[1])
        lengths = torch.zeros_like(totals, dtype=torch.long) + loop.length
        pool = torch.cat([found.tokens, tokens], dim=1).flatten(0, 1)
        return FinishedHypotheses(
            scores,
            torch.cat([found.log_probabilities, totals], dim=1).gather(1, order),
            torch.cat([found.lengths, lengths], dim=1).gather(1, order),
            pool.index_select(0, (fixed.pooled + order).flatten()).view_as(found.tokens),
        )


def _loop(
    should_continue: Callable[..., Tensor],
    advance: Callable[..., tuple[Tensor, ...]],
    tensors: tuple[Tensor, ...],
) -> Sequence[Tensor]:
    """Run a while loop in Python, or as one node of the graph during export."""
    if torch.compiler.is_exporting():
        from torch._higher_order_ops.while_loop import while_loop

        looped: Sequence[Tensor] = while_loop(should_continue, advance, tensors)  # type: ignore[no-untyped-call]
        return looped
    while should_continue(*tensors):
        tensors = advance(*tensors)
    return tensors


def _unflatten(tensor: Shaped[Tensor, "R *D"], shape: torch.Size) -> Shaped[Tensor, "M K *D"]:
    """Reshape rows to `[sentences, places, ...]`."""
    return tensor.view(*shape, *tensor.shape[1:])


def _spread(tensor: Shaped[Tensor, "M *D"], times: int) -> Shaped[Tensor, "R *D"]:
    """Repeat every row K times, with adjacent copies."""
    # Not `repeat_interleave`, whose export is wrong for a dynamic number of repeats.
    return tensor.unsqueeze(1).expand(-1, times, *[-1] * (tensor.dim() - 1)).flatten(0, 1)


def _put_back(before: Tree, rows: Int[Tensor, " M"], after: Tree) -> Tree:
    """Return a copy of `before` with these rows replaced by `after`."""
    pairs = zip(tensors_of(before), tensors_of(after), strict=True)
    return fill(before, [old.index_copy(0, rows, new) for old, new in pairs])


def _rank(
    log_probabilities: Float[Tensor, "R V"], loop: LoopState, fixed: LoopConstants
) -> tuple[Float[Tensor, "M K"], Int[Tensor, "M K"], Int[Tensor, "M K"]]:
    """Return the best continuations of each sentence: log-probability, place and token.

    Only the best tokens of each hypothesis are compared, as others cannot be among the best K.
    """
    shape = loop.beams.totals.shape
    values, tokens = log_probabilities.topk(shape[1] + NUM_EXCLUDED)
    values, tokens = _unflatten(values, shape), _unflatten(tokens, shape)
    too_short = (loop.length < fixed.min_length).unsqueeze(2)
    must_end = (loop.length >= fixed.max_length).unsqueeze(2)
    is_refused = (tokens < _FIRST_TEXT) | (too_short & (tokens == EOS)) | must_end
    end = log_probabilities[:, EOS].view_as(loop.beams.totals).unsqueeze(2)
    ends = [values.masked_fill(is_refused, -inf), end.masked_fill(~must_end, -inf)]
    tokens = torch.cat([tokens, torch.full_like(tokens[:, :, :1], EOS)], dim=2)
    totals = (torch.cat(ends, dim=2) + loop.beams.totals.unsqueeze(2)).flatten(1)
    best, order = totals.topk(shape[1])
    places = torch.div(order, tokens.shape[2], rounding_mode="floor")
    return best, places, tokens.flatten(1).gather(1, order)
