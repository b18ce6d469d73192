"""Words that a model cannot write, taken from the source by attention (Luong 2015b; Jean 2015)."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import DataError
from nmt.core.special_tokens import UNK
from nmt.core.writing_systems import has_no_spaces, is_punctuation, strip_punctuation
from nmt.data.formats.lines import read_lines
from nmt.data.formats.raw_lines import require_regular
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import UNKNOWN_TEXT

Dictionary = Mapping[str, str]


def read_dictionary(path: Path) -> Dictionary:
    """Read words (in NFC) and their translations, a line each with a tab between; the first counts.

    Raises:
        DataError: the file cannot be read, or a line is no such pair.
    """
    require_regular(path)  # the file's name comes with a run, and a resume reads it again
    entries: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = [field.strip() for field in line.split("\t")]
        if fields == [""]:
            continue
        if len(fields) != 2 or not all(fields):
            raise DataError(
                f"{path}, line {number}: must be a word, a tab and its translation, not {line!r}"
            )
        entries.setdefault(unicodedata.normalize("NFC", fields[0]), fields[1])
    return entries


def replace_unknown(
    target: EncodedWords,
    source: EncodedWords,
    weights: NDArray[np.float32],
    dictionary: Dictionary,
) -> list[str]:
    """Return the words of a translation, with source words in place of unknown tokens.

    Each unknown token becomes the source word that it looked at most. Neighbours that looked at
    the same word become one copy, with what stands between them: in one word always, in several
    where the copy has it too ("⁇ : // ⁇", of a URL). What a copy begins or ends with is not
    written twice: "⁇.com" becomes "nmt.com", not "nmt.com.com".

    There is one text for each word of the target. It is empty where a copy before it has taken
    the word in, and has blanks where the dictionary has several words for one.

    Args:
        target: tokens without BOS and EOS, and their words, with a mark for each unknown token.
        source: what was translated.
        weights: `[tokens (and EOS), source tokens (and EOS)]`.
        dictionary: says what a source word becomes; one that it does not have is copied, without
            the punctuation around it.
    """
    places = [place for place, token in enumerate(target.ids) if token == UNK]
    # Each word is its known texts and its marks in turn, known texts first and last.
    parts = [re.split(f"({UNKNOWN_TEXT})", word) for word in target.words]
    marks = [(word, at) for word, texts in enumerate(parts) for at in range(1, len(texts), 2)]
    if not source.words or len(marks) != len(places):
        return list(target.words)  # the mark is in the text for another reason
    looked_at = weights[places, : len(source.ids)].argmax(axis=1)
    chosen = [source.word_of_token[token] for token in looked_at]
    for number, (word, at) in enumerate(marks):
        original = source.words[chosen[number]]
        if number and chosen[number] == chosen[number - 1]:
            between = _between(parts, marks[number - 1], (word, at))
            text = "".join(parts[i][j] for i, j in between)
            is_one_word = word == marks[number - 1][0] and not has_no_spaces(text)
            if is_one_word or text in original:
                for i, j in (*between, (word, at)):
                    parts[i][j] = ""
                continue
        bare = strip_punctuation(original)
        key = unicodedata.normalize("NFC", bare)
        parts[word][at] = dictionary.get(key, dictionary.get(key.lower(), bare))
    for number, (word, at) in enumerate(marks):
        _take_in(parts[word], at, source.words[chosen[number]])
    return ["".join(texts) for texts in parts]


def _between(
    parts: Sequence[Sequence[str]], first: tuple[int, int], last: tuple[int, int]
) -> list[tuple[int, int]]:
    """Return the places of the known texts between two marks."""
    return [
        (word, at)
        for word in range(first[0], last[0] + 1)
        for at in range(len(parts[word]))
        if first < (word, at) < last
    ]


def _take_in(texts: list[str], at: int, original: str) -> None:
    """Cut the known texts next to a copy where the copied source word has them too."""
    copy = texts[at]
    if not copy or copy not in original:
        return  # taken in by the mark before it, or translated by the dictionary
    after = next((place for place in range(at + 1, len(texts)) if texts[place]), at + 1)
    texts[after] = _without_end_of(copy, texts[after])
    texts[at - 1] = _without_end_of(copy[::-1], texts[at - 1][::-1])[::-1]


def _without_end_of(copy: str, after: str) -> str:
    """Return the text after a copy, less what the copy ends with: "," of ".com," after "a.com"."""
    letters = len(after)
    while letters and is_punctuation(after[letters - 1]):
        letters -= 1
    for size in (len(after), letters):
        if size and copy.endswith(after[:size]):
            return after[size:]
    return after
