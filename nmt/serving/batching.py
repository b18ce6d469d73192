"""Requests of several clients, computed together in batches by a few threads."""

import heapq
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

T = TypeVar("T")
Line = TypeVar("Line")
Check = Callable[[], None]

PIECE: Final = 32  # lines of a request that are put into the queue as one item
MOST_LINES: Final = 256  # in a batch
_LATER: Final = 4  # arrivals of others that go before each further piece of a request


class _Abandoned(Exception):
    """Nobody waits for the results any more."""


@dataclass(eq=False)
class _Job:
    """A request, or one round of it.

    Attributes:
        key: jobs with equal keys are computed together; None: with no other.
        compute: computes lines of jobs with this key.
        lines: of the job.
        future: of the results; it may be cancelled at any time before it has them.
        results: of each line, so far.
        num_open: lines without results.
    """

    key: Hashable
    compute: Callable[[list[Any], Check], Sequence[Any]]
    lines: Sequence[Any]
    future: "Future[list[Any]]" = field(default_factory=Future)
    results: list[Any] = field(default_factory=list)
    num_open: int = 0

    def __post_init__(self) -> None:
        self.results = [None] * len(self.lines)
        self.num_open = len(self.lines)

    def finish(self, start: int, results: Sequence[Any]) -> None:
        self.results[start : start + len(results)] = results
        self.num_open -= len(results)
        if self.num_open == 0 and self.future.set_running_or_notify_cancel():
            self.future.set_result(self.results)

    def fail(self, error: Exception) -> None:
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(order=True)
class _Piece:
    """Some lines of a job; pieces of a lower rank go first."""

    rank: int
    number: int
    arrival: float = field(compare=False)
    job: _Job = field(compare=False)
    start: int = field(compare=False)

    @property
    def lines(self) -> Sequence[Any]:
        return self.job.lines[self.start : self.start + PIECE]


class Batcher:
    """Threads that translate the lines of all requests together.

    Long requests are split into pieces, which let later requests pass. A batch that fails is
    computed again for each of its requests, so that one request cannot stop another. A computation
    is given a check, which raises once nobody waits for its results.

    Args:
        num_threads: number of threads.
        window: seconds that a line waits for others before its batch starts.
        report: called with the number of lines of each batch.
    """

    def __init__(
        self, num_threads: int, window: float, report: Callable[[int], object] = lambda lines: None
    ) -> None:
        self._window = window
        self._report = report
        self._queue: list[_Piece] = []
        self._number = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._collecting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"nmt-serve-{number}", daemon=True)
            for number in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        lines: Sequence[Line],
        key: Hashable,
        compute: Callable[[list[Line], Check], Sequence[T]],
    ) -> "Future[list[T]]":
        """Return the future results of lines.

        Args:
            lines: of one request.
            key: of the model and its options; lines with equal keys are computed together.
            compute: computes lines with this key. It is given a check to call from time to time.
        """
        return self._add(_Job(key, compute, lines))

    def run(self, function: Callable[[Check], T]) -> "Future[list[T]]":
        """Return the future result of a function of a check, as the only item of a list."""
        return self._add(_Job(None, lambda _, check: [function(check)], [None]))

    def close(self) -> None:
        """Compute what waits, and end the threads."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _add(self, job: _Job) -> "Future[list[Any]]":
        if not job.lines:
            job.future.set_result([])
            return job.future
        arrival = time.monotonic()
        with self._changed:
            for place, start in enumerate(range(0, len(job.lines), PIECE)):
                rank = self._number + _LATER * place
                heapq.heappush(self._queue, _Piece(rank, self._number + place, arrival, job, start))
            self._number += 1
            self._changed.notify_all()
        return job.future

    def _work(self) -> None:
        while pieces := self._take():
            self._compute(pieces)

    def _take(self) -> list[_Piece]:
        """Return the pieces of the next batch; empty: the batcher is closed."""
        with self._collecting, self._changed:
            while True:
                self._queue = [one for one in self._queue if not one.job.future.cancelled()]
                heapq.heapify(self._queue)
                if self._queue:
                    break
                if self._is_closed:
                    return []
                self._changed.wait()
            pieces = [heapq.heappop(self._queue)]
            if pieces[0].job.key is None:
                return pieces
            until = pieces[0].arrival + self._window
            while True:
                num_lines = self._collect(pieces)
                rest = until - time.monotonic()
                if num_lines >= MOST_LINES or rest <= 0 or self._is_closed:
                    return pieces
                self._changed.wait(rest)

    def _collect(self, pieces: list[_Piece]) -> int:
        """Move pieces with the same key from the queue to a batch; return its number of lines."""
        num_lines = sum(len(piece.lines) for piece in pieces)
        kept = []
        while self._queue and num_lines < MOST_LINES:
            piece = heapq.heappop(self._queue)
            if piece.job.key == pieces[0].job.key:
                pieces.append(piece)
                num_lines += len(piece.lines)
            else:
                kept.append(piece)
        for piece in kept:
            heapq.heappush(self._queue, piece)
        return num_lines

    def _compute(self, pieces: Sequence[_Piece]) -> None:
        pieces = [piece for piece in pieces if not piece.job.future.done()]
        if not pieces:
            return
        lines = [line for piece in pieces for line in piece.lines]
        self._report(len(lines))

        def check() -> None:
            if all(piece.job.future.done() for piece in pieces):
                raise _Abandoned

        try:
            results = pieces[0].job.compute(lines, check)
        except _Abandoned:
            return
        except Exception as error:
            if len({id(piece.job) for piece in pieces}) == 1:
                pieces[0].job.fail(error)
                return
            for piece in pieces:
                self._compute([piece])
            return
        start = 0
        for piece in pieces:
            piece.job.finish(piece.start, results[start : start + len(piece.lines)])
            start += len(piece.lines)
