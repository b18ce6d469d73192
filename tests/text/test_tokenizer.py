"""The contract of all tokenizers, over everything in the table."""

import pickle
import random
import re

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from nmt.core.errors import DataError
from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK
from nmt.inference.loading import word_edges
from nmt.search.constraints import count_unmet
from nmt.text.normalization import Normalizer
from nmt.text.storage import load_tokenizer, save_tokenizer
from nmt.text.table import TOKENIZERS
from nmt.text.tokenizer import UNKNOWN_TEXT

any_text = st.text(st.characters(codec=None, exclude_categories=[]))
seeds = st.integers(0, 2**32)
# The fixture is immutable, so that it can be the same for all examples.
shared = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30
)

AWKWARD = [
    "",
    "   \t ",
    "\0",
    "a\tb\r\nc",
    "a▁b ▁ ▁▁c",
    "￭ a￭b",
    "👩‍👩‍👧 👍🏽",
    "<s> </s> <pad> <unk> <0x41>",
    "\ud800",
    "日本語",
    "▅ ⁇",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_text_is_encoded_like_any_other(tokenizer, text):
    encoded = tokenizer.encode_words(text)
    assert encoded.ids == tokenizer.encode(text)
    assert encoded.words == text.replace("\ud800", "\ufffd").split()
    if tokenizer.name != "words":  # which may know a mark only as one that joins the word before
        assert len(tokenizer.decode(encoded.ids).split()) >= len(encoded.words)
    assert not {PAD, BOS, EOS} & set(encoded.ids)


@shared
@given(any_text, seeds)
def test_any_text_gives_valid_tokens(tokenizer, text, seed):
    for ids in tokenizer.encode(text), tokenizer.encode(text, random.Random(seed)):
        assert all(0 <= token < len(tokenizer) for token in ids)
        assert not {PAD, BOS, EOS} & set(ids)
        assert bool(ids) == bool(tokenizer.normalizer(text))


@shared
@given(data=st.data())
def test_known_text_is_decoded_exactly(tokenizer, corpus, data):
    words = sorted({word for line in corpus for word in line.split()})
    sentence = " ".join(data.draw(st.lists(st.sampled_from(words))))
    ids = tokenizer.encode(sentence)
    assert UNK not in ids
    assert tokenizer.decode(ids) == tokenizer.normalizer(sentence)


@shared
@given(data=st.data())
def test_unseen_words_of_known_characters_come_back(tokenizer, corpus, data):
    sentence = data.draw(st.text(sorted(set(" ".join(corpus)))))
    ids = tokenizer.encode(sentence)
    assert UNK not in ids or tokenizer.name == "words"
    decoded, expected = tokenizer.decode(ids), tokenizer.normalizer(sentence)
    if tokenizer.name == "words":  # a mark may be known with other joiners only
        decoded, expected = decoded.replace(" ", ""), expected.replace(" ", "")
    assert UNK in ids or decoded == expected


@pytest.mark.parametrize(
    ("text", "is_there"),
    [
        ("die Straße", True),
        ("die Straße.", True),
        ("(die Straße)", True),
        ("die-Straße", True),
        ("Straße's", True),
        ("Straßen", False),
        ("Straße3", False),
        ("", False),
    ],
)
def test_phrase_is_only_found_at_word_boundaries(tokenizer, text, is_there):
    """By its tokens, as phrases are that must appear: where these are split as they are alone."""
    phrase, tokens = tokenizer.encode("Straße"), tokenizer.encode(text)
    places = [i for i in range(len(tokens)) if tokens[i : i + len(phrase)] == phrase]
    found = not count_unmet(tokens, [phrase], word_edges(tokenizer))
    assert found == (is_there and bool(places))


@shared
@given(any_text, seeds)
def test_sampled_tokens_decode_to_the_same_text(tokenizer, text, seed):
    sampled = tokenizer.encode(text, random.Random(seed))
    assert tokenizer.decode(sampled) == tokenizer.decode(tokenizer.encode(text))


@shared
@given(any_text, seeds)
def test_sampling_depends_only_on_text_and_generator(tokenizer, text, seed):
    first = tokenizer.encode(text, random.Random(seed))
    tokenizer.encode("Der kleine Hund", random.Random(7))
    assert tokenizer.encode(text, random.Random(seed)) == first


def test_only_a_tokenizer_that_samples_draws(tokenizer, corpus):
    rng = random.Random(1)
    before = rng.getstate()
    drawn = [tokenizer.encode(line, rng) for line in corpus[:20]]
    plain = [tokenizer.encode(line) for line in corpus[:20]]
    assert (rng.getstate() != before) == tokenizer.samples
    assert (drawn != plain) == tokenizer.samples


@shared
@given(any_text)
def test_each_token_belongs_to_a_word(tokenizer, text):
    encoded = tokenizer.encode_words(text)
    assert encoded.ids == tokenizer.encode(text)
    assert encoded.words == re.sub("[\ud800-\udfff]", "\ufffd", text).split()
    assert len(encoded.word_of_token) == len(encoded.ids)
    assert sorted(encoded.word_of_token) == encoded.word_of_token
    assert set(encoded.word_of_token) == set(range(len(encoded.words)))


@shared
@given(data=st.data())
def test_words_of_tokens_are_the_words_of_the_text(tokenizer, corpus, data):
    sentence = data.draw(st.sampled_from(corpus))
    encoded = tokenizer.encode_words(sentence)
    split = tokenizer.decode_words(encoded.ids)
    assert split.words == list(map(tokenizer.normalizer, encoded.words))
    assert (split.ids, split.word_of_token) == (encoded.ids, encoded.word_of_token)


@shared
@given(data=st.data())
def test_tokens_that_no_text_gives_are_one_line_of_words_all_the_same(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1)))
    split = tokenizer.decode_words(ids)
    text = tokenizer.decode(ids)
    assert split.ids == ids
    assert sorted(split.word_of_token) == split.word_of_token
    assert set(split.word_of_token) == set(range(len(split.words)))
    assert text == " ".join(split.words)
    assert text.split() == [word for word in split.words if word]
    assert len(tokenizer.pieces(ids)) == len(ids)


