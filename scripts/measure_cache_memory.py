"""Measure time and memory of the data pipeline: encode generated pairs, then plan and read epochs.

    python scripts/measure_cache_memory.py --pairs 10000 100000 1000000 10000000 --folder BIG_DISK

Prints a row of a table for each number of pairs. Each stage runs in its own process, so that its
memory peak does not include other stages:

    encode      seconds with one process and with several, including the hashes of the corpus and
                the cache entry. On a shared machine the CPU seconds say more: of the process that
                reads and writes, and of all its workers. Peak resident memory (MB): of the first
                process, and the sum of the workers' peaks, an upper bound of their common peak.
                (Read from /proc: RUSAGE_CHILDREN has only the largest child, and includes the
                memory that its parent had when it was started.)
    open        seconds to find the corpus in the cache, which hashes the files and the entry.
    plan        seconds until the first batch of an epoch can be made; bytes per pair at the peak,
                and those that stay (of allocated memory, without the memory-mapped cache).
    batch       milliseconds for each of the next 1,000.
    read        peak resident memory (MB) of the process that opened, planned and made batches,
                including the pages of the memory-mapped cache that it has read.

The corpus and its cache are in a temporary folder.
"""

import argparse
import os
import random
import resource
import shutil
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nmt.data.filters import Filters
from nmt.data.formats.lines import read_lines
from nmt.data.formats.text_pairs import TextCorpus

# Modules that import torch are imported where they are used: encoding processes import this file.
from nmt.system.process import num_cores
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.storage import load_tokenizer, save_tokenizer

NUM_BATCHES = 1000
NUM_WORDS = 5000
COLUMNS = (
    "pairs",
    "kept",
    "encode 1, s (CPU)",
    "encode {n}, s (CPU)",
    "encode 1, MB",
    "encode {n}, MB",
    "open, s",
    "plan, s",
    "bytes a pair: most, kept",
    "batch, ms",
    "read, MB",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--processes", type=int, default=num_cores(), help="that encode")
    parser.add_argument(
        "--folder", type=Path, help="a folder with enough space (default: the system's)"
    )
    arguments = parser.parse_args()
    columns = [column.format(n=arguments.processes) for column in COLUMNS]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)
    for num_pairs in arguments.pairs:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            row = measure(num_pairs, arguments.processes, Path(folder))
        print("| " + " | ".join(row) + " |", flush=True)


def measure(num_pairs: int, num_processes: int, folder: Path) -> list[str]:
    """Return a row of the table."""
    in_new_process(prepare, folder, num_pairs)
    one = in_new_process(encode, folder, 1)
    shutil.rmtree(folder / "cache")
    several = in_new_process(encode, folder, num_processes)
    read = in_new_process(read_epoch, folder)
    return [
        f"{num_pairs:,}",
        f"{read['kept']:,}",
        f"{one['seconds']:.1f} ({one['cpu']:.1f})",
        f"{several['seconds']:.1f} ({several['cpu']:.1f} + {several['cpu_of_others']:.1f})",
        f"{one['megabytes']:.0f}",
        f"{several['megabytes']:.0f} + {several['megabytes_of_others']:.0f}",
        f"{read['open_seconds']:.2f}",
        f"{read['plan_seconds']:.2f}",
        f"{read['most_bytes']:.2f}, {read['kept_bytes']:.2f}",
        f"{read['batch_milliseconds']:.2f}",
        f"{read['megabytes']:.0f}",
    ]


