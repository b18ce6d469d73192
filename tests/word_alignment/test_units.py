import pytest
from hypothesis import given, strategies as st

from nmt.word_alignment.units import find_units, split_text


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("the dog, (big)", "the dog, (big)"),
        ("我爱你。", "我 爱 你 。"),
        ("我爱Python。", "我 爱 Python 。"),
        ("涨了3.5%, 真的", "涨 了 3.5%, 真 的"),
        ("犬が「走る」！", "犬 が 「 走 る 」 ！"),
        ("ラーメン", "ラ ー メ ン"),
        ("ﾊﾞｽ", "ﾊﾞ ｽ"),
        ("が", "が"),  # in NFD: the mark stays with its letter
        ("ก็ดีที่น้ำ", "ก็ ดี ที่ น้ำ"),
        ("ខ្ញុំ", "ខ្ ញុំ"),
        ("မြန်မာ", "မြ န် မာ"),
        ("나는 너를", "나는 너를"),
        ("हिन्दी में", "हिन्दी में"),
        ("l´homme est", "l´homme est"),
        ("", ""),
    ],
)
def test_words_of_scripts_without_spaces_are_characters(text: str, units: str) -> None:
    assert split_text(text, "auto") == units.split()
    assert split_text(text, "words") == text.split()


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("ab c", "a b c"),
        ("e\u0301te\u0301", "e\u0301 t e\u0301"),
        ("हिन्दी", "हि न् दी"),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "\u1112\u1161\u11ab \u1100\u116e\u11a8"),
        ("👩\u200d👧👍🏽", "👩\u200d👧 👍🏽"),
    ],
)
def test_characters_are_grapheme_clusters(text: str, units: str) -> None:
    assert split_text(text, "characters") == units.split()


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("the dog", "words"),
        ("我", "words"),
        ("我爱你。", "characters"),
        ("我爱你 x", "characters"),
        ("ที่น้ำ", "characters"),
        ("我爱Python。", "words and characters"),
        ("我爱 the dog", "words and characters"),
        ("", None),
    ],
)
def test_units_are_named_by_the_split(text: str, units: str | None) -> None:
    assert find_units([split_text(word, "auto") for word in text.split()]) == units


@given(st.text(), st.sampled_from(["auto", "words", "characters"]))
def test_units_are_the_text_without_its_blanks(text, units):
    parts = split_text(text, units)
    assert "".join(parts) == "".join(text.split())
    assert all(parts)
