"""Replacement of unknown words from the source by attention (Luong 2015b; Jean 2015)."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import DataError
from nmt.core.special_tokens import UNK
from nmt.core.writing_systems import has_no_spaces, is_punctuation, strip_punctuation
from nmt.data.formats.lines import read_lines, require_regular
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import UNKNOWN_TEXT

Dictionary = Mapping[str, str]


def read_dictionary(path: Path) -> Dictionary:
    """Read a tab-separated dictionary; words are in NFC, and the first entry of a word is used.

    Raises:
        DataError: the file cannot be read, or a line is not a word, a tab and its translation.
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
    target: EncodedWords, source: EncodedWords, weights: NDArray[np.float32], dictionary: Dictionary
) -> list[str]:
    """Return the words of a translation, with source words in place of unknown tokens.

    Each unknown token becomes the source word with its highest attention weight. Adjacent unknown
    tokens with the same source word become one copy, which replaces the text between them. Within
    one word this is always so. Across words it requires that the copy contains that text, as in
    "⁇ : // ⁇" for a URL. The start and end of a copy are not repeated: "⁇.com" becomes "nmt.com",
    not "nmt.com.com".

    The result has one text for each target word. The text is empty if a previous copy includes the
    word, and contains spaces if the dictionary gives several words.

    Args:
        target: tokens without BOS and EOS, and their words, with a mark for each unknown token.
        source: the source sentence.
        weights: `[target tokens, source tokens]`, optionally with EOS.
        dictionary: translations of source words. A word that is not in it is copied, without
            surrounding punctuation.
    """
    places = [place for place, token in enumerate(target.ids) if token == UNK]
    # Each word alternates known texts and marks; it starts and ends with a known text.
    split = [re.split(f"({UNKNOWN_TEXT})", word) for word in target.words]
    parts = [part for of_word in split for part in of_word]
    word_of_part = [word for word, of_word in enumerate(split) for _ in of_word]
    marks = [place for place, part in enumerate(parts) if part == UNKNOWN_TEXT]
    if not source.words or len(marks) != len(places):
        return list(target.words)  # some marks do not come from unknown tokens
    looked_at = weights[places, : len(source.ids)].argmax(axis=1)
    chosen = [source.word_of_token[token] for token in looked_at]
    for number, mark in enumerate(marks):
        original = source.words[chosen[number]]
        if number and chosen[number] == chosen[number - 1]:
            before = marks[number - 1]
            text = "".join(parts[before + 1 : mark])
            is_one_word = word_of_part[before] == word_of_part[mark] and not has_no_spaces(text)
            if is_one_word or text in original:
                parts[before + 1 : mark + 1] = [""] * (mark - before)
                continue
        parts[mark] = _look_up(strip_punctuation(original), dictionary)
    for mark, word in zip(marks, chosen, strict=True):
        if parts[mark] and parts[mark] in source.words[word]:  # a copy, not a translation
            _take_in(parts, mark, word_of_part)
    texts = [""] * len(target.words)
    for word, part in zip(word_of_part, parts, strict=True):
        texts[word] += part
    return texts


def _look_up(word: str, dictionary: Dictionary) -> str:
    """Return the translation of a word or of its lower case; the word itself if absent."""
    key = unicodedata.normalize("NFC", word)
    return dictionary.get(key, dictionary.get(key.lower(), word))


def _take_in(parts: list[str], mark: int, word_of_part: Sequence[int]) -> None:
    """Remove text next to a copy, within its word, that repeats the start or end of the copy."""
    copy, after = parts[mark], mark + 1
    while not parts[after] and word_of_part[mark] in word_of_part[after + 1 : after + 2]:
        after += 1
    parts[after] = _without_end_of(copy, parts[after])
    parts[mark - 1] = _without_end_of(copy[::-1], parts[mark - 1][::-1])[::-1]


def _without_end_of(copy: str, after: str) -> str:
    """Remove the end of a copy from the text after it: ".com," after "a.com" becomes ","."""
    letters = len(after)
    while letters and is_punctuation(after[letters - 1]):
        letters -= 1
    for size in (len(after), letters):
        if size and copy.endswith(after[:size]):
            return after[size:]
    return after