def in_new_process(stage: Callable[..., Any], *arguments: Any) -> Any:
    """Run a stage in a new process and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(stage, *arguments).result()


def prepare(folder: Path, num_pairs: int) -> None:
    """Write the corpus and its tokenizer."""
    files = files_in(folder)
    generate(files, num_pairs)
    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=4000)
    save_tokenizer(
        trainer.train(lambda: islice(read_lines(files.source), 20_000)), folder / "tokenizer"
    )


def encode(folder: Path, num_processes: int) -> dict[str, float]:
    """Fill the cache."""
    import nmt.data.cache  # noqa: F401  (takes seconds that are not to be measured)

    peaks: dict[str, float] = {}
    is_done = threading.Event()
    watching = threading.Thread(target=watch, args=(peaks, is_done))
    watching.start()
    start, start_of_cpu = time.perf_counter(), time.process_time()
    open_corpus(folder, num_processes)
    end, end_of_cpu = time.perf_counter(), time.process_time()
    is_done.set()
    watching.join()
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": end - start,
        "cpu": end_of_cpu - start_of_cpu,
        "cpu_of_others": others.ru_utime + others.ru_stime,
        "megabytes": peak("self"),
        "megabytes_of_others": sum(peaks.values()),
    }


def watch(peaks: dict[str, float], is_done: threading.Event) -> None:
    """Record the memory peak of each child process."""
    started = Path(f"/proc/self/task/{os.getpid()}/children")
    while not is_done.wait(0.1):
        for pid in started.read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError, IndexError):  # it has ended
                peaks[pid] = peak(pid)


def read_epoch(folder: Path) -> dict[str, float]:
    """Open the cached corpus, plan an epoch and make the first batches."""
    import nmt.data.cache  # noqa: F401
    from nmt.data.batching import BatchSampler
    from nmt.data.loader import DataLoader

    start = time.perf_counter()
    corpus = open_corpus(folder)
    opened = time.perf_counter()
    sampler = BatchSampler([len(corpus)], seed=1, batch_tokens=4000)
    loader = DataLoader([corpus], sampler, seed=1)
    loader.num_batches(1)
    planned = time.perf_counter()
    num_batches = sum(1 for _ in islice(loader.epoch(1), NUM_BATCHES))
    end = time.perf_counter()
    megabytes = peak("self")
    tracemalloc.start()
    traced = DataLoader([corpus], sampler, seed=1)
    traced.num_batches(2)
    kept, most = tracemalloc.get_traced_memory()
    return {
        "kept": len(corpus),
        "open_seconds": opened - start,
        "plan_seconds": planned - opened,
        "batch_milliseconds": (end - planned) / num_batches * 1000,
        "megabytes": megabytes,
        "most_bytes": most / len(corpus),
        "kept_bytes": kept / len(corpus),
    }


def open_corpus(folder: Path, num_processes: int = 1) -> Any:
    """Read the encoded corpus from the cache, or encode it first."""
    from nmt.data.cache import encode_corpus

    tokenizer = load_tokenizer(folder / "tokenizer")
    return encode_corpus(
        files_in(folder),
        tokenizer,
        tokenizer,
        filters=Filters(max_length=100, deduplicate=True),
        folder=folder / "cache",
        num_processes=num_processes,
    )


def peak(process: str) -> float:
    """Return the peak of resident memory, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def files_in(folder: Path) -> TextCorpus:
    """Return the files of the generated corpus."""
    return TextCorpus(source=folder / "train.source", target=folder / "train.target")


def generate(files: TextCorpus, num_pairs: int) -> None:
    """Write sentences of 3 to 20 words; each target is its source reversed."""
    rng = random.Random(1)
    words = [
        "".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(NUM_WORDS)
    ]
    assert files.target is not None
    with files.source.open("w") as source, files.target.open("w") as target:
        for sentence in sentences(rng, words, num_pairs):
            source.write(" ".join(sentence) + "\n")
            target.write(" ".join(reversed(sentence)) + "\n")


def sentences(rng: random.Random, words: list[str], count: int) -> Iterator[list[str]]:
    """Draw random words, most often from the start of the list."""
    for _ in range(count):
        length = rng.randint(3, 20)
        yield [words[int(NUM_WORDS * rng.random() ** 3)] for _ in range(length)]


if __name__ == "__main__":
    main()