def test_special_symbols_come_first_and_leave_no_text_but_for_the_unknown(tokenizer):
    assert tokenizer.pieces([PAD, UNK, BOS, EOS]) == list(SPECIAL_SYMBOLS)
    assert tokenizer.decode([BOS, *tokenizer.encode("Hund"), EOS, PAD]) == tokenizer.decode(
        tokenizer.encode("Hund")
    )
    assert tokenizer.decode([UNK]) == UNKNOWN_TEXT
    assert tokenizer.decode([]) == tokenizer.decode([BOS, EOS]) == ""


def test_a_line_of_100_000_words_is_a_line(tokenizer):
    assert tokenizer.decode(tokenizer.encode("Hund\t" * 100_000)) == " ".join(["Hund"] * 100_000)


def test_a_word_of_20_000_characters_is_a_word(tokenizer):
    for ids in (
        tokenizer.encode("Hund" * 5_000),
        tokenizer.encode("Hund" * 5_000, random.Random(1)),
    ):
        assert tokenizer.decode(ids) in ("Hund" * 5_000, UNKNOWN_TEXT)


def test_saved_and_loaded_is_the_same(tokenizer, corpus, tmp_path):
    save_tokenizer(tokenizer, tmp_path / "a" / "b")
    for other in load_tokenizer(tmp_path / "a" / "b"), pickle.loads(pickle.dumps(tokenizer)):
        assert type(other) is type(tokenizer)
        assert other.fingerprint() == tokenizer.fingerprint()
        assert other.normalizer == tokenizer.normalizer
        assert len(other) == len(tokenizer)
        assert other.samples == tokenizer.samples
        for line in [*corpus[:20], *AWKWARD]:
            assert other.encode(line) == tokenizer.encode(line)
            assert other.decode(other.encode(line)) == tokenizer.decode(tokenizer.encode(line))
            drawn = other.encode(line, random.Random(3))
            assert drawn == tokenizer.encode(line, random.Random(3))


def test_tokenizers_have_different_fingerprints(tokenizers):
    assert len({tokenizer.fingerprint() for tokenizer in tokenizers.values()}) == len(tokenizers)


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if name != "sentencepiece"])
def test_normalizers_have_different_fingerprints(name):
    normalizers = Normalizer(), Normalizer(lowercase=True), Normalizer("none")
    trained = [
        TOKENIZERS[name](normalizer).train(lambda: iter(["abc"])) for normalizer in normalizers
    ]
    assert len({tokenizer.fingerprint() for tokenizer in trained}) == len(trained)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_training_again_gives_the_same_bytes(name, lines, tmp_path):
    options = {"vocabulary_size": 120, "character_coverage": 1.0} if name == "sentencepiece" else {}
    for folder in "first", "second":
        trained = TOKENIZERS[name](Normalizer(lowercase=True), **options).train(lines)
        save_tokenizer(trained, tmp_path / folder)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("blank", [[], ["", "  \t "]])
def test_text_without_words_is_refused(name, blank):
    with pytest.raises(
        DataError, match=r"data\.train: has no text to train a tokenizer; check its files"
    ):
        TOKENIZERS[name](Normalizer()).train(lambda: iter(blank))
