from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.storage import load_tokenizer, save_tokenizer
from nmt.text.words import JOINER, WordTrainer, split_word


def train(*lines, **options):
    return WordTrainer(Normalizer(), **options).train(lambda: iter(lines))


@pytest.mark.parametrize(
    ("word", "tokens"),
    [
        ("word", "word"),
        ("word,", "word ￭,"),
        ("(word)", "(￭ word ￭)"),
        ("(don't).", "(￭ don ￭'￭ t ￭) ￭."),
        ("...", ". ￭. ￭."),
        ("T-shirt", "T ￭-￭ shirt"),
        ("3.5%", "3 ￭.￭ 5 ￭%"),
        ("l’été", "l ￭’￭ été"),
        ("हिन्दी", "हिन्दी"),  # vowel signs are part of a word
        ("a_b", "a ￭_￭ b"),
        ("<s>", "<￭ s ￭>"),
        ("a￭b", "a ￭■■￭ b"),
        ("■■￭", "■ ￭■ ￭■■"),
    ],
)
def test_punctuation_is_split_with_joiners(word, tokens):
    assert split_word(word) == tokens.split()


@given(st.text(min_size=1).filter(lambda text: text.split() == [text]))
def test_split_words_can_be_joined_again(word):
    tokens = split_word(word)
    assert "".join(token.strip(JOINER) for token in tokens) == word.replace(JOINER, "■■")
    for left, right in pairwise(tokens):
        assert left.endswith(JOINER) != right.startswith(JOINER)


def test_joiners_and_squares_in_text_are_restored():
    text = "a￭b ￭ ■ ■■ ￭■￭ (￭)"
    tokenizer = train(text)
    assert UNK not in tokenizer.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_vocabulary_of_earlier_versions_reads_a_joiner_as_a_square():
    tokenizer = train("a ■ b")
    assert tokenizer.decode(tokenizer.encode("a ￭ b")) == "a ■ b"


def test_spaces_are_restored():
    tokenizer = train('"Well," he said (a bit).')
    encoded = tokenizer.encode_words('he said "a bit." (Well)')
    assert UNK not in tokenizer.encode('"Well," he said (a bit).')
    assert encoded.words == ["he", "said", '"a', 'bit."', "(Well)"]
    assert tokenizer.decode(tokenizer.encode('"Well," he (a bit).')) == '"Well," he (a bit).'


def test_tokens_of_a_word_know_it():
    encoded = train("don't stop .").encode_words("stop don't")
    assert encoded.word_of_token == [0, 1, 1, 1]


def test_rare_words_become_a_visible_unknown_mark():
    tokenizer = train("a a a b b c", vocabulary_size=6)
    assert tokenizer.decode(tokenizer.encode("c a b")) == "⁇ a b"
    assert len(train("a a a b b c", min_count=3)) == 5


def test_the_word_for_unknown_in_text_is_text():
    tokenizer = train("<unk> x")
    assert tokenizer.decode(tokenizer.encode("<unk>")) == "<unk>"
    assert UNK not in tokenizer.encode("<unk>")


@pytest.mark.parametrize(
    ("corpus", "text", "tokens"),
    [
        ("Tom chases Jerry .", "Tom chases Jerry.", "Tom chases Jerry ."),
        ("Tom chases Jerry.", "Tom chases Jerry .", "Tom chases Jerry ￭."),
        ("( a )", "(a)", "( a )"),
        ("(a)", "( a )", "(￭ a ￭)"),
        ("a . b", "a.b", "a . b"),
        ("a.b", "a. b", "a ￭.￭ b"),
        ("x !", "x!!!", "x ! ! !"),
        ("a ... b", "a. ...", "a ￭. . ￭. ￭."),
    ],
)
def test_an_unknown_mark_is_looked_up_with_other_joiners(corpus, text, tokens):
    tokenizer = train(corpus)
    assert " ".join(tokenizer.pieces(tokenizer.encode(text))) == tokens


def test_of_several_known_joiners_the_nearest_is_taken():
    tokenizer = train("a . ( .b")
    assert tokenizer.pieces(tokenizer.encode("a.b")) == ["a", ".￭", "b"]
    assert tokenizer.pieces(tokenizer.encode("a.")) == ["a", "."]


def test_unknown_mark_is_unknown_with_any_joiners():
    assert train("a . b").encode("a! b")[1:2] == [UNK]


@given(st.lists(st.text("ab.,!()-", min_size=1), min_size=1))
def test_known_text_is_decoded_with_any_vocabulary(words):
    text = " ".join(words)
    tokenizer = train(text, ". , ! ( ) - a b", "a.b, (a)! -a-")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_older_tokenizer_keeps_its_joiners(tmp_path):
    save_tokenizer(train("Tom sleeps ."), tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.pieces(loaded.encode("Tom sleeps.")) == ["Tom", "sleeps", "."]
