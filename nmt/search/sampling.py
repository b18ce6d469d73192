"""Sampling from the model's distribution, optionally truncated to the more probable tokens."""

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
from nmt.search.shapes import LogProbabilities

# Odd 64-bit constants of SplitMix64 (Steele 2014), as signed integers for torch.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64

_NUCLEUS = 256  # tokens that are sorted at first


@dataclass(eq=False)
class SamplingSearch(SinglePathSearch):
    """Search that samples each token; translations are scored by the model's probabilities.

    Samples depend on the seed and on the key of the sentence in the request, which is computed from
    its source. They do not depend on the batch, the position in the text, or the machine.

    Args:
        beam_size: ignored; `n_best` translations are sampled independently, and may be equal.
        n_best: translations of each sentence.
        scoring: orders them.
        rules: rules on the next token, and length limits.
        temperature: divides the log-probabilities; below 1 it sharpens the distribution.
        top_k: sample from the k most probable tokens only (Fan 2018); 0: from all.
        top_p: sample from the most probable tokens with this total probability (nucleus sampling:
            Holtzman 2020); 1: from all.
        epsilon: sample from the tokens with at least this probability, which always include the
            most probable one (Hewitt 2022); 0: from all. Freitag 2023 uses 0.02.
        seed: random seed of the samples.
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

    def _choose(self, ranked: LogProbabilities, partial: PartialHypotheses) -> Int[Tensor, " R"]:
        keys = partial.request.keys
        assert keys is not None, "each sentence needs a key"
        copy = partial.sentence % self.n_best
        chance = _uniform(keys[partial.sentence], self.seed, copy, partial.length)
        # Replace NaN, so that the search terminates even for a broken model.
        logits = ranked.float().masked_fill(ranked.isnan(), 0.0)
        logits = (logits - logits.amax(dim=1, keepdim=True)) / self.temperature
        candidates, tokens = self._truncate(torch.softmax(logits, dim=1))
        shares = candidates.cumsum(dim=1, dtype=torch.float64)
        places = torch.searchsorted(shares, chance.unsqueeze(1) * shares[:, -1:], right=True)
        return tokens.gather(1, places).squeeze(1)

    def _truncate(
        self, probabilities: LogProbabilities
    ) -> tuple[Float[Tensor, "R M"], Int[Tensor, "R M"]]:
        """Return the probabilities (0 for excluded tokens) and ids of the tokens to sample from."""
        size = probabilities.shape[1]
        most = min(self.top_k or size, size)
        if most == size and self.top_p == 1.0 and self.epsilon == 0.0:
            everything = torch.arange(size, device=probabilities.device)
            return probabilities, everything.expand_as(probabilities)
        # A nucleus usually has few tokens, and sorting a vocabulary takes longer than the rest of
        # a step. So tokens that are never drawn are not sorted.
        possible = probabilities.masked_fill(probabilities == 0.0, -inf)
        for number in (min(most, _NUCLEUS), most):
            tokens = best_in_order(possible, number)
            values = probabilities.gather(1, tokens)
            last = values[:, -1:]  # some tokens with an equal value may be missing
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
    """Return uniform numbers in [0, 1), each a function of its arguments only.

    They have 48 bits, so that their product with a sum of shares is never rounded up to the sum.
    """
    mixed = _mix(_mix(_mix(keys + seed * _STEP % 2**63) + copy) + step)
    return _shift(mixed, 16).double() / (1 << 48)


def _mix(numbers: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
    """Do one step of SplitMix64, in wrap-around arithmetic."""
    mixed = numbers + _STEP
    mixed = (mixed ^ _shift(mixed, 30)) * _FIRST
    mixed = (mixed ^ _shift(mixed, 27)) * _SECOND
    return mixed ^ _shift(mixed, 31)


def _shift(numbers: Int[Tensor, " R"], bits: int) -> Int[Tensor, " R"]:
    """Shift to the right and fill with zeros; torch's `>>` fills with the sign bit."""
    return numbers >> bits & (1 << 64 - bits) - 1
