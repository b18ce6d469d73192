"""Jobs in threads: their order, how far ahead they are taken, their errors, and their ends."""

import threading
from collections.abc import Iterator

import pytest
import torch

from nmt.distributed.thread_map import map_in_threads


def numbered(count: int, taken: list[int] | None = None) -> Iterator[tuple[str, tuple[int]]]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield f"job {number}", (number,)


def test_results_are_in_the_order_of_the_jobs_with_their_items() -> None:
    first_may_end = threading.Event()

    def square(number: int) -> int:
        if number == 0:
            assert first_may_end.wait(10)  # ends last
        elif number == 2:
            first_may_end.set()
        return number * number

    found = list(map_in_threads(square, numbered(20), 3))
    assert found == [(f"job {number}", number * number) for number in range(20)]


def test_jobs_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3)
    waited = [place for _, place in map_in_threads(lambda _: meeting.wait(10), numbered(3), 3)]
    assert sorted(waited) == [0, 1, 2]


def test_jobs_are_taken_a_few_ahead() -> None:
    taken: list[int] = []
    results = map_in_threads(lambda number: number, numbered(100, taken), 2)
    assert next(results) == ("job 0", 0)
    assert taken == [0, 1, 2, 3]
    assert next(results) == ("job 1", 1)
    assert taken == [0, 1, 2, 3, 4]
    results.close()  # type: ignore[attr-defined]
    assert len(taken) == 5


@pytest.mark.parametrize("where", ["function", "jobs"])
def test_an_error_is_raised_after_the_results_before_it(where: str) -> None:
    def halve(number: int) -> float:
        if where == "function" and number == 3:
            raise ValueError("job three")
        return number / 2

    def jobs() -> Iterator[tuple[str, tuple[int]]]:
        yield from numbered(3 if where == "jobs" else 9)
        raise ValueError("job three")

    results = map_in_threads(halve, jobs(), 2)
    assert [next(results)[1] for _ in range(3)] == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="job three"):
        next(results)


def test_started_jobs_end_with_the_iterator_and_others_do_not_start() -> None:
    begun: list[int] = []
    ended: list[int] = []
    may_end = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            assert may_end.wait(10)
        ended.append(number)
        return number

    results = map_in_threads(work, numbered(50), 2)
    next(results)
    threading.Timer(0.05, may_end.set).start()
    results.close()  # type: ignore[attr-defined]
    assert sorted(begun) == sorted(ended)
    assert len(ended) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nmt_")]


def test_torch_computes_in_one_thread_there_and_as_before_in_the_caller() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        jobs = map_in_threads(lambda _: torch.get_num_threads(), numbered(8), 2)
        inside = [(count, torch.get_num_threads()) for _, count in jobs]
        assert inside == [(1, 3)] * 8
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [3]
    finally:
        torch.set_num_threads(before)


def test_a_fork_cannot_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    results = map_in_threads(lambda number: number, numbered(9), 2)
    next(results)
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: 1)
        with pytest.raises(
            RuntimeError, match=r"belong to process [0-9]+, not to its fork 1; start"
        ):
            next(results)
