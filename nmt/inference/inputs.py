"""What a person asks of the translation of one line: how it begins, what is in it."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from nmt.core.errors import ConfigError
from nmt.data.formats.grids import Grid, Source
from nmt.search.request import Constraints
from nmt.search.search import Search
from nmt.text.reader import count_unknown
from nmt.text.tokenizer import UNKNOWN_TEXT, Tokenizer

logger = logging.getLogger(__name__)

NO_CONSTRAINTS: Final = Constraints()


@dataclass(frozen=True)
class Input:
    """One line to translate, and what is asked of its translation.

    Attributes:
        source: raw text, or a grid.
        prefix: what the translation begins with, character for character: where nothing in the text
            says that its last word is whole, the translation may go on with it ("Haus", "Haustür"),
            as interactive translation wants it (Barrachina 2009).
        phrases: what must stand in it somewhere, whole words; phrases may overlap. They are looked
            for as the tokens that the tokenizer makes of them.
    """

    source: Source
    prefix: str = ""
    phrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        phrases: Any = self.phrases
        texts = [self.prefix, *([None] if isinstance(phrases, str) else phrases)]
        is_source = isinstance(self.source, str | Grid)
        if not is_source or not all(isinstance(text, str) for text in texts):
            raise TypeError(
                "Input takes a source (str or Grid), a prefix (str) and phrases (a tuple of str), "
                f"not {self!r}"
            )

    def __len__(self) -> int:
        return len(self.source)


def encode_constraints(
    given: Input, number: int, tokenizer: Tokenizer, max_length: int
) -> Constraints:
    """Return the tokens of what is asked; what cannot be written is left out, with a warning.

    Args:
        given: the line.
        number: of the line, for messages.
        tokenizer: of the target.
        max_length: most tokens of a translation; a prefix that is longer is left out.
    """
    if not given.prefix and not given.phrases:
        return NO_CONSTRAINTS
    prefix = list(tokenizer.encode(given.prefix))
    if len(prefix) > max_length:
        logger.warning(
            "line %d: the prefix has %d tokens, and a translation at most %d "
            "(decoding.max_length); it is translated without it",
            *(number, len(prefix), max_length),
        )
        prefix = []
    elif count_unknown(prefix):
        logger.warning(
            "line %d: the model does not know all of the prefix %r; what it does not know reads %s",
            *(number, given.prefix, UNKNOWN_TEXT),
        )
    phrases = []
    for phrase in given.phrases:
        tokens = list(tokenizer.encode(phrase))
        if count_unknown(tokens):
            logger.warning(
                "line %d: %r cannot be in the translation: the model does not know all of its "
                "characters or words",
                *(number, phrase),
            )
        elif tokens:
            phrases.append(tuple(tokens))
    return Constraints(tuple(prefix), tuple(phrases))


def require_phrases(search: Search | type[Search]) -> None:
    """Refuse a search that would not heed the phrases that are asked for.

    Raises:
        ConfigError: it is such a one.
    """
    if not search.supports_phrases:
        raise ConfigError(
            "phrases that must appear (--constraints): beam search alone knows of them; set "
            "decoding.search to beam (--search beam)"
        )
