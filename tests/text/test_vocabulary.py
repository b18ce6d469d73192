from collections import Counter

import pytest
from hypothesis import given, strategies as st

from nmt.core.errors import DataError
from nmt.core.special_tokens import SPECIAL_SYMBOLS
from nmt.text.normalization import Normalizer
from nmt.text.vocabulary import Vocabulary, cache_words, count_words

COUNTS = Counter({"b": 2, "a": 2, "c": 5, "d": 1})


def test_frequent_tokens_come_first_and_equal_ones_by_alphabet():
    vocabulary = Vocabulary.from_counts(COUNTS, size=100, min_count=1)
    assert [*vocabulary.tokens] == [*SPECIAL_SYMBOLS, "c", "a", "b", "d"]
    assert [vocabulary.ids[token] for token in "cabd"] == [4, 5, 6, 7]


def test_size_and_least_count_cut_the_rare_ones():
    assert [*Vocabulary.from_counts(COUNTS, size=6, min_count=1).tokens[4:]] == ["c", "a"]
    assert [*Vocabulary.from_counts(COUNTS, size=100, min_count=2).tokens[4:]] == ["c", "a", "b"]


def test_text_of_a_special_symbol_is_unknown():
    assert not Vocabulary(["a"]).ids.keys() & {"z", "", *SPECIAL_SYMBOLS}


def test_no_tokens_are_refused():
    with pytest.raises(DataError, match=r"data\.train: has no text to train"):
        Vocabulary.from_counts(Counter(), size=10, min_count=1)


@given(st.lists(st.just(" ") | st.text().map(lambda text: "".join(text.split())), unique=True))
def test_bytes_hold_all_of_it(tokens):
    vocabulary = Vocabulary(tokens)
    again = Vocabulary.from_bytes(vocabulary.to_bytes())
    assert [*again.tokens] == [*vocabulary.tokens] == [*SPECIAL_SYMBOLS, *tokens]


@pytest.mark.parametrize(
    "tokens",
    ["a\na\n", "a b\n", "a\u2028b\n", "a", "a\n" * 2**22, "\xff"],
    ids=["twice", "blank", "line separator", "cut short", "too many", "not UTF-8"],
)
def test_invalid_vocabulary_bytes_are_refused(tokens):
    content = "".join(f"{symbol}\n" for symbol in SPECIAL_SYMBOLS) + tokens
    with pytest.raises(ValueError, match=r"."):
        Vocabulary.from_bytes(content.encode("latin-1" if tokens == "\xff" else "utf-8"))


def test_bytes_without_the_special_symbols_are_refused():
    with pytest.raises(ValueError, match="starts with the special symbols"):
        Vocabulary.from_bytes(b"a\nb\nc\nd\ne\n")


def test_words_are_counted_after_normalisation():
    counts = count_words(Normalizer("nfkc", lowercase=True), ["A  b", "", "ａ\tB b"])
    assert counts == {"a": 2, "b": 3}


def test_the_latest_short_words_are_computed_once():
    asked = []

    def shout(word: str) -> str:
        asked.append(word)
        return word.upper()

    remembered = cache_words(shout, most=2)
    assert [remembered(word) for word in ("a", "b", "a", "c", "a", "b")] == list("ABACAB")
    assert asked == ["a", "b", "c", "b"]


def test_long_words_are_computed_each_time_to_bound_the_memory():
    asked = []
    remembered = cache_words(lambda word: asked.append(word) or len(word))
    assert [remembered("x" * 51), remembered("x" * 51), remembered("x" * 50)] == [51, 51, 50]
    assert len(asked) == 3
