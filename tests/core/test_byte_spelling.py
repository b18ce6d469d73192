import pytest

from nmt.core.byte_spelling import IN_WORD, is_in_word, spell


@pytest.mark.parametrize("character", "aßé7हिंॽ\u05b0\u064b我½\u200c\u200d\ufffd")
def test_letters_marks_digits_and_joiners_are_in_a_word(character: str) -> None:
    assert is_in_word(character)
    assert all(number >= IN_WORD for number in spell(character))


@pytest.mark.parametrize("character", [" ", ".", "-", "'", "。", "$", "\u200f", ""])
def test_all_else_ends_a_word(character: str) -> None:
    assert not is_in_word(character)


def test_a_persian_word_continues_after_a_non_joiner() -> None:
    """So that "می", which stands in it, is not found or forbidden there as a word."""
    assert all(number >= IN_WORD for number in spell("می\u200cخواهم"))
