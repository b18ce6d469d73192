import random
from collections.abc import Callable, Iterator

import pytest

from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.table import TOKENIZERS
from nmt.text.tokenizer import Tokenizer

SUBJECTS = [
    "Der kleine Hund",
    "Eine alte Frau",
    "Das Mädchen",
    "My brother",
    "L'été",
    "Nobody's cat",
]
VERBS = ["sieht", "schläft", "überquert", "doesn't like", "is watching", "traverse"]
OBJECTS = ["die Straße", "den Fluss", "(the) river", "T-shirts", "3 < 4 > 2", "«la montagne»"]
ENDS = [".", "!", "?", " …", ", oder?", ' & "so on".']
Lines = Callable[[], Iterator[str]]


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    rng = random.Random(1)
    syllables = ["ba", "bi", "do", "fa", "gel", "lis", "mor", "na", "ro", "sten", "ti", "ßen", "ü"]
    names = ["".join(rng.choices(syllables, k=rng.randint(2, 5))).title() for _ in range(400)]
    parts = SUBJECTS, VERBS, OBJECTS, names
    sentences = [" ".join(map(rng.choice, parts)) + rng.choice(ENDS) for _ in range(800)]
    return [*sentences, "<s> </s> <pad> <unk> <0x41> ▁ ￭"]


@pytest.fixture(scope="session")
def lines(corpus: list[str]) -> Lines:
    return lambda: iter(corpus)


@pytest.fixture(scope="session")
def subwords(lines: Lines) -> dict[str, Tokenizer]:
    """SentencePiece tokenizers by a word that describes them; every character of the text known."""
    normalizer = Normalizer()

    def train(
        model_type: str, alpha: float, size: int = 150, byte_fallback: bool = False
    ) -> Tokenizer:
        return SentencePieceTrainer(
            normalizer,
            vocabulary_size=size,
            model_type=model_type,
            character_coverage=1.0,
            sampling_alpha=alpha,
            byte_fallback=byte_fallback,
        ).train(lines)

    return {
        "bpe": train("bpe", 0.0),
        "unigram": train("unigram", 0.0),
        "bytes": train("bpe", 0.0, 400, byte_fallback=True),
        "bpe sampled": train("bpe", 0.3),
        "unigram sampled": train("unigram", 0.3),
        "bytes sampled": train("unigram", 0.3, 400, byte_fallback=True),
    }


@pytest.fixture(scope="session")
def tokenizers(lines: Lines, subwords: dict[str, Tokenizer]) -> dict[str, Tokenizer]:
    """One or more of each name in the table."""
    others = {
        name: trainer(Normalizer()).train(lines)
        for name, trainer in TOKENIZERS.items()
        if name != "sentencepiece"
    }
    return subwords | others


@pytest.fixture(
    params=[
        "bpe",
        "unigram",
        "bytes",
        "bpe sampled",
        "unigram sampled",
        "bytes sampled",
        *(name for name in TOKENIZERS if name != "sentencepiece"),
    ]
)
def tokenizer(request: pytest.FixtureRequest, tokenizers: dict[str, Tokenizer]) -> Tokenizer:
    return tokenizers[request.param]
