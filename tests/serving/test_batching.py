"""Lines of several requests are computed together, and one request cannot stop another."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nmt.serving.batching import MOST_LINES, PIECE, Batcher


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher(num_threads=1, window=0.05)
    yield made
    made.close()


class Recorder:
    """A translator that remembers its batches; it can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.has_begun = threading.Event()

    def __call__(self, lines: list[Any], check: Any = None) -> list[Any]:
        self.batches.append(lines)
        self.has_begun.set()
        assert self.may_run.wait(10)
        if "bad" in lines:
            raise ValueError("bad")
        return [f"<{line}>" for line in lines]

    def hold(self, batcher: Batcher) -> Any:
        """Occupy the thread; returns the future of the line that does it."""
        self.may_run.clear()
        self.has_begun.clear()
        future = batcher.submit(["hold"], "hold", self)
        assert self.has_begun.wait(10)
        return future


def test_lines_of_several_requests_are_one_batch(batcher: Batcher) -> None:
    translate = Recorder()
    translate.hold(batcher)
    futures = [batcher.submit([str(number)], "key", translate) for number in range(5)]
    translate.may_run.set()
    assert [future.result(10) for future in futures] == [[f"<{number}>"] for number in range(5)]
    assert translate.batches == [["hold"], ["0", "1", "2", "3", "4"]]


def test_a_line_waits_for_others_until_the_batch_is_full() -> None:
    batcher, translate = Batcher(num_threads=1, window=60.0), Recorder()
    first = batcher.submit(["first"], "key", translate)
    rest = batcher.submit(["rest"] * (MOST_LINES - 1), "key", translate)
    assert (first.result(10), len(rest.result(10))) == (["<first>"], MOST_LINES - 1)
    assert [len(batch) for batch in translate.batches] == [MOST_LINES]
    batcher.close()


def test_other_options_are_another_batch(batcher: Batcher) -> None:
    translate = Recorder()
    translate.hold(batcher)
    futures = [batcher.submit([key], key, translate) for key in ("a", "b", "a")]
    translate.may_run.set()
    assert [future.result(10) for future in futures] == [["<a>"], ["<b>"], ["<a>"]]
    assert translate.batches == [["hold"], ["a", "a"], ["b"]]


def test_a_batch_has_a_largest_size(batcher: Batcher) -> None:
    translate = Recorder()
    lines = [str(number) for number in range(3 * MOST_LINES)]
    assert batcher.submit(lines, "key", translate).result(10) == [f"<{line}>" for line in lines]
    assert [len(batch) for batch in translate.batches] == [MOST_LINES] * 3


def test_a_long_request_lets_others_pass(batcher: Batcher) -> None:
    translate = Recorder()
    held = translate.hold(batcher)
    long = batcher.submit(["long"] * (MOST_LINES + PIECE), "long", translate)
    short = batcher.submit(["short"], "short", translate)
    translate.may_run.set()
    assert short.result(10) == ["<short>"]
    assert held.result(10)
    assert len(long.result(10)) == MOST_LINES + PIECE
    assert [batch[0] for batch in translate.batches] == ["hold", "long", "short", "long"]


def test_a_failing_request_does_not_stop_others(batcher: Batcher) -> None:
    translate = Recorder()
    translate.hold(batcher)
    good, bad = (batcher.submit([line], "key", translate) for line in ("good", "bad"))
    translate.may_run.set()
    assert good.result(10) == ["<good>"]
    with pytest.raises(ValueError, match="bad"):
        bad.result(10)
    assert translate.batches == [["hold"], ["good", "bad"], ["good"], ["bad"]]
    assert batcher.submit(["again"], "key", translate).result(10) == ["<again>"]


def test_a_cancelled_request_costs_nothing(batcher: Batcher) -> None:
    translate = Recorder()
    held = translate.hold(batcher)
    gone = batcher.submit(["gone"] * 100, "key", translate)
    assert gone.cancel()
    translate.may_run.set()
    assert batcher.submit(["there"], "key", translate).result(10) == ["<there>"]
    assert held.result(10)
    assert translate.batches == [["hold"], ["there"]]


def test_cancelling_while_it_is_computed_stops_the_rest(batcher: Batcher) -> None:
    translate = Recorder()
    translate.may_run.clear()
    gone = batcher.submit(["gone"] * 3 * MOST_LINES, "key", translate)
    assert translate.has_begun.wait(10)
    assert gone.cancel()
    translate.may_run.set()
    assert batcher.submit(["there"], "other", translate).result(10) == ["<there>"]
    assert [batch[0] for batch in translate.batches] == ["gone", "there"]


def test_cancelling_one_request_does_not_stop_its_batch(batcher: Batcher) -> None:
    holder, has_begun, is_cancelled = Recorder(), threading.Event(), threading.Event()
    batches = []

    def compute(lines: list[str], check: Callable[[], None]) -> list[str]:
        batches.append(lines)
        has_begun.set()
        assert is_cancelled.wait(10)
        check()
        return lines

    holder.hold(batcher)
    gone, there = (batcher.submit([line], "key", compute) for line in ("gone", "there"))
    holder.may_run.set()
    assert has_begun.wait(10)
    assert gone.cancel()
    is_cancelled.set()
    assert there.result(10) == ["there"]
    assert batches == [["gone", "there"]]


def test_a_computation_learns_that_nobody_waits_any_more(batcher: Batcher) -> None:
    steps: list[str] = []
    has_begun, may_run = threading.Event(), threading.Event()

    def compute(lines: list[str], check: Callable[[], None]) -> list[str]:
        check()
        steps.append("begun")
        has_begun.set()
        assert may_run.wait(10)
        check()
        steps.append("done")
        return lines

    gone, there = (batcher.submit([line], "key", compute) for line in ("gone", "there"))
    assert has_begun.wait(10)
    assert gone.cancel()
    may_run.set()
    assert there.result(10) == ["there"], "others of the batch still wait"
    assert steps == ["begun", "done"]
    has_begun.clear()
    may_run.clear()
    gone = batcher.submit(["gone"], "key", compute)
    assert has_begun.wait(10)
    assert gone.cancel()
    may_run.set()
    assert batcher.run(lambda check: check()).result(10) == [None]
    assert steps == ["begun", "done", "begun"]


def test_functions_run_alone(batcher: Batcher) -> None:
    assert batcher.run(lambda check: 3).result(10) == [3]
    with pytest.raises(ZeroDivisionError):
        batcher.run(lambda check: 1 // 0).result(10)


def test_nothing_to_translate_is_done_at_once(batcher: Batcher) -> None:
    assert batcher.submit([], "key", Recorder()).result(0) == []


def test_close_computes_what_waits() -> None:
    batcher = Batcher(num_threads=2, window=5.0)
    future = batcher.submit(["a"], "key", Recorder())
    start = time.monotonic()
    batcher.close()
    assert future.result(0) == ["<a>"]
    assert time.monotonic() - start < 4.0, "closing does not wait for the window"
