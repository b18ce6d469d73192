"""Subwords by SentencePiece (Kudo & Richardson 2018): byte pair encoding or a unigram model."""

import random
from collections.abc import Sequence
from typing import Final, Literal, Self, cast

from sentencepiece import SentencePieceProcessor

from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import BLANK, check_model, parse_model
from nmt.text.subword_sampling import MergeDropout, Sampler, UnigramSampler
from nmt.text.tokenizer import UNKNOWN_TEXT, SavedTokenizer, Tokenizer
from nmt.text.vocabulary import cache_words

ModelType = Literal["bpe", "unigram"]
_BLANK_IN_TEXT: Final = "\ue581"  # for private use: no text has it, and it comes back as the blank


def escape(word: str) -> str:
    """A word of text as it is given to SentencePiece, to which ``▁`` is a blank."""
    return word.replace(BLANK, _BLANK_IN_TEXT)


class SentencePieceTokenizer(Tokenizer):
    """Frequent words are one token, and the others a few; ``▁`` is the blank before a word.

    Args:
        normalizer: what is done to text first (SentencePiece itself changes nothing).
        model: a trained model, as SentencePiece writes it to a file.
        model_type: what the model is.
        sampling_alpha: 0 does not sample. For "bpe" the probability of leaving out a merge
            (Provilkov et al. 2020), for "unigram" the exponent of the probabilities (Kudo 2018).
    """

    name = "sentencepiece"
    model_file = "sentencepiece.model"

    def __init__(
        self,
        normalizer: Normalizer,
        model: bytes,
        *,
        model_type: ModelType,
        sampling_alpha: float = 0.0,
    ) -> None:
        super().__init__(normalizer)
        self.model_type: ModelType = model_type
        self.sampling_alpha = sampling_alpha
        self.samples = sampling_alpha > 0.0
        self._processor = SentencePieceProcessor(model_proto=model)
        everything = list(range(len(self)))
        self._pieces: list[str] = self._processor.id_to_piece(everything)
        self._pieces[: len(SPECIAL_SYMBOLS)] = SPECIAL_SYMBOLS
        is_byte = self._processor.is_byte(everything)
        self._bytes = [token for token in everything if is_byte[token]]
        self._ids = {
            self._pieces[token]: token
            for token in everything[len(SPECIAL_SYMBOLS) :]
            if not is_byte[token]  # text can say <0x41>, and does not mean A
        }
        self._texts = self._make_texts()
        self._known_words = cache_words(lambda word: tuple(self._processor.encode(escape(word))))
        self._sampler = self._make_sampler() if self.samples else None

    def __len__(self) -> int:
        return int(self._processor.vocab_size())

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as a string to look at, ``▁`` for the blank before a word."""
        return [self._pieces[token] for token in ids]

    @classmethod
    def restore(cls, saved: SavedTokenizer) -> Self:
        """See `Tokenizer.restore`."""
        found = parse_model(saved.model)
        check_model(found)
        alpha = saved.options["sampling_alpha"]
        if type(alpha) not in (int, float) or not 0.0 <= float(alpha) < 1.0:
            raise ValueError("sampling_alpha is not from 0 to 1")
        if saved.options != {"model_type": found.model_type, "sampling_alpha": alpha}:
            raise ValueError(f"the options are not those of a {found.model_type} model")
        return cls(
            saved.normalizer,
            saved.model,
            model_type=cast(ModelType, found.model_type),
            sampling_alpha=float(alpha),
        )

    def saved(self) -> SavedTokenizer:
        """See `Tokenizer.saved`."""
        options = {"model_type": self.model_type, "sampling_alpha": self.sampling_alpha}
        model = bytes(self._processor.serialized_model_proto())
        return SavedTokenizer(self.name, self.normalizer, options, model)

    def encode_word(self, word: str) -> tuple[int, ...]:
        """The tokens that SentencePiece splits the word into."""
        return self._known_words(word)

    def sample_word(self, word: str, rng: random.Random) -> Sequence[int]:
        """See `Tokenizer.sample_word`."""
        if self._sampler is None:
            return self.encode_word(word)
        return self._look_up(self._sampler(BLANK + escape(word), rng))

    def token_text(self, token: int) -> bytes:
        """See `Tokenizer.token_text`; a token that is a byte may be a part of a character."""
        return self._texts[token]

    def starts_word(self, before: int, token: int) -> bool:
        """Whether the second piece starts with ``▁``."""
        return self._pieces[token].startswith(BLANK)

    def join(self, ids: Sequence[int]) -> str:
        """See `Tokenizer.join`."""
        # A model that writes bytes can write those of a line break, which would tear the line
        # apart; and it writes the blank's mark in those of what stands for it.
        return "".join(super().join(ids).replace(_BLANK_IN_TEXT, BLANK).split())

    def _make_texts(self) -> list[bytes]:
        """What each token stands for in UTF-8, without blanks, those written in bytes included."""
        texts = [b""] * len(self)
        texts[UNK] = UNKNOWN_TEXT.encode()
        for piece, token in self._ids.items():
            text = "".join(piece.replace(BLANK, " ").split())
            texts[token] = text.replace(_BLANK_IN_TEXT, BLANK).encode()
        for byte, token in enumerate(self._bytes):
            is_blank = byte < 0x80 and chr(byte).isspace()
            texts[token] = b"" if is_blank else bytes([byte])
        return texts

    def _make_sampler(self) -> Sampler:
        scores = {piece: self._processor.get_score(token) for piece, token in self._ids.items()}
        if self.model_type == "unigram":
            return UnigramSampler(scores, self.sampling_alpha)
        # The score of a piece is minus its place in the order of learning.
        return MergeDropout({piece: -score for piece, score in scores.items()}, self.sampling_alpha)

    def _look_up(self, pieces: Sequence[str]) -> list[int]:
        """The tokens of pieces; unknown characters are their bytes, or one UNK for all in a row."""
        ids: list[int] = []
        for piece in pieces:
            token = self._ids.get(piece)
            if token is not None:
                ids.append(token)
            elif self._bytes:
                ids += [self._bytes[byte] for byte in piece.encode()]
            elif ids[-1:] != [UNK]:
                ids.append(UNK)
        return ids
