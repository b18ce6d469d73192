"""Unknown words: what takes their place."""

from pathlib import Path

import numpy as np
import pytest

from nmt.errors import DataError
from nmt.symbols import UNK
from nmt.text.reader import EncodedWords
from nmt.unknown_words import read_dictionary, replace_unknown

SOURCE = EncodedWords([1, 9, 1, 8], ["Zorp", "sees", "(Glimm)."], [0, 1, 2, 2])
LOOKS = np.array(
    # Zorp, sees, Glimm, ).; EOS
    [[0.5, 0.1, 0.1, 0.1, 0.2], [0.1, 0.6, 0.1, 0.1, 0.1], [0.0, 0.1, 0.2, 0.1, 0.6]],
    np.float32,
)


TARGET = EncodedWords([UNK, 7, UNK], ["⁇", "sieht", "⁇."], [0, 1, 2])


def test_the_source_word_that_was_looked_at_most_is_copied() -> None:
    assert replace_unknown(TARGET, SOURCE, LOOKS, {}) == ["Zorp", "sieht", "Glimm."]
    known = {"zorp": "Zorpel", "Glimm": "der Glimmer"}
    assert replace_unknown(TARGET, SOURCE, LOOKS, known) == ["Zorpel", "sieht", "der Glimmer."]


def test_punctuation_alone_is_a_word_too() -> None:
    source, target = EncodedWords([1], ["…"], [0]), EncodedWords([UNK], ["⁇"], [0])
    assert replace_unknown(target, source, np.ones((1, 2), np.float32), {}) == ["…"]


def test_a_mark_that_is_no_unknown_word_stays() -> None:
    words = ["was", "⁇", "⁇"]
    target = EncodedWords([7, UNK, 9], words, [0, 1, 2])
    assert replace_unknown(target, SOURCE, LOOKS, {}) == words
    nothing = EncodedWords([], [], [])
    assert replace_unknown(EncodedWords([UNK], ["⁇"], [0]), nothing, LOOKS, {}) == ["⁇"]


def test_a_dictionary_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("dog\tHund\n\nbig dog \t großer Hund\ndog\tKöter\n", encoding="utf-8")
    assert read_dictionary(path) == {"dog": "Hund", "big dog": "großer Hund"}


@pytest.mark.parametrize("line", ["dog", "dog\t", "\tHund", "dog\tHund\tx"])
def test_a_malformed_dictionary_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text(f"cat\tKatze\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"words\.tsv, line 2: must be a word, a tab and its"):
        read_dictionary(path)
