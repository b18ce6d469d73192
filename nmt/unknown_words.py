"""Words that a model cannot write, taken from the source by attention (Luong 2015b; Jean 2015)."""

import re
from collections.abc import Mapping
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
    target: EncodedWords,
    source: EncodedWords,
    weights: NDArray[np.float32],
    dictionary: Dictionary,
) -> list[str]:
    """The words of a translation, an unknown one as the source word that it looked at most.

    There is one for each word of the target; where the dictionary has several words for one, they
    stand together, with blanks between.

    Args:
        target: tokens without BOS and EOS, and their words, with a mark for each unknown token.
        source: what was translated.
        weights: `[tokens (and EOS), source tokens (and EOS)]`.
        dictionary: says what a source word becomes; one that it does not have is copied, without
            the punctuation around it.
    """
    places = [place for place, token in enumerate(target.ids) if token == UNK]
    num_marks = sum(word.count(UNKNOWN_TEXT) for word in target.words)
    if not source.words or num_marks != len(places):
        return list(target.words)  # the mark is in the text for another reason
    looked_at = weights[places, : len(source.ids)].argmax(axis=1)
    words = [_bare(source.words[source.word_of_token[token]]) for token in looked_at]
    known = iter([dictionary.get(word, dictionary.get(word.lower(), word)) for word in words])
    return [re.sub(UNKNOWN_TEXT, lambda _: next(known), word) for word in target.words]


def _bare(word: str) -> str:
    """A word without the punctuation around it; what is nothing else stays."""
    return re.sub(r"^\W+|\W+$", "", word) or word
