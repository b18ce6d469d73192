"""Sampling: tokens are drawn as probable as they are, or only from the more probable ones."""

from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Float, Int
from torch import Tensor

from nmt.search.greedy import SinglePathSearch
from nmt.search.rules import PartialHypotheses
from nmt.search.search import best_in_order

# Odd 64-bit constants of SplitMix64 (Steele 2014), as the signed numbers that torch has.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64

_NUCLEUS = 256  # tokens that are looked at first


@dataclass(eq=False)
class SamplingSearch(SinglePathSearch):
    """Search that draws each token; the scores of a translation are still those of the model.

    What is drawn depends on the seed and on the key of the sentence in the request, which says
    what stands in its source: not on the batch, on its place in the text, or on the machine.

    Args:
        beam_size: means nothing here; `n_best` translations are drawn, each by itself. The same
            may be drawn twice.
        n_best: translations of each sentence.
        scoring: orders them.
        rules: what may follow, and how long translations may be.
        temperature: log-probabilities are divided by it: below 1 the probable become more so.
        top_k: draw only from the k most probable (Fan 2018); 0: from all.
        top_p: draw from the most probable that have this share together (nucleus sampling: Holtzman
            2020); 1: from all.
        epsilon: draw from those that are as probable as this (Hewitt 2022; Freitag 2023 has 0.02),
            and from the most probable always; 0: from all.
        seed: another one, another translation.
    """

    draws_samples = True

    _: KW_ONLY
    temperature: Annotated[float, Ge(0.001), Le(1_000)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    top_p: Annotated[float, Gt(0.0), Le(1.0)] = 1.0
    epsilon: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    seed: Annotated[int, Ge(0), Lt(2**31)] = 1

    def __post_init__(self) -> None:
        self.beam_size = self.n_best
        super().__post_init__()

    def _choose(
        self, ranked: Float[Tensor, "R V"], partial: PartialHypotheses
    ) -> Int[Tensor, " R"]:
        keys = partial.request.keys
        assert keys is not None, "whoever asks for samples gives each sentence a key"
        copy = partial.sentence % self.n_best
        chance = _uniform(keys[partial.sentence], self.seed, copy, partial.length)
        # A model that gives no numbers must come to an end as well.
        logits = ranked.float().masked_fill(ranked.isnan(), 0.0)
        logits = (logits - logits.amax(dim=1, keepdim=True)) / self.temperature
        candidates, tokens = self._truncate(torch.softmax(logits, dim=1))
        shares = candidates.cumsum(dim=1, dtype=torch.float64)
        places = torch.searchsorted(shares, chance.unsqueeze(1) * shares[:, -1:], right=True)
        return tokens.gather(1, places).squeeze(1)

    def _truncate(
        self, probabilities: Float[Tensor, "R V"]
    ) -> tuple[Float[Tensor, "R M"], Int[Tensor, "R M"]]:
        """Return the probabilities to draw from, with 0 for what is left out, and their tokens."""
        size = probabilities.shape[1]
        most = min(self.top_k or size, size)
        if most == size and self.top_p == 1.0 and self.epsilon == 0.0:
            everything = torch.arange(size, device=probabilities.device)
            return probabilities, everything.expand_as(probabilities)
        # Few are in a nucleus as a rule, and to sort a vocabulary takes longer than all the rest:
        # so the order of what is never drawn is left open.
        possible = probabilities.masked_fill(probabilities == 0.0, -inf)
        for number in (min(most, _NUCLEUS), most):
            tokens = best_in_order(possible, number)
            values = probabilities.gather(1, tokens)
            last = values[:, -1:]  # of its equals some may be left out
            share = values.masked_fill(values == last, 0.0).sum(dim=1, dtype=torch.float64)
            has_all = (share >= self.top_p) | (last.squeeze(1) < self.epsilon)
            if number == most or has_all.all():
                break
        so_far = values.cumsum(dim=1, dtype=torch.float64)
        left_out = (values < self.epsilon) | (so_far - values >= self.top_p)
        left_out[:, 0] = False
        return values.masked_fill(left_out, 0.0), tokens


def _uniform(
    keys: Int[Tensor, " R"], seed: int, copy: Int[Tensor, " R"], step: int
) -> Float[Tensor, " R"]:
    """Return numbers in [0, 1), evenly spread, each a function of its arguments only.

    Of 48 bits, so that their product with a sum of shares is never rounded up to that.
    """
    mixed = _mix(_mix(_mix(keys + seed * _STEP % 2**63) + copy) + step)
    return _shift(mixed, 16).double() / (1 << 48)


def _mix(numbers: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
    """Do one step of SplitMix64: sums and products wrap around."""
    mixed = numbers + _STEP
    mixed = (mixed ^ _shift(mixed, 30)) * _FIRST
    mixed = (mixed ^ _shift(mixed, 27)) * _SECOND
    return mixed ^ _shift(mixed, 31)


def _shift(numbers: Int[Tensor, " R"], bits: int) -> Int[Tensor, " R"]:
    """Shift to the right with zeros coming in; torch has the sign come in."""
    return numbers >> bits & (1 << 64 - bits) - 1
