"""Normalisation of text before tokenization."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Normalization = Literal["nfc", "nfkc", "none"]
_FORMS: Final[Mapping[str, Literal["NFC", "NFKC"]]] = {"nfc": "NFC", "nfkc": "NFKC"}
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


@dataclass(frozen=True)
class Normalizer:
    """Normalisation of raw text; normalised text stays as it is.

    All settings replace runs of white space by single spaces, strip both ends, and replace lone
    surrogates by U+FFFD.

    Attributes:
        normalization: Unicode normal form (Standard Annex 15). "nfc" composes characters, so that
            canonically equivalent text is equal. "nfkc" also replaces ligatures, full-width
            characters, ``… ½ ²`` and similar by plain characters. "none" changes nothing.
        lowercase: whether to lowercase the text.
    """

    normalization: Normalization = "nfc"
    lowercase: bool = False

    def __post_init__(self) -> None:
        """Reject invalid values, which a saved file may contain."""
        if self.normalization not in get_args(Normalization) or type(self.lowercase) is not bool:
            raise ValueError(f"unknown normalization: {self}")

    def __call__(self, text: str) -> str:
        """Return the normalised text: its words, separated by single spaces."""
        return " ".join(self.words(text))

    def words(self, text: str) -> list[str]:
        """Return the words of the normalised text, which are separated by blanks."""
        if not text.isascii():
            text = self._compose(_SURROGATES.sub(_REPLACEMENT, text))
        if self.lowercase:
            # Composing can produce capitals, and lowercasing can decompose letters.
            text = self._compose(text.lower())
        return text.split()

    def split(self, text: str) -> list[tuple[str, list[str]]]:
        """Return each word of the raw text with its normalised words.

        One word becomes several if its normal form has a blank: NFKC turns "l´homme" into
        "l ́homme".
        """
        before, after = _SURROGATES.sub(_REPLACEMENT, text).split(), self.words(text)
        if len(before) == len(after):  # no word vanishes, so none has become several
            return [(word, [same]) for word, same in zip(before, after, strict=True)]
        return [(word, self.words(word)) for word in before]

    def _compose(self, text: str) -> str:
        form = _FORMS.get(self.normalization)
        return text if form is None else unicodedata.normalize(form, text)
