"""Measure the peak memory of the data pipeline: generated pairs, encoded, then batches of an epoch.

    python scripts/measure_cache_memory.py --pairs 5000000

Prints one line of JSON: pairs, seconds for each stage, and the peak of resident memory (GB),
memory-mapped files counted. The corpus and its cache lie in a temporary folder.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nmt.data.batching import BatchSampler
from nmt.data.cache import encode_corpus
from nmt.data.corpus import ParallelFiles, read_lines
from nmt.data.filters import Filters
from nmt.data.loader import DataLoader
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer

NUM_BATCHES = 1000
NUM_WORDS = 5000


def main() -> None:
    """Generate, encode, read, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where there is room; default: the system's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(measure(arguments.pairs, Path(folder))))


def measure(num_pairs: int, folder: Path) -> dict[str, float]:
    """Run the pipeline once; seconds of each stage, and memory."""
    files = ParallelFiles(folder / "train.source", folder / "train.target")
    generate(files, num_pairs)
    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=4000)
    tokenizer = trainer.train(lambda: islice(read_lines(files.source), 20_000))
    start = time.perf_counter()
    filters = Filters(max_length=100, deduplicate=True)
    corpus = encode_corpus(files, tokenizer, tokenizer, filters=filters, folder=folder / "cache")
    encoded = time.perf_counter()
    corpus = encode_corpus(files, tokenizer, tokenizer, filters=filters, folder=folder / "cache")
    opened = time.perf_counter()
    sampler = BatchSampler(
        [corpus.source_lengths], [corpus.target_lengths], seed=1, batch_tokens=4000
    )
    loader = DataLoader([corpus], sampler, seed=1)
    batches = loader.epoch(1)
    next(batches)
    planned = time.perf_counter()
    num_batches = sum(1 for _ in islice(batches, NUM_BATCHES))
    end = time.perf_counter()
    batches.close()
    return {
        "pairs": num_pairs,
        "kept": len(corpus),
        "encode_seconds": round(encoded - start, 1),
        "open_seconds": round(opened - encoded, 2),
        "first_batch_seconds": round(planned - opened, 2),
        "milliseconds_per_batch": round((end - planned) / num_batches * 1000, 3),
        "batches_per_epoch": loader.num_batches(1),
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3),
    }


def generate(files: ParallelFiles, num_pairs: int) -> None:
    """Write sentences of 3 to 20 words, the target a shuffled source, a word more or less."""
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
    """Random words, the first ones of the list most often."""
    for _ in range(count):
        length = rng.randint(3, 20)
        yield [words[int(NUM_WORDS * rng.random() ** 3)] for _ in range(length)]


if __name__ == "__main__":
    main()
