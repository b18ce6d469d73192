"""A pool of one rank; `tests/integration/test_ranks.py` has several."""

from collections.abc import Iterator

import pytest

from nmt.core.errors import DataError
from nmt.distributed.process_group import ProcessGroup
from nmt.distributed.rank_pool import RankPool


def test_a_single_rank_computes_all_jobs_in_order() -> None:
    def jobs() -> Iterator[tuple[int]]:
        yield from ((number,) for number in range(20))
        raise DataError("line 21 is missing")

    results = RankPool(3, ProcessGroup()).map(pow, jobs())
    assert [next(results) for _ in range(20)] == [3**number for number in range(20)]
    with pytest.raises(DataError, match="line 21"):
        next(results)


def test_traceback_names_the_rank() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)^in rank 0:.*ZeroDivisionError"):
        list(RankPool(1, ProcessGroup()).map(divmod, [(0,)]))
