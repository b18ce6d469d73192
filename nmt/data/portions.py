"""Which of an update's sentences each of several processes computes."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Place:
    """One process among those that share an update.

    Attributes:
        rank: its number, from 0 on.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def portion(self, batches: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """What this process computes of the batches of one update; perhaps nothing.

        Of as many batches as there are processes each has one whole, as a recurrent network takes
        hardly less time for half the sentences. Those that are left over are each cut among some
        processes. All portions together are the batches.

        Args:
            batches: the numbers of their pairs, `[B]` each.
        """
        num_whole = len(batches) - len(batches) % self.size
        mine = batches[self.rank : num_whole : self.size]
        left = batches[num_whole:]
        if left:
            sharing = [rank * len(left) // self.size for rank in range(self.size)]
            index = sharing[self.rank]
            pieces = np.array_split(left[index], sharing.count(index))
            piece = pieces[self.rank - sharing.index(index)]
            mine += [piece] if len(piece) else []
        return mine


ALONE: Final = Place()
