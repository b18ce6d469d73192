import re
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st

from nmt.core.errors import ConfigError, DataError
from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer, sample_lines


def train(lines, **options):
    return SentencePieceTrainer(Normalizer(), **options).train(lambda: iter(lines))


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
@pytest.mark.parametrize(
    "lines", [["hello world this is it"], ["a b", "ab ba", "bab"], ["Ein Satz, ein Wort."] * 9]
)
def test_too_large_a_vocabulary_names_the_largest_that_works(model_type, lines):
    message = r"tokenizer\.vocabulary_size: must be at most (\d+) for .*, not 8000$"
    with pytest.raises(ConfigError, match=message) as raised:
        train(lines, model_type=model_type)
    largest = int(re.search(message, str(raised.value))[1])
    assert len(train(lines, model_type=model_type, vocabulary_size=largest)) == largest
    with pytest.raises(ConfigError, match="vocabulary_size: must be at most"):
        train(lines, model_type=model_type, vocabulary_size=largest + 1)


@pytest.mark.parametrize("model_type", ["bpe", "unigram"])
def test_too_small_a_vocabulary_names_the_smallest_that_works(model_type):
    # Four special symbols, the blank, and a to f.
    message = (
        r"tokenizer\.vocabulary_size: must be at least 11 .*, not 10; raise it, or lower "
        r"tokenizer\.character_coverage \(1\)$"
    )
    options = {"model_type": model_type, "character_coverage": 1.0}
    with pytest.raises(ConfigError, match=message):
        train(["abc abc def def"], vocabulary_size=10, **options)
    assert len(train(["abc abc def def"], vocabulary_size=11, **options)) == 11


def test_text_that_cannot_be_used_is_refused():
    with pytest.raises(DataError, match="tokenizer: SentencePiece cannot train a bpe vocabulary: "):
        train(["▅"])


def test_rare_characters_are_left_to_the_unknown():
    lines = ["ab " * 500, "z"]
    options = {"vocabulary_size": 9, "model_type": "bpe"}
    assert UNK in train(lines, character_coverage=0.99, **options).encode("z")
    assert UNK not in train(lines, character_coverage=1.0, **options).encode("z")


def test_lines_with_special_symbols_are_used_for_training():
    tokenizer = train(["<s> <pad> </s>"] * 5, vocabulary_size=15, character_coverage=1.0)
    assert UNK not in tokenizer.encode("<s> <pad> </s>")


def test_very_long_words_are_used_for_training():
    tokenizer = train(["ab" * 40_000], vocabulary_size=12)
    assert tokenizer.decode(tokenizer.encode("abab")) == "abab"


@given(st.lists(st.integers(), max_size=40), st.integers(1, 50), st.integers(0, 2**32))
def test_sample_has_the_requested_size_and_order(items, most, seed):
    lines = [f"{position} {item}" for position, item in enumerate(items)]
    sample = list(sample_lines(lambda: iter(lines), most, seed))
    assert len(sample) == min(most, len(lines))
    remaining = iter(lines)
    assert all(line in remaining for line in sample)


def test_every_line_is_drawn_as_often():
    lines = list("abcdefgh")
    drawn = [line for seed in range(2000) for line in sample_lines(lambda: iter(lines), 2, seed)]
    for line in lines:  # 500 of each, with a standard deviation below 20
        assert 400 < drawn.count(line) < 600


def test_training_uses_only_the_sample(corpus):
    options = {"vocabulary_size": 80, "max_sentences": 200}
    first, again, other = (train(corpus, seed=seed, **options) for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_training_and_use_are_silent():
    script = (
        "from nmt.text.normalization import Normalizer\n"
        "from nmt.text.sentencepiece_trainer import SentencePieceTrainer\n"
        "for kind in 'bpe', 'unigram':\n"
        "    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=17, model_type=kind)\n"
        "    tokenizer = trainer.train(lambda: iter(['hello world', 'hold the word', '▅ wow']))\n"
        "    tokenizer.decode(tokenizer.encode('hello ▅ 日本 \\0'))\n"
        "    try:\n"
        "        SentencePieceTrainer(Normalizer()).train(lambda: iter(['hello']))\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ConfigError\n" * 2, "")
