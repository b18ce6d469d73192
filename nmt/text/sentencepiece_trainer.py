"""Reproducible and silent training of SentencePiece models, with helpful errors."""

import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Final

import sentencepiece
from annotated_types import Ge, Le, Lt

from nmt.core.errors import ConfigError, DataError, UserError
from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.sentencepiece_model import ModelType, special_piece
from nmt.text.sentencepiece_tokenizer import SentencePieceTokenizer, escape
from nmt.text.tokenizer import UNKNOWN_TEXT, TokenizerTrainer
from nmt.text.vocabulary import EMPTY_TEXT, count_words

# SentencePiece skips words longer than 4,192 bytes; pieces have at most 16 characters.
_LONGEST_WORD: Final = 1_000
_SPECIALS: Final = {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS}
_NUM_THREADS: Final = 4  # fixed, because floating-point sums depend on the number of threads
_LOG_ERRORS_ONLY: Final = 2
_MAX_SIZE: Final = 500_000


@dataclass(frozen=True)
class SentencePieceTrainer(TokenizerTrainer):
    """Subwords learned from the words of a text, by byte pair encoding or as a unigram model.

    Args:
        normalizer: normalises text before it is tokenized.
        vocabulary_size: exact number of vocabulary entries.
        model_type: bpe merges frequent pairs (Sennrich et al. 2016); unigram prunes a large set of
            pieces (Kudo 2018).
        character_coverage: share of the text's characters that get their own entry; the rarest
            ones become unknown.
        byte_fallback: split unknown characters into bytes (256 more entries), so that any text can
            be represented.
        sampling_alpha: sample a new split of a word each time it occurs in training; 0: off.
            bpe: the probability of dropping a merge (Provilkov et al. 2020 use 0.1).
            unigram: the exponent of the split probabilities (Kudo 2018 uses 0.2).
        max_sentences: maximum number of lines to learn from; a random sample of longer texts.
        seed: random seed of the sample.
    """

    tokenizer = SentencePieceTokenizer

    _: KW_ONLY
    vocabulary_size: Annotated[int, Ge(5), Le(_MAX_SIZE)] = 8_000
    model_type: ModelType = "bpe"
    character_coverage: Annotated[float, Ge(0.98), Le(1.0)] = 0.99999
    byte_fallback: bool = False
    sampling_alpha: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    max_sentences: Annotated[int, Ge(1), Le(100_000_000)] = 1_000_000
    seed: Annotated[int, Ge(0)] = 1

    def train(self, lines: Callable[[], Iterator[str]]) -> SentencePieceTokenizer:
        """See `TokenizerTrainer.train`."""
        sample = sample_lines(lines, self.max_sentences, self.seed)
        counts = count_words(self.normalizer, sample)
        if not counts:
            raise DataError(EMPTY_TEXT)
        try:
            model = self._learn(counts)
        except RuntimeError as error:
            raise self._explain(counts, error) from error
        return SentencePieceTokenizer(self.normalizer, model, self.model_type, self.sampling_alpha)

    def _learn(self, counts: Counter[str], **changes: Any) -> bytes:
        """Train on word counts; return the content of the model file."""
        model = io.BytesIO()
        options = {"vocab_size": self.vocabulary_size, "model_type": self.model_type} | changes
        for name, token in _SPECIALS.items():
            options |= {f"{name}_id": token, f"{name}_piece": special_piece(token)}
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_weighted_words(counts),
            input_format="tsv",
            model_writer=model,
            character_coverage=self.character_coverage,
            byte_fallback=self.byte_fallback,
            normalization_rule_name="identity",
            unk_surface=UNKNOWN_TEXT,
            num_threads=_NUM_THREADS,
            minloglevel=_LOG_ERRORS_ONLY,
            **options,
        )
        return model.getvalue()

    def _explain(self, counts: Counter[str], error: RuntimeError) -> UserError:
        """Return an error that names the smallest or the largest vocabulary size that works."""
        size = self.vocabulary_size
        with suppress(RuntimeError):
            smallest = self._size(counts, model_type="char", vocab_size=_MAX_SIZE)
            if size < smallest:
                return ConfigError(
                    f"tokenizer.vocabulary_size: must be at least {smallest} for the characters of "
                    f"the training text, not {size}; raise it, or lower "
                    f"tokenizer.character_coverage ({self.character_coverage:g})"
                )
            largest = self._size(counts, hard_vocab_limit=False)
            if size > largest:
                return ConfigError(
                    f"tokenizer.vocabulary_size: must be at most {largest} for this training text, "
                    f"not {size}"
                )
        return DataError(
            f"tokenizer: SentencePiece cannot train a {self.model_type} vocabulary: "
            f"{str(error).rpartition(']')[2].strip() or error}"
        )

    def _size(self, counts: Counter[str], **changes: Any) -> int:
        model = self._learn(counts, **changes)
        return int(sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size())


def sample_lines(lines: Callable[[], Iterator[str]], most: int, seed: int) -> Iterator[str]:
    """Yield a uniform sample of at most `most` lines, in order, without holding them in memory.

    Source: Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S.
    """
    left = sum(1 for _ in lines())
    wanted = min(most, left)
    rng = random.Random(seed)
    for line in lines():
        if rng.random() * left < wanted:
            wanted -= 1
            yield line
        left -= 1


def _weighted_words(counts: Counter[str]) -> Iterator[str]:
    """Yield TSV lines for SentencePiece: words and their counts, with long words cut."""
    for word, count in sorted(counts.items()):
        for start in range(0, len(word), _LONGEST_WORD):
            yield f"{escape(word[start : start + _LONGEST_WORD])}\t{count}"
