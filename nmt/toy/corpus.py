"""Parallel sentences of the toy language in disjoint splits, and their files."""

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from nmt.core.errors import DataError
from nmt.system.files import atomic_write
from nmt.toy.phrases import Sense, Token, Words
from nmt.toy.sampler import Sampler

SHORTEST: Final = 3
LONGEST: Final = 80

# Hashes (modulo 100) of the English sentences of each split, without the mark at the end.
_SPLITS = {"train": range(0, 80), "valid": range(80, 90), "test": range(90, 100)}


class SentencePair(NamedTuple):
    """A sentence and its translation, as words separated by spaces.

    Attributes:
        english: the source.
        german: the target.
        alignment: sorted links (index of English word, index of German word), from 0.
    """

    english: str
    german: str
    alignment: tuple[tuple[int, int], ...]


def render(sentence: Words) -> SentencePair:
    """Return a sentence as text; words that share a sense are aligned."""
    english, german = sentence.english, sentence.german
    positions: dict[Sense, list[int]] = {}
    for i, word in enumerate(english):
        positions.setdefault(word.senses[0], []).append(i)
    links = {(i, j) for j, word in enumerate(german) for s in word.senses for i in positions[s]}
    return SentencePair(_text(english), _text(german), tuple(sorted(links)))


def _text(words: list[Token]) -> str:
    text = " ".join([word.form for word in words])
    return text[0].upper() + text[1:]


def sentence_pairs(
    split: str, *, seed: int = 1, min_length: int = SHORTEST, max_length: int = 20
) -> Iterator[SentencePair]:
    """Yield sentence pairs without end, in constant memory and deterministically.

    The hash of its words decides the split of a sentence. So no sentence is in two splits, even
    with another mark at its end, for any seeds, lengths and sizes. Within a split, sentences may
    repeat, especially short ones.

    Args:
        split: train, valid or test.
        seed: of the random generator.
        min_length: minimum number of words of the English sentence, including punctuation; at
            least `SHORTEST`. The German sentence may be longer because of its commas.
        max_length: maximum number of words of the English sentence; at most `LONGEST`.

    Raises:
        DataError: the lengths are out of range.
    """
    if not SHORTEST <= min_length <= max_length <= LONGEST:
        raise DataError(
            f"lengths: must be from {SHORTEST} to {LONGEST} words, the minimum first, not "
            f"{min_length} to {max_length}"
        )
    return _sample(split, random.Random(f"{seed} {split}"), min_length, max_length)


def _sample(
    split: str, rng: random.Random, min_length: int, max_length: int
) -> Iterator[SentencePair]:
    sampler = Sampler(rng)
    while True:
        sentence = sampler.sentence(rng.randint(min_length, max_length))
        english = sentence.english
        if min_length <= len(english) <= max_length and is_in_split(split, _text(english[:-1])):
            yield render(sentence)


def is_in_split(split: str, text: str) -> bool:
    """Return whether a text belongs to a split, by a hash that is the same on every machine."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100 in _SPLITS[split]


def check_sizes(sizes: Mapping[str, int], what: str) -> None:
    """Check that the sizes of the splits are not negative.

    Raises:
        DataError: a size is negative.
    """
    for split, size in sizes.items():
        if size < 0:
            raise DataError(f"{split}: must be 0 or more {what}, not {size}")


def write_corpus(
    folder: Path,
    sizes: Mapping[str, int],
    *,
    seed: int = 1,
    min_length: int = SHORTEST,
    max_length: int = 20,
) -> None:
    """Write `SPLIT.en`, `SPLIT.de` and `SPLIT.align` (Pharaoh format, `i-j`) for each split.

    Complete files replace existing ones atomically.

    Args:
        folder: created if missing.
        sizes: sentence pairs of each split: train, valid, test.
        seed: see `sentence_pairs`.
        min_length: minimum number of English words.
        max_length: maximum number of English words.

    Raises:
        DataError: the lengths are out of range, a size is negative, or a file cannot be written.
    """
    check_sizes(sizes, "sentence pairs")
    for split, size in sizes.items():
        pairs = sentence_pairs(split, seed=seed, min_length=min_length, max_length=max_length)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder, split, islice(pairs, size))
        except OSError as error:
            raise DataError(
                f"{error.filename or folder}: not written ({error.strerror}); choose another folder"
            ) from error


def _write(folder: Path, split: str, pairs: Iterator[SentencePair]) -> None:
    paths = [folder / f"{split}.{suffix}" for suffix in ("en", "de", "align")]
    with ExitStack() as places, ExitStack() as streams:  # close all files before replacing any
        partial = [places.enter_context(atomic_write(path)) for path in paths]
        english, german, align = (
            streams.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            for path in partial
        )
        for pair in pairs:
            english.write(pair.english + "\n")
            german.write(pair.german + "\n")
            align.write(" ".join([f"{i}-{j}" for i, j in pair.alignment]) + "\n")
