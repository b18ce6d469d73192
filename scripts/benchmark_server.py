"""Measure a running `nmt serve`: throughput, latency and refused requests.

python scripts/benchmark_server.py http://127.0.0.1:5000/ lines.en --clients 16 --seconds 60

Each client sends one request after another, with lines of the file in turn. The last line is a JSON
object. With --pid, the memory of the server is read before and after.
"""

import argparse
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from statistics import median


class Load:
    """Clients that ask at the same time.

    Args:
        url: of the server, with a slash at the end.
        lines: to translate.
        lines_per_request: number of lines of a request.
    """

    def __init__(self, url: str, lines: list[str], lines_per_request: int) -> None:
        self._url = f"{url}v1/translate"
        self._lines = cycle(lines)
        self._size = lines_per_request
        self._lock = threading.Lock()
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.refused_seconds: list[float] = []
        self.num_lines = 0

    def run(self, num_clients: int, seconds: float) -> float:
        """Ask until the time is over; return the seconds that it took."""
        start = time.monotonic()
        until = start + seconds
        threads = [
            threading.Thread(target=self._ask_until, args=(until,)) for _ in range(num_clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - start

    def _ask_until(self, until: float) -> None:
        while time.monotonic() < until:
            start = time.monotonic()
            status, wait = self._ask(self._take())
            seconds = time.monotonic() - start
            with self._lock:
                self.statuses[status] += 1
                if status == 200:
                    self.seconds.append(seconds)
                    self.num_lines += self._size
                else:
                    self.refused_seconds.append(seconds)
            time.sleep(min(wait, max(0.0, until - time.monotonic())))

    def _take(self) -> list[str]:
        with self._lock:
            return list(islice(self._lines, self._size))

    def _ask(self, lines: list[str]) -> tuple[int, float]:
        """Return the status of a request (0: no answer), and the seconds before the next one."""
        body = json.dumps({"text": lines, "split": False}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
                return answer.status, 0.0
        except urllib.error.HTTPError as error:
            with error:
                return error.code, float(error.headers.get("Retry-After") or 0.0)
        except OSError:
            return 0, 0.1


def read_memory(pid: int | None) -> float:
    """Return the resident memory of a process in MB; 0 without a process."""
    if pid is None:
        return 0.0
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1_000 for line in lines if line.startswith("VmRSS"))


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("lines", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--lines-per-request", type=int, default=1)
    parser.add_argument("--pid", type=int)
    arguments = parser.parse_args()
    lines = arguments.lines.read_text(encoding="utf-8").splitlines()
    warm_up = Load(arguments.url, lines, arguments.lines_per_request)
    warm_up.run(arguments.clients, 2.0)
    if not warm_up.statuses[200]:
        sys.exit(f"{arguments.url}: translates nothing; start `nmt serve` and give its address")
    before = read_memory(arguments.pid)
    load = Load(arguments.url, lines, arguments.lines_per_request)
    seconds = load.run(arguments.clients, arguments.seconds)
    after = read_memory(arguments.pid)
    result = {
        "clients": arguments.clients,
        "lines_per_request": arguments.lines_per_request,
        "statuses": dict(load.statuses),
        "lines_per_second": round(load.num_lines / seconds, 1),
        "median_ms": round(1_000 * median(load.seconds or [0.0]), 1),
        "p95_ms": round(1_000 * percentile(load.seconds, 0.95), 1),
        "longest_refused_ms": round(1_000 * max(load.refused_seconds, default=0.0), 1),
        "memory_mb": round(after, 1),
        "more_memory_mb": round(after - before, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
