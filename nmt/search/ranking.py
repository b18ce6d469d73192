"""The best continuations of each sentence's hypotheses, exactly and in a fixed order."""

from dataclasses import dataclass
from math import inf

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BLOCK = 64  # tokens whose maximum stands for them
_FEW = 2**17  # log-probabilities that are looked through faster than in blocks


@dataclass(frozen=True)
class Candidates:
    """The best continuations of N sentences, best first; of equals, the earlier row, then token.

    Attributes:
        totals: `[N C]`, log-probability of hypothesis and token together; -inf: there is none.
        rows: `[N C]`, which open hypothesis is continued (R where there is none).
        tokens: `[N C]`, with what.
    """

    totals: Float[Tensor, "N C"]
    rows: Int[Tensor, "N C"]
    tokens: Int[Tensor, "N C"]

    def take(self, columns: Int[Tensor, "N D"]) -> "Candidates":
        """These of each sentence, in this order."""
        return Candidates(
            self.totals.gather(1, columns),
            self.rows.gather(1, columns),
            self.tokens.gather(1, columns),
        )


def rank_continuations(
    log_probabilities: Float[Tensor, "R V"],
    totals: Float[Tensor, " R"],
    slots: Int[Tensor, "N W"],
    count: int,
) -> Candidates:
    """Rank all that may follow R open hypotheses, for each of N sentences by itself.

    The vocabulary is passed over once, to find the maximum of each block of tokens. The best C
    continuations lie in the C blocks with the highest maxima (of equals, the first): a block that
    is left out has C blocks before it, each with an element that is no worse. Only those blocks
    are looked into. Unlike `torch.topk` this has a fixed order of equals, on any device and
    whatever else is in the batch; and it is faster.

    Args:
        log_probabilities: of each token after each hypothesis.
        totals: log-probability of each hypothesis so far.
        slots: the hypotheses of each sentence; R stands for none.
        count: C, or fewer where there are fewer continuations.
    """
    vocabulary_size = log_probabilities.shape[1]
    count = min(count, slots.shape[1] * vocabulary_size)
    if slots.numel() * vocabulary_size <= _FEW:
        return _rank_few(log_probabilities, totals, slots, count)
    maxima = _block_maxima(log_probabilities) + totals.unsqueeze(1)
    num_blocks = maxima.shape[1]
    blocks = _best_blocks(maxima, slots, count)
    rows = slots.gather(1, blocks // num_blocks).unsqueeze(2)
    first_tokens = (blocks % num_blocks * _BLOCK).unsqueeze(2)
    tokens = first_tokens + torch.arange(_BLOCK, device=slots.device)
    values = _values(log_probabilities, totals, rows, tokens).flatten(1)
    order = best_in_order(values, count)
    return Candidates(
        values.gather(1, order),
        rows.expand_as(tokens).flatten(1).gather(1, order),
        tokens.flatten(1).gather(1, order),
    )


def _rank_few(
    log_probabilities: Float[Tensor, "R V"],
    totals: Float[Tensor, " R"],
    slots: Int[Tensor, "N W"],
    count: int,
) -> Candidates:
    """The same, without blocks."""
    vocabulary_size = log_probabilities.shape[1]
    values = _of_slots(log_probabilities + totals.unsqueeze(1), slots)
    order = best_in_order(values, count)
    rows = slots.gather(1, torch.div(order, vocabulary_size, rounding_mode="floor"))
    return Candidates(values.gather(1, order), rows, order % vocabulary_size)


def _best_blocks(
    maxima: Float[Tensor, "R M"], slots: Int[Tensor, "N W"], count: int
) -> Int[Tensor, "N P"]:
    """The blocks with the highest maxima, ascending: of all slots of a sentence, in a row."""
    return best_in_order(_of_slots(maxima, slots), count).sort(dim=1).values


def _of_slots(values: Float[Tensor, "R A"], slots: Int[Tensor, "N W"]) -> Float[Tensor, "N B"]:
    """The values of each sentence's slots in a row; -inf for those that are empty."""
    padded = torch.cat([values, values.new_full((1, values.shape[1]), -inf)])
    return padded[slots].flatten(1)


def best_in_order(values: Float[Tensor, "N M"], count: int) -> Int[Tensor, "N C"]:
    """Where the highest values of each row are, the highest first; of equals, the first.

    `torch.topk` does not say which of equals it takes, and sorting a row takes many times longer.
    Which were taken is certain where the next one is lower; only else is it sorted. (Which of
    several -inf are taken is left open.)
    """
    if count < values.shape[1]:
        highest = values.topk(count + 1, dim=1)
        last, next_ = highest.values[:, -2], highest.values[:, -1]
        if ((last > next_) | (last == -inf)).all():
            places = highest.indices[:, :count].sort(dim=1).values
            order = values.gather(1, places).sort(dim=1, descending=True, stable=True).indices
            return places.gather(1, order)
    return values.sort(dim=1, descending=True, stable=True).indices[:, :count]


def _values(
    log_probabilities: Float[Tensor, "R V"],
    totals: Float[Tensor, " R"],
    rows: Int[Tensor, "N P 1"],
    tokens: Int[Tensor, "N P X"],
) -> Float[Tensor, "N P X"]:
    """The total of each hypothesis and token; -inf where there is no such hypothesis or token."""
    num_rows, vocabulary_size = log_probabilities.shape
    exists = (tokens < vocabulary_size) & (rows < num_rows)
    safe_rows = rows.clamp(max=num_rows - 1)
    index = safe_rows * vocabulary_size + tokens.clamp(max=vocabulary_size - 1)
    values = log_probabilities.flatten()[index] + totals[safe_rows]
    return values.masked_fill(~exists, -inf)


def _block_maxima(values: Float[Tensor, "R A"]) -> Float[Tensor, "R M"]:
    """The maximum of each block of tokens; the last block may be short."""
    num_whole = values.shape[1] // _BLOCK
    end = num_whole * _BLOCK
    maxima = values[:, :end].view(len(values), num_whole, _BLOCK).amax(dim=2)
    if end < values.shape[1]:
        maxima = torch.cat([maxima, values[:, end:].amax(dim=1, keepdim=True)], dim=1)
    return maxima
