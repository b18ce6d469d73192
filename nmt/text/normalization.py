"""What is done to all text before it is split into tokens."""

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
    """Raw text to normalised text; normalised text stays as it is.

    Whatever the settings, blanks of all kinds become single spaces (none at the ends), because a
    sentence is a line of words; and half a surrogate pair, which is no text, becomes U+FFFD.

    Attributes:
        normalization: Unicode normal form (Standard Annex 15). "nfc" writes canonically equal text,
            as composed and decomposed accents, in one form; "nfkc" also replaces ligatures, full
            width, ``… ½ ²`` and the like by plain characters; "none" leaves it.
        lowercase: lowercase it as well.
    """

    normalization: Normalization = "nfc"
    lowercase: bool = False

    def __post_init__(self) -> None:
        """Refuse what a file may say and no `Normalizer` does."""
        if self.normalization not in get_args(Normalization) or type(self.lowercase) is not bool:
            raise ValueError(f"unknown normalization: {self}")

    def __call__(self, text: str) -> str:
        """The normalised text: its words, a single space between them."""
        return " ".join(self.words(text))

    def words(self, text: str) -> list[str]:
        """The words of the normalised text: what stands between blanks."""
        if not text.isascii():
            text = self._compose(_SURROGATES.sub(_REPLACEMENT, text))
        if self.lowercase:
            # Composing can bring capitals to light, and lowercasing can take letters apart.
            text = self._compose(text.lower())
        return text.split()

    def split(self, text: str) -> list[tuple[str, list[str]]]:
        """Return each word of the raw text, with the words that it becomes.

        Those are several where a form has a blank ("l´homme" of which NFKC makes "l ́homme").
        """
        before, after = _SURROGATES.sub(_REPLACEMENT, text).split(), self.words(text)
        if len(before) == len(after):  # no word vanishes, so that none is several either
            return [(word, [same]) for word, same in zip(before, after, strict=True)]
        return [(word, self.words(word)) for word in before]

    def _compose(self, text: str) -> str:
        form = _FORMS.get(self.normalization)
        return text if form is None else unicodedata.normalize(form, text)
