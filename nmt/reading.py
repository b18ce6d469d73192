"""From raw text to sentences of like length, with bounded reading ahead."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal, TypeVar

from nmt.symbols import UNK
from nmt.text.tokenizer import EncodedWords, Tokenizer

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_NAMED: Final = 10  # lines with unknown tokens
_MOST_ITEMS: Final = 4_000
_MOST_CHARACTERS: Final = 4_000_000  # so that lines of any length fit into memory


def windows(items: Iterable[T], num_characters: Callable[[T], int]) -> Iterator[list[T]]:
    """Runs of items, in order, as long as a bounded memory allows: at least one item in each.

    They are wide enough that batches of like length have hardly any padding.

    Args:
        items: read as far as the window that is wanted, and no further.
        num_characters: the size of an item.
    """
    rest = iter(items)
    while window := list(islice(rest, 1)):
        room = _MOST_CHARACTERS - num_characters(window[0])
        while room > 0 and len(window) < _MOST_ITEMS and (following := list(islice(rest, 1))):
            window += following
            room -= num_characters(following[0])
        yield window


def read_words(
    tokenizer: Tokenizer,
    lines: Sequence[str],
    *,
    side: Literal["source", "target"],
    first_number: int,
    max_tokens: int,
) -> list[EncodedWords]:
    """The tokens and words of lines; of a line that is too long the beginning, with a warning.

    Args:
        tokenizer: of that side.
        lines: raw text.
        side: what the lines are, for the warning.
        first_number: the number of the first line, for the warning.
        max_tokens: most tokens of a line.
    """
    sentences = []
    for number, line in enumerate(lines, start=first_number):
        sentence = tokenizer.encode_words(line)
        if len(sentence.ids) > max_tokens:
            logger.warning(
                "line %d: the %s has %d tokens; only the first %d are read "
                "(decoding.max_source_length)",
                number,
                side,
                len(sentence.ids),
                max_tokens,
            )
            sentence = _first_tokens(sentence, max_tokens)
        sentences.append(sentence)
    return sentences


def warn_of_unknown(lines: Iterable[str], tokenizer: Tokenizer) -> Iterator[str]:
    """The lines, with a warning for each that has tokens which the model was never taught.

    It translates them all the same, into something fluent that need not have to do with them.

    Args:
        lines: raw text, passed on as it is.
        tokenizer: of the source.
    """
    num_warned = 0
    for number, line in enumerate(lines, start=1):
        tokens = tokenizer.encode(line)
        num_unknown = tokens.count(UNK)
        if num_unknown:
            num_warned += 1
            _warn_of_unknown(num_warned, number, num_unknown, len(tokens))
        yield line


def _warn_of_unknown(num_warned: int, number: int, num_unknown: int, num_tokens: int) -> None:
    """Name the first such lines, and of a text in another script not a million of them."""
    if num_warned <= _MOST_NAMED:
        verb = "is" if num_unknown == 1 else "are"
        logger.warning(
            "line %d: %d of %d tokens %s unknown to the model",
            number,
            num_unknown,
            num_tokens,
            verb,
        )
    elif num_warned == _MOST_NAMED + 1:
        logger.warning("there are more lines with unknown tokens; they are not named")


def like_batches(
    lengths: Sequence[int], batch_tokens: int, batch_sentences: int | None
) -> list[list[int]]:
    """The indices of sentences, in batches of like length, the longest first.

    So a batch that is too large for the memory fails at once, not after hours.

    Args:
        lengths: tokens of each sentence, at least one.
        batch_tokens: most tokens in a batch, padding counted; a longer sentence is alone.
        batch_sentences: most sentences in a batch; None: any number.
    """
    batches: list[list[int]] = []
    most = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if not batches or len(batches[-1]) == most:
            batches.append([])
            most = max(1, batch_tokens // lengths[index])
            most = most if batch_sentences is None else min(most, batch_sentences)
        batches[-1].append(index)
    return batches


def _first_tokens(sentence: EncodedWords, num_tokens: int) -> EncodedWords:
    """The beginning of a sentence, with the words of which a part is in it."""
    word_of_token = sentence.word_of_token[:num_tokens]
    num_words = word_of_token[-1] + 1
    return EncodedWords(sentence.ids[:num_tokens], sentence.words[:num_words], word_of_token)
