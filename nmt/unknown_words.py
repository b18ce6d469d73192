"""Words that a model cannot write, taken from the source by attention (Luong 2015b; Jean 2015)."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.data.corpus import read_lines
from nmt.errors import DataError
from nmt.symbols import UNK
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import UNKNOWN_TEXT

Dictionary = Mapping[str, str]


def read_dictionary(path: Path) -> Dictionary:
    """Words and their translations: a line each, with a tab between; of several the first counts.

    Raises:
        DataError: the file cannot be read, or a line is no such pair.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = [field.strip() for field in line.split("\t")]
        if fields == [""]:
            continue
        if len(fields) != 2 or not all(fields):
            raise DataError(
                f"{path}, line {number}: must be a word, a tab and its translation, not {line!r}"
            )
        entries.setdefault(fields[0], fields[1])
    return entries


def replace_unknown(
    text: str,
    tokens: Sequence[int],
    source: EncodedWords,
    weights: NDArray[np.float32],
    dictionary: Dictionary,
) -> str:
    """A translation in which each unknown word is the source word that it looked at most.

    Args:
        text: of the tokens, with a mark for each that is unknown.
        tokens: without BOS and EOS.
        source: what was translated.
        weights: `[tokens (and EOS), source tokens (and EOS)]`.
        dictionary: says what a source word becomes; one that it does not have is copied, without
            the punctuation around it.
    """
    parts = text.split(UNKNOWN_TEXT)
    places = [place for place, token in enumerate(tokens) if token == UNK]
    if not source.words or len(parts) != len(places) + 1:
        return text  # the mark is in the text for another reason
    looked_at = weights[places, : len(source.ids)].argmax(axis=1)
    words = [_bare(source.words[source.word_of_token[token]]) for token in looked_at]
    known = [dictionary.get(word, dictionary.get(word.lower(), word)) for word in words]
    return parts[0] + "".join(word + part for word, part in zip(known, parts[1:], strict=True))


def _bare(word: str) -> str:
    """A word without the punctuation around it; what is nothing else stays."""
    return re.sub(r"^\W+|\W+$", "", word) or word
