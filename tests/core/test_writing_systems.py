import sys
import unicodedata

import pytest

from nmt.core.writing_systems import (
    has_no_spaces,
    is_punctuation,
    is_word_character,
    scripts_of,
    strip_punctuation,
)


@pytest.mark.parametrize(
    ("text", "scripts"),
    [
        ("我爱你。", {"Han"}),
        ("犬が走る。", {"Han", "Hiragana"}),
        ("ラーメン", {"Katakana"}),
        ("ﾗｰﾒﾝ", {"Katakana"}),
        ("𠮷野家", {"Han"}),
        ("人々", {"Han"}),
        ("ฉันรักคุณ", {"Thai"}),
        ("ຂ້ອຍ", {"Lao"}),
        ("ខ្ញុំ", {"Khmer"}),
        ("မြန်မာ", {"Burmese"}),
        ("བོད", {"Tibetan"}),
        ("나는 너를 사랑해", set()),
        ("हिन्दी বাংলা עברית العربية Ελληνικά русский l'été, 17 ₤", set()),
        ("。、「」・！（）", set()),
        ("", set()),
    ],
)
def test_scripts_without_spaces(text: str, scripts: set[str]) -> None:
    assert scripts_of(text) == scripts
    assert has_no_spaces(text) == bool(scripts)


def test_names_of_unicode_agree_with_the_table() -> None:
    names = {
        "CJK UNIFIED": "Han",
        "HIRAGANA LETTER": "Hiragana",
        "KATAKANA LETTER": "Katakana",
        "HALFWIDTH KATAKANA LETTER": "Katakana",
        "BOPOMOFO LETTER": "Bopomofo",
        "THAI CHARACTER": "Thai",
        "LAO": "Lao",
        "KHMER": "Khmer",
        "MYANMAR": "Burmese",
        "TIBETAN": "Tibetan",
        "TAI LE": "Tai Le",
        "NEW TAI LUE": "New Tai Lue",
        "TAI THAM": "Tai Tham",
        "TAI VIET": "Tai Viet",
    }
    for name, script in names.items():
        letters = [
            character
            for character in map(chr, [*range(0x3400), *range(0x3400, sys.maxunicode, 61)])
            if unicodedata.name(character, "").startswith(name)
            and unicodedata.category(character) in ("Lo", "Nd", "Mn", "Mc")
        ]
        assert letters
        missed = [character for character in letters if script not in scripts_of(character)]
        assert not missed


@pytest.mark.parametrize("character", ".,!?-'\"。「」…¿$+−€°")
def test_punctuation_and_symbols(character: str) -> None:
    assert is_punctuation(character)


@pytest.mark.parametrize("character", "aß7हिंॽ्ְֿؐ我½\u200c\u200d")
def test_letters_marks_digits_and_joiners_are_not_punctuation(character: str) -> None:
    assert not is_punctuation(character)


@pytest.mark.parametrize(
    ("word", "stripped"),
    [
        ("(Glimm).", "Glimm"),
        ("„Straße“,", "Straße"),
        ("«été»", "été"),
        ("don't!", "don't"),
        ("हिन्दी।", "हिन्दी"),
        ("हिन्दी", "हिन्दी"),
        (
            "\u0643\u0650\u062a\u064e\u0627\u0628\u064c،",
            "\u0643\u0650\u062a\u064e\u0627\u0628\u064c",
        ),
        (
            "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd\u05bc",
            "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd\u05bc",
        ),
        ("ג׳", "ג׳"),
        ("\u0d28\u0d4d\u200d", "\u0d28\u0d4d\u200d"),  # a joiner is a part of the last letter
        ('\u200f"שלום"\u200f', "שלום"),
        ("-17", "-17"),
        ("(-17),", "-17"),
        ("−17.5%;", "−17.5%"),
        ("+3", "+3"),
        ("$5.", "$5"),
        ("5€,", "5€"),
        (".5", ".5"),
        ("...5", "5"),
        ("20°.", "20°"),
        ("-Foo-", "Foo"),
        ("C++,", "C++"),
        ("C#", "C#"),
        ("(@nmt)", "@nmt"),
        ("#nmt!", "#nmt"),
        ("「犬」。", "犬"),
        ("https://a.b/c_(d).", "https://a.b/c_(d"),
        ("...", "..."),
        ("-", "-"),
        ("", ""),
    ],
)
def test_punctuation_is_stripped_and_the_word_stays_whole(word: str, stripped: str) -> None:
    assert strip_punctuation(word) == stripped


@pytest.mark.parametrize("character", "aßé7हिंॽ\u05b0\u064b我½\u200c\u200d\ufffd")
def test_letters_marks_digits_and_joiners_are_word_characters(character: str) -> None:
    assert is_word_character(character)


@pytest.mark.parametrize("character", [" ", ".", "-", "'", "。", "$", "\u200f", ""])
def test_everything_else_ends_a_word(character: str) -> None:
    assert not is_word_character(character)


def test_persian_word_continues_after_a_non_joiner() -> None:
    """So that "می", which stands in it, is not found there as a word."""
    assert all(map(is_word_character, "می\u200cخواهم"))
