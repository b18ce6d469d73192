"""What the tests of the data share: a tokenizer whose numbers can be worked out by hand."""

import random

import pytest

from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import SavedTokenizer, Tokenizer


class NumberTokenizer(Tokenizer):
    """Text is written numbers: "5 7" is the ids 5 and 7. Sampling doubles tokens at random.

    Args:
        size: of the vocabulary.
        samples: whether sampling is on.
    """

    name = "number"
    model_file = "number.model"

    def __init__(self, size: int = 1000, samples: bool = False) -> None:
        numbers = list(map(str, range(size)))
        super().__init__(Normalizer(), numbers, [number.encode() for number in numbers])
        self.samples = samples
        self.num_calls = 0

    def encode(self, text: str, rng: random.Random | None = None) -> list[int]:
        self.num_calls += 1
        ids = [int(word) for word in text.split()]
        return ids if rng is None else [token for token in ids for _ in range(rng.randint(1, 2))]

    @classmethod
    def restore(cls, saved: SavedTokenizer) -> "NumberTokenizer":
        return cls(int(saved.model))

    def saved(self) -> SavedTokenizer:
        return SavedTokenizer(self.name, self.normalizer, {}, b"%d" % len(self))

    def encode_word(self, word: str) -> list[int]:
        return [int(word)]


@pytest.fixture
def make_tokenizer() -> type[NumberTokenizer]:
    """The class, for tests that need several."""
    return NumberTokenizer


@pytest.fixture
def tokenizer() -> NumberTokenizer:
    """One of 1000 numbers, that does not sample."""
    return NumberTokenizer()


@pytest.fixture(scope="session")
def sampling_tokenizer() -> Tokenizer:
    """A real one, which other processes know too."""
    lines = [f"one two {n} three vier drei zwei eins" for n in range(100)]
    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=40, sampling_alpha=0.3)
    return trainer.train(lambda: iter(lines))
