"""Phrases that must appear in a translation, with their beam allocation; forbidden phrases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from math import inf

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from nmt.core.batch import combine, to
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.search.request import pad
from nmt.search.rules import PartialHypotheses, Rule
from nmt.search.search import Candidates
from nmt.search.shapes import Chosen, LogProbabilities, Slots, Totals, WordEdges


@dataclass(frozen=True)
class Progress:
    """Progress of hypotheses on the phrases that they must contain.

    Attributes:
        tokens: `[R T]`, starting with BOS.
        phrases: `[R P L]`, padded with PAD on the right; a row of PAD is no phrase.
        word_edges: tokens before which a word has ended, and tokens after which a word may begin;
            None: all.
        is_met: `[R P]`, whether the hypothesis contains the phrase; True for no phrase.
        begun: `[R P]`, length of the prefix of the phrase that the hypothesis ends with; 0 for a
            phrase that is met.
    """

    tokens: Int[Tensor, "R T"]
    phrases: Int[Tensor, "R P L"]
    word_edges: WordEdges | None
    is_met: Bool[Tensor, "R P"]
    begun: Int[Tensor, "R P"]

    def num_tokens(self) -> Int[Tensor, " R"]:
        """Count the tokens of all met phrases, and of the longest prefix of an unmet one."""
        lengths = (self.phrases != PAD).sum(dim=2)
        return (lengths * self.is_met).sum(dim=1) + self.begun.amax(dim=1)

    def num_unmet(self) -> Int[Tensor, " R"]:
        """Count the phrases that are not met."""
        return (~self.is_met).sum(dim=1)

    def after(self, rows: Int[Tensor, " N"], tokens: Int[Tensor, " N"]) -> "Progress":
        """Return the progress of these hypotheses after one more token each."""
        longer = torch.cat([self.tokens[rows], tokens.unsqueeze(1)], dim=1)
        return measure_progress(longer, self.phrases[rows], self.word_edges)


def measure_progress(
    tokens: Int[Tensor, "R T"], phrases: Int[Tensor, "R P L"], word_edges: WordEdges | None = None
) -> Progress:
    """Compare hypotheses with their phrases.

    A phrase is met if its tokens appear consecutively and as whole words. At the end of a
    hypothesis it counts as met, until a further token continues its last word. Phrases may overlap:
    "a b" and "b c" are both met by "a b c".

    Args:
        tokens: starting with BOS.
        phrases: of each hypothesis, padded with PAD on the right; a row of PAD is no phrase.
        word_edges: tokens before which a word has ended, and tokens after which a word may begin;
            None: all.
    """
    begins = torch.ones_like(tokens, dtype=torch.bool)
    ends = torch.ones_like(begins)
    if word_edges is not None:
        before, after = word_edges
        begins[:, 1:] = before[tokens[:, 1:]] | after[tokens[:, :-1]]
        ends[:, :-1] = begins[:, 1:]
    lengths = (phrases != PAD).sum(dim=2)
    is_met, begun = lengths == 0, torch.zeros_like(lengths)
    longest = min(phrases.shape[2], tokens.shape[1])
    for size in range(1, longest + 1):
        beginning = phrases[:, :, :size].unsqueeze(2)
        windows = tokens.unfold(1, size, 1).unsqueeze(1)
        is_there = (windows == beginning).all(dim=3)
        is_there &= begins[:, : is_there.shape[2]].unsqueeze(1)
        ended = is_there & ends[:, size - 1 :].unsqueeze(1)
        is_met = is_met | (ended.any(dim=2) & (lengths == size))
        begun = torch.where(is_there[:, :, -1] & (lengths > size), size, begun)
    return Progress(tokens, phrases, word_edges, is_met, begun.masked_fill(is_met, 0))


def rank_constrained(
    candidates: Candidates,
    ranked: LogProbabilities,
    totals: Totals,
    slots: Slots,
    num_free: Int[Tensor, " N"],
    progress: Progress,
) -> tuple[Candidates, Chosen]:
    """Return candidates, including those that continue a phrase, and which of them get a place.

    Args:
        candidates: the best continuations of each sentence, one for each place of the beam.
        ranked: ranking log-probability of each token after each hypothesis.
        totals: ranking log-probability of each hypothesis so far.
        slots: the hypotheses of each sentence; R: an empty slot.
        num_free: free places of each sentence.
        progress: of the hypotheses.
    """
    most = candidates.totals.shape[1]
    candidates = _add_candidates(candidates, ranked, totals, slots, progress)
    rows = candidates.rows.clamp(max=len(ranked) - 1).flatten()
    # With fewer candidates than places, the surplus ones have tokens that do not exist.
    tokens = candidates.tokens.clamp(max=ranked.shape[1] - 1).flatten()
    num_met = progress.after(rows, tokens).num_tokens().view_as(candidates.rows)
    kept = allocate(candidates, num_met, num_free)
    # No more columns than places in the beam: each becomes a slot of the next step.
    columns = kept.byte().sort(dim=1, descending=True, stable=True).indices[:, :most]
    return candidates.take(columns), kept.gather(1, columns)


def forbid_early_end(ranked: LogProbabilities, progress: Progress) -> LogProbabilities:
    """Return a copy that forbids EOS before all phrases are met, unless only EOS may follow."""
    can_continue = ranked[:, EOS + 1 :].amax(dim=1) > -inf
    changed = ranked.clone()
    changed[can_continue & (progress.num_unmet() > 0), EOS] = -inf
    return changed


def _add_candidates(
    found: Candidates, ranked: LogProbabilities, totals: Totals, slots: Slots, progress: Progress
) -> Candidates:
    """Add the best token of each open hypothesis, and the next token of each of its phrases.

    Without them, more probable hypotheses would crowd out those with almost complete phrases (Post
    & Vilar 2018, section 3.2). The result is sorted best first and has no duplicates.
    """
    wanted = progress.phrases.gather(2, progress.begun.unsqueeze(2)).squeeze(2)
    wanted = wanted.masked_fill(progress.is_met, PAD)
    more = torch.cat([ranked.argmax(dim=1, keepdim=True), wanted], dim=1)
    values = (ranked.gather(1, more) + totals.unsqueeze(1)).masked_fill(more == PAD, -inf)
    none = len(ranked)
    slot_rows = slots.clamp(max=none - 1)  # empty slots are removed below
    rows = slots.unsqueeze(2).expand(-1, -1, more.shape[1])
    added = Candidates(values[slot_rows].flatten(1), rows.flatten(1), more[slot_rows].flatten(1))
    joined = combine(partial(torch.cat, dim=1), (found, added))
    same = joined.rows.unsqueeze(2) == joined.rows.unsqueeze(1)
    same &= joined.tokens.unsqueeze(2) == joined.tokens.unsqueeze(1)
    is_repeated = same.tril(-1).any(dim=2) | (joined.rows == none)
    distinct = replace(joined, totals=joined.totals.masked_fill(is_repeated, -inf))
    return distinct.take(distinct.totals.argsort(dim=1, descending=True, stable=True))


def allocate(
    candidates: Candidates, num_met: Int[Tensor, "N C"], num_free: Int[Tensor, " N"]
) -> Chosen:
    """Choose the candidates that get a place (dynamic beam allocation: Post & Vilar 2018, 3.3).

    A bank is all candidates with the same number of phrase tokens. The banks take turns to place
    their best candidate, starting with the bank of the most tokens. A bank without candidates
    leaves its places to the others.

    Args:
        candidates: best first.
        num_met: number of phrase tokens of each candidate.
        num_free: free places.
    """
    exists = candidates.totals != -inf
    same_bank = (num_met.unsqueeze(2) == num_met.unsqueeze(1)) & exists.unsqueeze(1)
    rank_in_bank = same_bank.tril(-1).sum(dim=2)
    # Equal ranks: the bank with more tokens first; the factor exceeds any number of tokens.
    turn = rank_in_bank * (int(num_met.max()) + 1 if num_met.numel() else 1) - num_met
    turn = turn.masked_fill(~exists, torch.iinfo(turn.dtype).max)
    place = turn.argsort(dim=1, stable=True).argsort(dim=1)
    return (place < num_free.unsqueeze(1)) & exists


def count_unmet(
    tokens: Sequence[int], phrases: Sequence[Sequence[int]], word_edges: WordEdges | None = None
) -> int:
    """Count the phrases that are missing from a translation; see `measure_progress`."""
    written = torch.tensor([[BOS, *tokens]])
    return int(measure_progress(written, pad(phrases).unsqueeze(0), word_edges).num_unmet())


class ForbiddenPhrases(Rule):
    """Ban on sequences of tokens, like `bad_words_ids` of Hugging Face.

    The last token of a sequence cannot follow its other tokens. The same text in other tokens is
    not detected. A forced prefix may contain a sequence.

    Args:
        sequences: each of at least one token; a sequence that starts with BOS is only forbidden at
            the start of a translation.
    """

    def __init__(self, sequences: Iterable[Sequence[int]]) -> None:
        ordered = sorted(map(list, sequences), key=len)
        # One tensor `[N L]` for each length.
        self._sequences = tuple(torch.tensor(list(same)) for _, same in groupby(ordered, key=len))

    def __call__(self, log_probabilities: LogProbabilities, partial: PartialHypotheses) -> None:
        """Forbid each token that would complete a sequence."""
        tokens = partial.vocabulary_tokens()
        subset = partial.request.subset
        for sequences in to(self._sequences, tokens.device):
            beginnings, last = sequences[:, :-1], sequences[:, -1].contiguous()
            start = tokens.shape[1] - beginnings.shape[1]
            if start < 0:
                continue
            columns = last if subset is None else subset.find_indices(last)
            completes = (tokens[:, None, start:] == beginnings).all(dim=2) & (columns >= 0)
            rows, places = completes.nonzero(as_tuple=True)
            log_probabilities[rows, columns[places]] = -inf
