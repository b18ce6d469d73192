"""Greedy search: always the most probable token."""

import torch
from jaxtyping import Int
from torch import Tensor

from nmt.errors import ConfigError
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalties import LengthPenalty
from nmt.search.search import Search, SearchLimits, State, StepFunction
from nmt.structure import select
from nmt.symbols import BOS, EOS


class GreedySearch(Search):
    """Follow the most probable token until it is EOS; of equal ones, the lowest.

    Args:
        beam_size: means nothing here; one hypothesis is kept.
        n_best: must be 1.
        penalty: changes the score, not the choice.
        limits: how long translations may be.

    Raises:
        ConfigError: more than one translation is asked for.
    """

    def __init__(
        self, beam_size: int, n_best: int, penalty: LengthPenalty, limits: SearchLimits
    ) -> None:
        if n_best > 1:
            raise ConfigError(
                f"decoding.n_best: {n_best}, but greedy search finds one translation; "
                "set it to 1, or decoding.search to beam"
            )
        super().__init__(1, n_best, penalty, limits)

    def __call__(
        self, step: StepFunction[State], state: State, source_lengths: Int[Tensor, " B"]
    ) -> list[list[Hypothesis]]:
        """Translate a batch; see `Search`."""
        most = self.limits.most_tokens(source_lengths)
        found: list[list[Hypothesis]] = [[] for _ in range(len(source_lengths))]
        sentences = list(range(len(found)))
        tokens = torch.full_like(source_lengths, BOS).unsqueeze(1)
        totals = torch.zeros(len(found), device=source_lengths.device)
        while sentences:
            length = tokens.shape[1] - 1
            log_probabilities, state = step(tokens[:, -1], state)
            first = self.limits.first_token(length)
            best = log_probabilities[:, first:].argmax(dim=1) + first
            best = torch.where(most == length, EOS, best).unsqueeze(1)
            totals = totals + log_probabilities.gather(1, best).squeeze(1)
            tokens = torch.cat([tokens, best], dim=1)

            goes_on = best.squeeze(1) != EOS
            if goes_on.all():
                continue
            ended = ~goes_on
            for sentence, hypothesis in zip(
                ended.nonzero().flatten().tolist(),
                self._hypotheses(tokens[ended], totals[ended]),
                strict=True,
            ):
                found[sentences[sentence]].append(hypothesis)
            rows = goes_on.nonzero().flatten()
            sentences = [sentences[row] for row in rows.tolist()]
            most, tokens, totals, state = select((most, tokens, totals, state), rows)
        return found

    def _hypotheses(self, tokens: Tensor, totals: Tensor) -> list[Hypothesis]:
        """Finished hypotheses from BOS, tokens, EOS."""
        scores = self.penalty.score(totals, totals.new_full((), tokens.shape[1] - 1))
        return [
            Hypothesis(tuple(row), total, score)
            for row, total, score in zip(
                tokens[:, 1:-1].tolist(), totals.tolist(), scores.tolist(), strict=True
            )
        ]
