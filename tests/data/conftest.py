"""What the tests of the data share: a tokenizer whose numbers can be worked out by hand."""

import random
from collections.abc import Sequence

import pytest

from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import Options, Tokenizer


class NumberTokenizer(Tokenizer):
    """Text is written numbers: "5 7" is the ids 5 and 7. Sampling doubles tokens at random.

    Args:
        size: of the vocabulary.
        samples: whether sampling is on.
    """

    name = "number"
    model_file = "number.model"

    def __init__(self, size: int = 1000, samples: bool = False) -> None:
        super().__init__(Normalizer())
        self.size = size
        self.samples = samples
        self.num_calls = 0

    def __len__(self) -> int:
        return self.size

    def encode(self, text: str) -> list[int]:
        self.num_calls += 1
        return [int(word) for word in text.split()]

    def encode_sampled(self, text: str, rng: random.Random) -> list[int]:
        return [token for token in self.encode(text) for _ in range(rng.randint(1, 2))]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [str(token) for token in ids]

    @classmethod
    def restore(cls, normalizer: Normalizer, model: bytes, options: Options) -> "NumberTokenizer":
        return cls(int(model))

    def _model(self) -> bytes:
        return b"%d" % self.size

    def _encode_word(self, word: str) -> list[int]:
        return [int(word)]

    def _starts_word(self, ids: Sequence[int], position: int) -> bool:
        return True

    def _join(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


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
