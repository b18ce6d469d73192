"""Subwords by SentencePiece (Kudo & Richardson 2018): byte pair encoding or a unigram model."""

import random
from collections.abc import Sequence
from typing import Final, Literal, Self, cast

from sentencepiece import SentencePieceProcessor

from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import BLANK, check_model, parse_model
from nmt.text.subword_sampling import MergeDropout, Sampler, UnigramSampler
from nmt.text.tokenizer import UNKNOWN_TEXT, Options, Tokenizer
from nmt.text.word_cache import remember_words

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
        self._known_words = remember_words(self._split)
        self._sampler = self._make_sampler() if self.samples else None

    def __len__(self) -> int:
        return int(self._processor.vocab_size())

    def encode_sampled(self, text: str, rng: random.Random) -> list[int]:
        """See `Tokenizer.encode_sampled`."""
        if self._sampler is None:
            return self.encode(text)
        ids: list[int] = []
        for word in self.normalizer.words(text):
            ids += self._look_up(self._sampler(BLANK + escape(word), rng))
        return ids

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as a string to look at, ``▁`` for the blank before a word."""
        return [self._pieces[token] for token in ids]

    @classmethod
    def restore(cls, normalizer: Normalizer, model: bytes, options: Options) -> Self:
        """See `Tokenizer.restore`."""
        found = parse_model(model)
        check_model(found)
        alpha = options["sampling_alpha"]
        if type(alpha) not in (int, float) or not 0.0 <= float(alpha) < 1.0:
            raise ValueError("sampling_alpha is not from 0 to 1")
        if options != {"model_type": found.model_type, "sampling_alpha": alpha}:
            raise ValueError(f"the options are not those of a {found.model_type} model")
        return cls(
            normalizer,
            model,
            model_type=cast(ModelType, found.model_type),
            sampling_alpha=float(alpha),
        )

    def _options(self) -> Options:
        return {"model_type": self.model_type, "sampling_alpha": self.sampling_alpha}

    def _model(self) -> bytes:
        return bytes(self._processor.serialized_model_proto())

    def _encode_word(self, word: str) -> tuple[int, ...]:
        return self._known_words(word)

    def _split(self, word: str) -> tuple[int, ...]:
        return tuple(self._processor.encode(escape(word)))

    def _starts_word(self, ids: Sequence[int], position: int) -> bool:
        return self._pieces[ids[position]].startswith(BLANK)

    def _is_blank(self, token: int) -> bool:
        return not self._texts[token]

    def _num_bytes(self, token: int) -> int:
        content = self._texts[token]
        is_part_of_character = len(content) == 1 and content >= b"\x80"
        return 1 if is_part_of_character else super()._num_bytes(token)

    def _join(self, ids: Sequence[int]) -> str:
        content = b"".join([self._texts[token] for token in ids])
        # A model that writes bytes can write invalid ones, and those of a line break, which would
        # tear the line apart; and it writes the blank's mark in those of what stands for it.
        text = content.decode(errors="replace").replace(_BLANK_IN_TEXT, BLANK)
        return "".join(text.split())

    def _make_texts(self) -> list[bytes]:
        """What each token stands for in UTF-8, without blanks, those written in bytes included."""
        texts = [b""] * len(self)
        texts[UNK] = UNKNOWN_TEXT.encode()
        for piece, token in self._ids.items():
            texts[token] = piece.replace(BLANK, "").replace(_BLANK_IN_TEXT, BLANK).encode()
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
