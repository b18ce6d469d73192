"""Units of alignments, and their tokens: by hand, and for every tokenizer."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nmt.core.special_tokens import UNK
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer
from nmt.text.reader import EncodedWords
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import Tokenizer
from nmt.text.unit_tokens import merge_units_that_share_tokens, split_sentence
from nmt.text.words import WordTrainer


def split(words: str, word_of_token: list[int], sizes: list[int | None], units="auto"):
    return split_sentence(words.split(), word_of_token, units, lambda: sizes, len)


def test_a_token_of_several_characters_is_shared_among_them() -> None:
    units = split("我爱你", [0, 0], [1, 2])
    assert units.texts == ["我", "爱", "你"]
    np.testing.assert_allclose(units.shares, [[1, 0, 0], [0, 0.5, 0.5]])
    np.testing.assert_allclose(units.weights, [[1, 0, 0], [0, 1, 1]])
    assert list(units.members[2]) == [1]


def test_a_character_of_several_tokens_has_them_all() -> None:
    units = split_sentence(
        ["我a"], [0] * 4, "characters", lambda: [1, 1, 1, 1], lambda t: len(t.encode())
    )
    np.testing.assert_allclose(units.shares, [[1, 0], [1, 0], [1, 0], [0, 1]])


def test_a_word_that_is_one_unit_counts_its_tokens_alike() -> None:
    units = split("ab 我爱", [0, 0, 0, 1], [1, 1, 9, 2])
    np.testing.assert_allclose(units.shares[:3], [[1, 0, 0]] * 3)
    np.testing.assert_allclose(units.sizes[:3], 1.0)


def test_unknown_token_takes_the_rest_of_its_word() -> None:
    units = split("我爱你们。", [0, 0, 0], [1, None, 1])
    np.testing.assert_allclose(
        units.shares, [[1, 0, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 0, 1]]
    )


def test_token_without_text_keeps_its_position() -> None:
    units = split("我爱", [0, 0, 0, 0], [0, 1, 0, 1])
    np.testing.assert_allclose(units.shares, [[1, 0], [1, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(units.weights.sum(axis=0), [1, 1])


def test_characters_that_were_cut_off_have_no_tokens() -> None:
    units = split("我爱你们", [0, 0], [1, 1])
    np.testing.assert_allclose(units.shares, [[1, 0, 0, 0], [0, 1, 0, 0]])


def test_replacement_of_a_word_may_be_several_words_or_none() -> None:
    """As `replace_unknown` has it: `der Zorp` for one token, nothing for the next."""
    units = split_sentence(["der Zorp", "", "x"], [0, 1, 2], "words", lambda: [None, None, 1], len)
    assert units.texts == ["der", "Zorp", "x"]
    assert (units.shares > 0).tolist() == [[True, True, False], [False] * 3, [False, False, True]]


def test_a_sentence_of_blanks_is_one_word() -> None:
    units = split_sentence(["", ""], [0, 1], "auto", lambda: [0, 0], len)
    assert units.texts == [""]
    assert units.shares.tolist() == [[1.0], [1.0]]
    assert split_sentence([], [], "auto", lambda: [], len).shares.shape == (0, 0)


CORPUS = ["我爱你。我爱狗。", "l´homme aime les chiens .", "ก็ดีที่", "ab cd"] * 5
TRAINERS = {
    "words": lambda: WordTrainer(Normalizer("nfkc")),
    "characters": lambda: CharacterTrainer(Normalizer("nfkc")),
    "bytes": lambda: SentencePieceTrainer(
        Normalizer("nfkc"), vocabulary_size=300, byte_fallback=True
    ),
}


@pytest.fixture(scope="module", params=TRAINERS)
def tokenizer(request) -> Tokenizer:
    return TRAINERS[request.param]().train(lambda: iter(CORPUS))


@given(
    st.lists(
        st.sampled_from(
            ["我", "爱", "狗", "。", "´", "a", "cd", "l´homme", "ﬁ", "㍿", "が", "ที่", "é", "⁇", " "]
        )
    )
)
def test_units_are_those_of_the_raw_text(tokenizer, parts):
    text = "".join(parts)
    encoded = tokenizer.encode_words(text)
    assert encoded.ids == tokenizer.encode(text)
    assert encoded.words == text.split()
    for kind in ("auto", "words", "characters"):
        units = tokenizer.split_units(encoded, kind)
        assert "".join(units.texts) == "".join(text.split())
        np.testing.assert_allclose(units.shares.sum(axis=1), 1.0)
    pieces = tokenizer.split_units(encoded, "pieces")
    assert pieces.texts == tokenizer.pieces(encoded.ids)
    assert (pieces.shares == np.eye(len(encoded.ids))).all()


def test_characters_of_known_text_have_their_own_tokens(tokenizer):
    encoded = tokenizer.encode_words("ab 我爱你。")
    units = tokenizer.split_units(encoded, "auto")
    assert units.texts == ["ab", "我", "爱", "你", "。"]
    for unit, text in enumerate(units.texts):
        written = tokenizer.decode([encoded.ids[token] for token in list(units.members[unit])])
        assert text in written or UNK in encoded.ids


def test_a_form_with_a_blank_is_one_word(tokenizer):
    encoded = tokenizer.encode_words("l´homme aime")
    assert encoded.words == ["l´homme", "aime"]
    assert set(encoded.word_of_token) == {0, 1}
    assert tokenizer.normalizer.words("l´homme") == ["l", "\u0301homme"]


def test_words_written_for_tokens_are_the_units(tokenizer):
    """A text of a translation, in which a mark has become a name."""
    target = EncodedWords([UNK], ["张三"], [0])
    units = tokenizer.split_units(target, "auto")
    assert units.texts == ["张", "三"]
    np.testing.assert_allclose(units.shares, [[0.5, 0.5]])


def test_the_smallest_parts_of_a_source_are_words_or_the_text_of_tokens() -> None:
    units = split("ab 我爱你。 c", [0, 0, 1, 1, 2], [1, 1, 2, 2, 1])
    assert merge_units_that_share_tokens(units) == (["ab", "我爱", "你。", "c"], [0, 0, 1, 2, 3])
    assert merge_units_that_share_tokens(split("", [], [])) == ([], [])


def test_the_smallest_parts_of_unsegmented_text_are_not_the_sentence(tokenizer):
    parts = tokenizer.smallest_parts(tokenizer.encode_words("ab 我爱。"))
    assert "".join(parts.words) == "ab我爱。"
    assert parts.words in (["ab", "我", "爱", "。"], ["ab", "我爱", "。"])
    assert sorted(set(parts.word_of_token)) == list(range(len(parts.words)))


def test_the_units_of_a_very_long_line_are_its_words() -> None:
    """Else the alignment of two lines of a megabyte would need terabytes."""
    assert split("我" * 5_000, [0], [1]).texts == ["我"] * 5_000
    assert split("我" * 5_001, [0], [1]).texts == ["我" * 5_001]
    long = split("我" * 4_999 + " 你好", [0, 1], [1, 1], units="characters")
    assert long.texts == ["我" * 4_999, "你好"]


def test_a_line_of_many_words_takes_no_table_of_tokens_and_units() -> None:
    units = split_sentence(["a"] * 200_000, range(200_000), "auto", list, len)
    assert len(units.texts) == 200_000
    assert list(units.members[199_999]) == [199_999]
