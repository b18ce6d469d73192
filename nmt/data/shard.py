"""The share of each process in the sentences of an update."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Shard:
    """One process among those that share an update.

    Attributes:
        rank: its number, from 0 on.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def ranks_per_batch(self, num_batches: int) -> list[int]:
        """Return the number of processes that compute each of the batches of one update.

        While there are as many batches as processes, each takes a whole one, as half the sentences
        take a recurrent network hardly less time. The rest are each cut among several.
        """
        num_left = num_batches % self.size
        cut = [rank * num_left // self.size for rank in range(self.size)]
        return [1] * (num_batches - num_left) + [cut.count(index) for index in range(num_left)]

    def select(self, batches: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return what this process computes of the batches of one update; perhaps nothing.

        `ranks_per_batch` says how they are distributed. All shards together are the batches.

        Args:
            batches: the numbers of their pairs, `[B]` each.
        """
        num_whole = len(batches) - len(batches) % self.size
        mine = batches[self.rank : num_whole : self.size]
        left = zip(batches[num_whole:], self.ranks_per_batch(len(batches))[num_whole:], strict=True)
        pieces = [
            piece
            for batch, number in left
            for piece in np.array_split(batch, number)  # one for each process, all together
        ]
        if pieces and len(pieces[self.rank]):
            mine.append(pieces[self.rank])
        return mine


UNSHARDED: Final = Shard()
