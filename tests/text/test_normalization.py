import unicodedata

import pytest
from hypothesis import given, strategies as st

from nmt.text.normalization import Normalizer

any_text = st.text(st.characters(codec=None, exclude_categories=[]))
settings = st.builds(
    Normalizer, normalization=st.sampled_from(["nfkc", "none"]), lowercase=st.booleans()
)


@pytest.mark.parametrize(
    ("raw", "nfkc", "untouched"),
    [
        ("ﬁne ２０", "fine 20", "ﬁne ２０"),
        ("cafe\u0301", "café", "cafe\u0301"),
        (" a\tb\u00a0c\r\n", "a b c", "a b c"),
        ("a\x85b\u2028c", "a b c", "a b c"),
        ("\ud800x", "\ufffdx", "\ufffdx"),
        ("\0", "\0", "\0"),
        ("   \t", "", ""),
        ("", "", ""),
    ],
)
def test_text_is_brought_to_one_form(raw, nfkc, untouched):
    assert Normalizer("nfkc")(raw) == nfkc
    assert Normalizer("none")(raw) == untouched


def test_lowercase_reaches_capitals_that_composing_brings_to_light():
    assert Normalizer("nfkc", lowercase=True)("ÄRGER \U0001d400") == "ärger a"
    assert Normalizer("none", lowercase=True)("ÄRGER") == "ärger"
    assert Normalizer("nfkc", lowercase=False)("ÄRGER") == "ÄRGER"


def test_what_lowercasing_takes_apart_is_composed_again():
    """J with a caron has no capital letter of its own, and the small one has."""
    assert Normalizer("nfkc", lowercase=True)("J\u030c") == "\u01f0"
    assert Normalizer("none", lowercase=True)("J\u030c") == "j\u030c"


@given(settings, any_text)
def test_normalised_text_stays_as_it_is(normalizer, text):
    assert normalizer(normalizer(text)) == normalizer(text)


@given(settings, any_text)
def test_words_are_what_stands_between_single_spaces(normalizer, text):
    assert normalizer(text).split() == normalizer.words(text)
    assert normalizer(text) == " ".join(normalizer.words(text))
    normalizer(text).encode()


@given(st.text())
def test_nfkc_is_that_of_unicode(text):
    assert Normalizer("nfkc")(text).split() == unicodedata.normalize("NFKC", text).split()
