"""Train a SentencePiece model: reproducibly, in silence, with errors that say what to do."""

import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal

import sentencepiece
from annotated_types import Ge, Gt, Le, Lt

from nmt.core.errors import ConfigError, DataError
from nmt.core.special_tokens import BOS, EOS, PAD, UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import special_piece
from nmt.text.sentencepiece_tokenizer import SentencePieceTokenizer, escape
from nmt.text.tokenizer import UNKNOWN_TEXT, TokenizerTrainer
from nmt.text.vocabulary import EMPTY_TEXT, count_words

# SentencePiece skips what is longer than 4,192 bytes, and no piece is longer than 16 characters.
_LONGEST_WORD: Final = 1_000
_SPECIALS: Final = {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS}
_NUM_THREADS: Final = 4  # a fixed number, because sums of floats depend on it
_LOG_ERRORS_ONLY: Final = 2


class SentencePieceTrainer(TokenizerTrainer):
    """Learns subwords from the words of a text, by byte pair encoding or as a unigram model.

    Args:
        normalizer: what the tokenizer is to do to text first.
        vocabulary_size: entries of the vocabulary, exactly.
        model_type: bpe merges frequent pairs (Sennrich et al. 2016); unigram prunes a model of
            pieces (Kudo 2018).
        character_coverage: share of the text's characters that get an entry of their own; the
            rarest beyond it are unknown.
        byte_fallback: split unknown characters into bytes (256 more entries), so that any text can
            be written.
        sampling_alpha: draw the split of a word again each time it is seen in training; 0 is off.
            bpe: the probability of leaving out a merge (Provilkov et al. 2020; 0.1 there);
            unigram: the exponent of the splits' probabilities (Kudo 2018; 0.2 there).
        max_sentences: lines to learn from, drawn at random where there are more.
        seed: decides which lines are drawn.
    """

    tokenizer = SentencePieceTokenizer

    def __init__(
        self,
        normalizer: Normalizer,
        *,
        vocabulary_size: Annotated[int, Ge(5), Le(500_000)] = 8_000,
        model_type: Literal["bpe", "unigram"] = "bpe",
        character_coverage: Annotated[float, Gt(0.0), Le(1.0)] = 0.99999,
        byte_fallback: bool = False,
        sampling_alpha: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0,
        max_sentences: Annotated[int, Ge(1), Le(100_000_000)] = 1_000_000,
        seed: Annotated[int, Ge(0)] = 1,
    ) -> None:
        super().__init__(normalizer)
        self.vocabulary_size = vocabulary_size
        self.model_type: Literal["bpe", "unigram"] = model_type
        self.character_coverage = character_coverage
        self.byte_fallback = byte_fallback
        self.sampling_alpha = sampling_alpha
        self.max_sentences = max_sentences
        self.seed = seed

    def train(self, lines: Callable[[], Iterator[str]]) -> SentencePieceTokenizer:
        """See `TokenizerTrainer.train`."""
        sample = sample_lines(lines, self.max_sentences, self.seed)
        counts = count_words(self.normalizer, sample)
        if not counts:
            raise DataError(EMPTY_TEXT)
        return SentencePieceTokenizer(
            self.normalizer,
            self._learn(counts),
            model_type=self.model_type,
            sampling_alpha=self.sampling_alpha,
        )

    def _learn(self, counts: Counter[str]) -> bytes:
        """The model for words and how often they come, as SentencePiece writes it to a file."""
        model = io.BytesIO()
        specials: dict[str, Any] = {}
        for name, token in _SPECIALS.items():
            specials |= {f"{name}_id": token, f"{name}_piece": special_piece(token)}
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_weighted_words(counts),
                input_format="tsv",
                model_writer=model,
                model_type=self.model_type,
                vocab_size=self.vocabulary_size,
                character_coverage=self.character_coverage,
                byte_fallback=self.byte_fallback,
                normalization_rule_name="identity",
                **specials,
                unk_surface=UNKNOWN_TEXT,
                num_threads=_NUM_THREADS,
                minloglevel=_LOG_ERRORS_ONLY,
            )
        except RuntimeError as error:
            # After the place in its source, SentencePiece says what sizes would work.
            reason = str(error).rpartition("]")[2].strip() or str(error)
            raise ConfigError(
                f"tokenizer.vocabulary_size: SentencePiece can make no {self.model_type} vocabulary"
                f" of {self.vocabulary_size} entries of the training text: {reason}"
            ) from error
        return model.getvalue()


def sample_lines(lines: Callable[[], Iterator[str]], most: int, seed: int) -> Iterator[str]:
    """At most so many lines, drawn evenly and in order, without holding them in memory.

    Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S.
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
    """What SentencePiece reads as TSV: words, cut where they are long, and their counts."""
    for word, count in sorted(counts.items()):
        for start in range(0, len(word), _LONGEST_WORD):
            yield f"{escape(word[start : start + _LONGEST_WORD])}\t{count}"
