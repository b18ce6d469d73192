"""Numbers of the server for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LINES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one server; nothing is shared with other servers of the process.

    Attributes:
        waiting: requests that wait for their answer.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nmt_requests",
            "Requests that were answered",
            ("path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "nmt_request_seconds",
            "Time until the answer",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._lines = Counter(
            "nmt_lines", "Lines that were translated", ("model",), registry=self._registry
        )
        self._batch_lines = Histogram(
            "nmt_batch_lines", "Lines of each batch", buckets=_LINES, registry=self._registry
        )
        self.waiting = Gauge(
            "nmt_waiting", "Requests that wait for their answer", registry=self._registry
        )

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            path: template of the route; texts of clients would be labels without end.
            status: of the answer.
            seconds: from the request to the answer.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def add_lines(self, model: str, number: int) -> None:
        """Count lines that a model has translated."""
        self._lines.labels(model).inc(number)

    def add_batch(self, num_lines: int) -> None:
        """Count a batch."""
        self._batch_lines.observe(num_lines)

    def text(self) -> bytes:
        """Return all numbers in the format of Prometheus."""
        return generate_latest(self._registry)
