"""What a tokenizer changes in references."""

import pytest

from nmt.build.metrics import first_changed_word
from nmt.text.normalization import Normalizer


@pytest.mark.parametrize(
    ("normalizer", "text", "change"),
    [
        (Normalizer("nfkc"), "a ½ b …", ("½", "1⁄2")),
        (Normalizer("nfkc"), "l´homme", ("l´homme", "l")),
        (Normalizer("nfc"), "a ½ cafe\u0301  \u09dc", None),
        (Normalizer("nfkc"), "a cafe\u0301  \u09dc\u00a0b", None),
        (Normalizer("none"), "a ½ cafe\u0301  \u09dc", None),
        (Normalizer(lowercase=True), "ein Hund", ("Hund", "hund")),
    ],
)
def test_first_changed_word_is_named(normalizer, text, change):
    assert first_changed_word(normalizer, text) == change


def test_case_is_ignored_on_request():
    assert first_changed_word(Normalizer(lowercase=True), "ein Hund", ignore_case=True) is None
    change = first_changed_word(Normalizer("nfkc", lowercase=True), "Hund ½ Ö", True)
    assert change == ("½", "1⁄2")
