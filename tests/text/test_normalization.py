"""Normalised text: one form, that stays as it is."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from nmt.text.normalization import Normalizer

any_text = st.text(st.characters(codec=None, exclude_categories=[]))
normalizers = st.builds(
    Normalizer, normalization=st.sampled_from(["nfc", "nfkc", "none"]), lowercase=st.booleans()
)


@pytest.mark.parametrize(
    ("raw", "nfc", "nfkc", "untouched"),
    [
        ("ﬁne ２０", "ﬁne ２０", "fine 20", "ﬁne ２０"),
        ("… ½ ² ™", "… ½ ² ™", "... 1⁄2 2 TM", "… ½ ² ™"),
        ("cafe\u0301", "café", "café", "cafe\u0301"),
        ("\u09dc", "\u09a1\u09bc", "\u09a1\u09bc", "\u09dc"),
        (" a\tb\u00a0c\r\n", "a b c", "a b c", "a b c"),
        ("a\x85b\u2028c", "a b c", "a b c", "a b c"),
        ("\ud800x", "\ufffdx", "\ufffdx", "\ufffdx"),
        ("\0", "\0", "\0", "\0"),
        ("   \t", "", "", ""),
        ("", "", "", ""),
    ],
)
def test_text_is_brought_to_one_form(raw, nfc, nfkc, untouched):
    assert Normalizer()(raw) == Normalizer("nfc")(raw) == nfc
    assert Normalizer("nfkc")(raw) == nfkc
    assert Normalizer("none")(raw) == untouched


def test_capitals_composed_by_normalization_are_lowercased():
    assert Normalizer("nfkc", lowercase=True)("ÄRGER \U0001d400") == "ärger a"
    assert Normalizer("none", lowercase=True)("ÄRGER") == "ärger"
    assert Normalizer("nfkc", lowercase=False)("ÄRGER") == "ÄRGER"


def test_lowercased_text_is_composed_again():
    """J with a caron has no capital letter of its own, and the small one has."""
    assert Normalizer("nfkc", lowercase=True)("J\u030c") == "\u01f0"
    assert Normalizer("none", lowercase=True)("J\u030c") == "j\u030c"


@given(normalizers, any_text)
def test_normalised_text_stays_as_it_is(normalizer, text):
    assert normalizer(normalizer(text)) == normalizer(text)


@given(normalizers, any_text)
def test_words_are_separated_by_single_spaces(normalizer, text):
    assert normalizer(text).split() == normalizer.words(text)
    assert normalizer(text) == " ".join(normalizer.words(text))
    normalizer(text).encode()


@given(st.text())
def test_nfkc_is_that_of_unicode(text):
    assert Normalizer("nfkc")(text).split() == unicodedata.normalize("NFKC", text).split()


@pytest.mark.parametrize("form", ["nfc", "nfkc"])
@given(st.text())
def test_canonically_equal_text_is_normalized_equally(form, text):
    assert Normalizer(form)(text) == Normalizer(form)(unicodedata.normalize("NFD", text))


@given(normalizers, any_text)
def test_words_of_a_text_are_normalized_words(normalizer, text):
    pairs = normalizer.split(text)
    assert [part for _, parts in pairs for part in parts] == normalizer.words(text)
    assert [(word, normalizer.words(word)) for word, _ in pairs] == pairs
    assert all(parts for _, parts in pairs)
