"""Words and phrases that are never written, in whatever tokens."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.byte_spelling import Spelling
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.core.tensor_tree import to
from nmt.search.phrase_automaton import PhraseAutomaton
from nmt.search.rules import PartialHypotheses, Rule


class ForbiddenPhrases(Rule):
    """Some words and phrases are never written, unless nothing else is left.

    They stand where their text does, between the edges of words, whatever its tokens are; longer
    words are others. So a hypothesis may end with one as long as something can still make a longer
    word of it; what cannot become a text without one is not begun. What has begun like that must
    go on to a longer word, however improbable: a wide beam drops it for a better one, and a search
    with one path cannot. What lies in a forced prefix as a whole may stand there.

    Args:
        phrases: normalised text of each.
        vocabulary: gives the spelling of each token.
    """

    def __init__(
        self, phrases: Iterable[str], vocabulary: Callable[[], Sequence[Spelling]]
    ) -> None:
        self._phrases: Final = tuple(phrase.encode() for phrase in phrases)
        self._vocabulary: Final = vocabulary
        self._tables: Final[dict[torch.device, _Tables]] = {}

    def __call__(self, log_probabilities: Float[Tensor, "R V"], partial: PartialHypotheses) -> None:
        """Forbid what makes a phrase complete, and what can only end with one."""
        device = log_probabilities.device
        tables = self._tables_on(device)
        states = tables.read(partial)
        room = partial.room().clamp(min=1) - 1
        subset = partial.request.subset
        if subset is None:
            log_probabilities.index_fill_(1, tables.never, -inf)
            rows = (tables.has_more[states] | (room < tables.most_needed)).nonzero().flatten()
            needed = tables.needed[tables.after[states[rows]].int()]
            log_probabilities[rows] = log_probabilities[rows].masked_fill_(
                needed > room[rows].unsqueeze(1), -inf
            )
        else:
            after = tables.after[:, subset.tokens.to(device)].int()
            needed = tables.needed_with(after, log_probabilities > -inf)
            needed = needed.gather(1, after[states].long())
            log_probabilities.masked_fill_(needed > room.unsqueeze(1), -inf)

    def _tables_on(self, device: torch.device) -> "_Tables":
        """Those for its steps; made at the first, as many a search is built and never run."""
        if device not in self._tables:
            vocabulary = self._vocabulary()
            automaton = PhraseAutomaton.of(self._phrases, vocabulary)
            self._tables[device] = to(_Tables.of(automaton, vocabulary), device)
        return self._tables[device]


@dataclass(frozen=True)
class _Tables:
    """What an automaton makes of a vocabulary. A token's state plus S: it completes a phrase.

    Take the phrase "a" and the pieces ``_a`` and ``b``. State 0 is the beginning, and let 3 be that
    after other words and 4 that after the word "a". Then `after[0]` is 4 for ``_a`` and 3 for
    ``b``; `after[4]` is 3 for ``b``, which makes another word, and 4 + S for ``_a`` and EOS, with
    which "a" stands there. `needed[4]` is 1, a ``b``, and `needed[4 + S]` is inf. So ``_a`` and EOS
    are forbidden in state 4, and in all states ``_a`` is where it must be the last token.

    Attributes:
        after: `[S V]`, the state after each token.
        needed: `[2S]`, fewest tokens before the text may end; inf where there is no way.
        most_needed: the most of these but inf.
        never: tokens that are forbidden in every state.
        has_more: `[S]`, whether any others are.
        excused: `[S]`, the state instead where a forced prefix ends.
    """

    after: Int[Tensor, "S V"]
    needed: Float[Tensor, " Z"]
    most_needed: Float[Tensor, ""]
    never: Int[Tensor, " N"]
    has_more: Bool[Tensor, " S"]
    excused: Int[Tensor, " S"]

    @classmethod
    def of(cls, automaton: PhraseAutomaton, vocabulary: Sequence[Spelling]) -> "_Tables":
        """Those of all tokens."""
        after = torch.from_numpy(automaton.read(vocabulary))
        is_open = torch.from_numpy(automaton.is_open)
        after[:, [PAD, BOS]] += len(after)
        after[is_open, EOS] += len(after)
        needed = torch.where(torch.cat([is_open, torch.ones_like(is_open)]), inf, 0.0)
        open_states = is_open.nonzero().flatten()
        while True:
            fewest = torch.full(open_states.shape, inf)
            for place, state in enumerate(open_states):
                fewest[place] = needed[after[state].int()].amin() + 1.0
            if torch.equal(fewest, needed[open_states]):
                break
            needed[open_states] = fewest
        never = torch.ones(after.shape[1], dtype=torch.bool)
        num_forbidden = torch.empty(len(after), dtype=torch.int64)
        for state, following in enumerate(after):  # all at once would take more than what is kept
            is_forbidden = needed[following.int()] == inf
            never &= is_forbidden
            num_forbidden[state] = is_forbidden.sum()
        most_needed = needed[needed < inf].amax()
        has_more = num_forbidden > never.sum()
        excused = torch.from_numpy(automaton.excused)
        return cls(after, needed, most_needed, never.nonzero().flatten(), has_more, excused)

    def read(self, partial: PartialHypotheses) -> Int[Tensor, " R"]:
        """The state after each hypothesis; what is in its forced prefix is excused."""
        tokens = partial.vocabulary_tokens()
        states = torch.zeros_like(tokens[:, 0])
        forced = partial.request.prefix_lengths()[partial.sentence]
        longest = 0 if partial.request.prefixes is None else partial.request.prefixes.shape[1]
        for place in range(1, tokens.shape[1]):
            states = self.after[states, tokens[:, place]].long() % len(self.after)
            if place <= longest:
                states = torch.where(forced == place, self.excused[states], states)
        return states

    def needed_with(
        self, after: Int[Tensor, "S U"], may_follow: Bool[Tensor, "R U"]
    ) -> Float[Tensor, "R Z"]:
        """`needed`, where each hypothesis has some tokens alone; more than one are as inf."""
        at_once = (self.needed[after] == 0.0).float()
        has_way = may_follow.float() @ at_once.T > 0.0
        has_way = torch.cat([has_way, torch.zeros_like(has_way)], dim=1)
        one = torch.where(has_way, 1.0, inf)
        return torch.where(self.needed == 0.0, 0.0, one)
