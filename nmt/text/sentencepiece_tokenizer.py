"""SentencePiece subwords (Kudo & Richardson 2018): byte pair encoding or a unigram model."""

import random
from collections.abc import Sequence
from typing import Final, Self

from sentencepiece import SentencePieceProcessor

from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import BLANK, ModelType, check_model, parse_model
from nmt.text.subword_sampling import MergeDropout, Sampler, UnigramSampler
from nmt.text.tokenizer import SavedTokenizer, Tokenizer
from nmt.text.vocabulary import cache_words

_BLANK_IN_TEXT: Final = "\ue581"  # private-use stand-in for a ▁ in the text; decoded back to ▁


def escape(word: str) -> str:
    """Replace ``▁`` in a word, because SentencePiece reads it as a blank."""
    return word.replace(BLANK, _BLANK_IN_TEXT)


class SentencePieceTokenizer(Tokenizer):
    """Subword tokenizer; ``▁`` marks the start of a word.

    Args:
        normalizer: normalises text first (SentencePiece itself does not normalise).
        model: content of a trained SentencePiece model file.
        model_type: type of the model.
        sampling_alpha: 0 turns sampling off. For "bpe", the probability of dropping a merge
            (Provilkov et al. 2020); for "unigram", the exponent of the probabilities (Kudo 2018).
    """

    name = "sentencepiece"
    model_file = "sentencepiece.model"

    def __init__(
        self, normalizer: Normalizer, model: bytes, model_type: ModelType, sampling_alpha: float
    ) -> None:
        self._processor = SentencePieceProcessor(model_proto=model)
        everything = list(range(self._processor.vocab_size()))
        pieces: list[str] = self._processor.id_to_piece(everything)
        pieces[: len(SPECIAL_SYMBOLS)] = SPECIAL_SYMBOLS
        is_byte = self._processor.is_byte(everything)
        self._bytes = [token for token in everything if is_byte[token]]
        self._ids = {
            pieces[token]: token
            for token in everything[len(SPECIAL_SYMBOLS) :]
            if not is_byte[token]  # the text "<0x41>" does not mean A
        }
        super().__init__(normalizer, pieces, self._make_texts(len(pieces)))
        self.model_type: ModelType = model_type
        self.sampling_alpha = sampling_alpha
        self.samples = sampling_alpha > 0.0
        self._known_words = cache_words(lambda word: tuple(self._processor.encode(escape(word))))
        self._sampler = self._make_sampler() if self.samples else None

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
        return cls(saved.normalizer, saved.model, found.model_type, float(alpha))

    def saved(self) -> SavedTokenizer:
        """See `Tokenizer.saved`."""
        options = {"model_type": self.model_type, "sampling_alpha": self.sampling_alpha}
        model = bytes(self._processor.serialized_model_proto())
        return SavedTokenizer(self.name, self.normalizer, options, model)

    def encode_word(self, word: str) -> tuple[int, ...]:
        """Return the tokens that SentencePiece splits the word into."""
        return self._known_words(word)

    def starts_word(self, before: int, token: int) -> bool:
        """Return whether the piece starts a word."""
        return self._pieces[token].startswith(BLANK)

    def sample_word(self, word: str, rng: random.Random) -> Sequence[int]:
        """See `Tokenizer.sample_word`."""
        if self._sampler is None:
            return self.encode_word(word)
        return self._look_up(self._sampler(BLANK + escape(word), rng))

    def join(self, ids: Sequence[int]) -> str:
        """See `Tokenizer.join`."""
        # Byte tokens can spell a line break, which would split the line, or the bytes of
        # _BLANK_IN_TEXT.
        return "".join(super().join(ids).replace(_BLANK_IN_TEXT, BLANK).split())

    def _make_texts(self, size: int) -> list[bytes]:
        """Return the UTF-8 text of each token, byte tokens included, without blanks."""
        texts = [b""] * size
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
        # The score of a piece is minus its rank in the order of learning.
        return MergeDropout({piece: -score for piece, score in scores.items()}, self.sampling_alpha)

    def _look_up(self, pieces: Sequence[str]) -> list[int]:
        """Return the tokens of pieces; unknown characters become bytes, or one UNK per run."""
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
