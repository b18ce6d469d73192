"""Unknown words: what takes their place."""

import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from nmt.core.errors import DataError
from nmt.core.special_tokens import UNK
from nmt.inference.unknown_words import read_dictionary, replace_unknown
from nmt.text.reader import EncodedWords

SOURCE = EncodedWords([1, 9, 1, 8], ["Zorp", "sees", "(Glimm)."], [0, 1, 2, 2])
LOOKS = np.array(
    # Zorp, sees, Glimm, ).; EOS
    [[0.5, 0.1, 0.1, 0.1, 0.2], [0.1, 0.6, 0.1, 0.1, 0.1], [0.0, 0.1, 0.2, 0.1, 0.6]],
    np.float32,
)


TARGET = EncodedWords([UNK, 7, UNK], ["⁇", "sieht", "⁇."], [0, 1, 2])


def test_most_attended_source_word_is_copied() -> None:
    assert replace_unknown(TARGET, SOURCE, LOOKS, {}) == ["Zorp", "sieht", "Glimm."]
    known = {"zorp": "Zorpel", "Glimm": "der Glimmer"}
    assert replace_unknown(TARGET, SOURCE, LOOKS, known) == ["Zorpel", "sieht", "der Glimmer."]


def test_single_punctuation_mark_is_a_word() -> None:
    source, target = EncodedWords([1], ["…"], [0]), EncodedWords([UNK], ["⁇"], [0])
    assert replace_unknown(target, source, np.ones((1, 2), np.float32), {}) == ["…"]


def test_mark_that_is_not_an_unknown_word_is_kept() -> None:
    words = ["was", "⁇", "⁇"]
    target = EncodedWords([7, UNK, 9], words, [0, 1, 2])
    assert replace_unknown(target, SOURCE, LOOKS, {}) == words
    nothing = EncodedWords([], [], [])
    assert replace_unknown(EncodedWords([UNK], ["⁇"], [0]), nothing, LOOKS, {}) == ["⁇"]


def test_a_dictionary_is_read(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("dog\tHund\n\nbig dog \t großer Hund\ndog\tKöter\n", encoding="utf-8")
    assert read_dictionary(path) == {"dog": "Hund", "big dog": "großer Hund"}


def test_a_dictionary_knows_a_word_in_each_form_of_unicode(tmp_path: Path) -> None:
    target = EncodedWords([UNK], ["⁇"], [0])
    for one, other in (("NFC", "NFD"), ("NFD", "NFC")):
        path = tmp_path / one
        path.write_text(f"{unicodedata.normalize(one, 'café')}\tKaffeehaus\n", encoding="utf-8")
        source = EncodedWords([1], [unicodedata.normalize(other, "Café")], [0])
        words = replace_unknown(target, source, np.ones((1, 2), np.float32), read_dictionary(path))
        assert words == ["Kaffeehaus"]


@pytest.mark.parametrize("line", ["dog", "dog\t", "\tHund", "dog\tHund\tx"])
def test_a_malformed_dictionary_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text(f"cat\tKatze\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"words\.tsv, line 2: must be a word, a tab and its"):
        read_dictionary(path)


def replaced(words: str, source: str, *looks: int, ids: list[int] | None = None) -> list[str]:
    """What becomes of words in which the n-th mark looks at source word `looks[n]`."""
    pieces = [piece for word in words.split() for piece in re.split("(⁇)", word) if piece]
    word_of_token = [
        number
        for number, word in enumerate(words.split())
        for piece in re.split("(⁇)", word)
        if piece
    ]
    tokens = [UNK if piece == "⁇" else 9 for piece in pieces]
    source_words = source.split()
    weights = np.full((len(tokens) + 1, len(source_words) + 1), 0.01, np.float32)
    for place, look in zip(
        [at for at, token in enumerate(tokens) if token == UNK], looks, strict=True
    ):
        weights[place, look] = 0.9
    target = EncodedWords(tokens, words.split(), word_of_token)
    numbers = list(range(len(source_words)))
    return replace_unknown(
        target, EncodedWords([8] * len(numbers), source_words, numbers), weights, {}
    )


@pytest.mark.parametrize(
    ("words", "source", "looks", "text"),
    [
        ("⁇://⁇.⁇/⁇", "see http://a.org/x", [1, 1, 1, 1], "http://a.org/x"),
        ("⁇ :// ⁇ . ⁇ / ⁇ .", "http://a.org/x", [0, 0, 0, 0], "http://a.org/x ."),
        ("⁇ ⁇ schläft", "Zorp sleeps", [0, 0], "Zorp schläft"),
        ("⁇ ⁇ schläft", "Bora Bora sleeps", [0, 1], "Bora Bora schläft"),
        ("⁇ und ⁇", "Zorp and Glimm", [0, 2], "Zorp und Glimm"),
        ("⁇ , dass ⁇", "Zorp that", [0, 0], "Zorp , dass Zorp"),
        ("⁇-⁇", "Zorp", [0, 0], "Zorp"),
        ("⁇说⁇好。", "Zorp said", [0, 0], "Zorp说Zorp好。"),  # no spaces: these are several words
        ("⁇⁇", "Zorp Glimm", [0, 1], "ZorpGlimm"),
        ("⁇.com", "nmt.com,", [0], "nmt.com"),
        ("www.⁇.de", "(www.nmt.de)", [0], "www.nmt.de"),
        ("⁇'s", "Zorp's", [0], "Zorp's"),
        ("Pr⁇ha,", "Praha", [0], "Praha,"),
        ("(⁇).", "Zorp", [0], "(Zorp)."),
        ("⁇ %", "-17", [0], "-17 %"),
        ("⁇%", "-17%", [0], "-17%"),
        ("⁇", "हिन्दी।", [0], "हिन्दी"),
    ],
)
def test_a_source_word_is_copied_once(words: str, source: str, looks: list[int], text: str) -> None:
    found = replaced(words, source, *looks)
    assert len(found) == len(words.split())
    assert " ".join(filter(None, found)) == text


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse"])
def test_a_dictionary_is_a_file_of_text(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "dictionary"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(20 * 10**9)
    reason = "NUL byte, so not text" if kind == "sparse" else "not a regular file"
    with pytest.raises(DataError, match=rf"dictionary.*: {reason}"):
        read_dictionary(path)
