"""What a person asks of the translation of one line: how it begins, what is in it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nmt.data.grids import Source
from nmt.errors import DataError
from nmt.search.constraints import count_unmet
from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Demand
from nmt.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

NO_DEMAND: Final = Demand()


@dataclass(frozen=True)
class Input:
    """One line to translate, and what is asked of its translation.

    Attributes:
        source: raw text, or a grid.
        prefix: what the translation begins with, whole words.
        phrases: what must stand in it somewhere, whole words; phrases may overlap.
    """

    source: Source
    prefix: str = ""
    phrases: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.source)


def encode_demand(given: Input, number: int, tokenizer: Tokenizer, max_length: int) -> Demand:
    """The tokens of what is asked; phrases that cannot be written are left out, with a warning.

    Args:
        given: the line.
        number: of the line, for messages.
        tokenizer: of the target.
        max_length: most tokens of a translation.

    Raises:
        DataError: the prefix alone is longer than that.
    """
    if not given.prefix and not given.phrases:
        return NO_DEMAND
    prefix = list(tokenizer.encode(given.prefix))
    if len(prefix) > max_length:
        raise DataError(
            f"line {number}: the prefix has {len(prefix)} tokens, and a translation at most "
            f"{max_length} (decoding.max_length)"
        )
    phrases = []
    for phrase in given.phrases:
        tokens = list(tokenizer.encode(phrase))
        if tokenizer.count_unknown(tokens):
            logger.warning(
                "line %d: %r cannot be in the translation: the model does not know all of its "
                "characters or words",
                *(number, phrase),
            )
        elif tokens:
            phrases.append(tuple(tokens))
    return Demand(tuple(prefix), tuple(phrases))


def warn_of_unmet(
    given: Sequence[Input],
    demands: Sequence[Demand],
    found: Sequence[Sequence[Hypothesis]],
    tokenizer: Tokenizer,
    first_number: int,
) -> None:
    """Name the lines and phrases that did not find a place in the best translation."""
    for number, (line, demand, hypotheses) in enumerate(
        zip(given, demands, found, strict=True), start=first_number
    ):
        for phrase in demand.phrases:
            if len(line) and count_unmet(hypotheses[0].tokens, [phrase]):
                logger.warning(
                    "line %d: no translation was found that has %r with all else that is asked",
                    *(number, tokenizer.decode(phrase)),
                )
