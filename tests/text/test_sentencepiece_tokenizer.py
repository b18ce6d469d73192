import random

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sentencepiece import SentencePieceProcessor

from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_tokenizer import SentencePieceTokenizer
from nmt.text.storage import save_tokenizer
from nmt.text.subword_sampling import merge

shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
letters = st.text("abdeilnorstuß<>▁ x-日本", max_size=40)


@pytest.fixture(scope="session")
def models(subwords, tmp_path_factory):
    """The models of the tokenizers, as SentencePiece writes them."""
    folder = tmp_path_factory.mktemp("models")
    for name, tokenizer in subwords.items():
        save_tokenizer(tokenizer, folder / name)
    return {name: (folder / name / "sentencepiece.model").read_bytes() for name in subwords}


@pytest.fixture(scope="session")
def processors(models):
    """SentencePiece itself, with the models of the tokenizers."""
    return {name: SentencePieceProcessor(model_proto=model) for name, model in models.items()}


@pytest.mark.parametrize("name", ["bpe", "unigram", "bytes"])
@shared
@given(text=letters)
def test_sentencepiece_agrees(subwords, processors, name, text):
    normalized = Normalizer()(text).replace("▁", "")
    ids = subwords[name].encode(normalized)
    assert ids == processors[name].encode(normalized)
    assert subwords[name].decode(ids).split() == processors[name].decode(ids).split()


@shared
@given(text=letters)
def test_merges_without_dropout_are_those_of_sentencepiece(subwords, processors, text):
    processor = processors["bpe"]
    ranks = {processor.id_to_piece(i): -processor.get_score(i) for i in range(4, len(processor))}
    for word in Normalizer()(text).replace("▁", "").split():
        pieces, _ = merge(f"▁{word}", ranks, lambda: True)
        # SentencePiece gives the unknown characters in a row as one piece.
        assert "".join(pieces) == "".join(processor.encode(word, out_type=str))
        known = [piece for piece in pieces if piece in ranks]
        assert known == [p for p in processor.encode(word, out_type=str) if p in ranks]


def test_rare_dropout_is_mostly_the_plain_split(subwords, models, corpus):
    rare = SentencePieceTokenizer(
        Normalizer(), models["bpe"], model_type="bpe", sampling_alpha=1e-9
    )
    rng = random.Random(1)
    for line in corpus:
        assert rare.encode(line, rng) == subwords["bpe"].encode(line)


def test_a_word_is_pieces_after_a_blank(subwords):
    tokenizer = subwords["bpe"]
    pieces = tokenizer.pieces(tokenizer.encode("Der Hund"))
    assert "".join(pieces) == "▁Der▁Hund"
    assert pieces[0].startswith("▁")


def test_special_symbols_in_text_are_spelt_out(subwords):
    for tokenizer in subwords.values():
        pieces = tokenizer.pieces(tokenizer.encode("<s> </s> <pad> <unk>"))
        assert "".join(pieces) == "▁<s>▁</s>▁<pad>▁<unk>"
        assert not {"<s>", "</s>", "<pad>", "<unk>"} & set(pieces)


def test_blank_sign_in_text_is_not_a_space(subwords):
    for tokenizer in subwords.values():
        encoded = tokenizer.encode_words("a▁b ▁ ▁▁c")
        assert encoded.words == ["a▁b", "▁", "▁▁c"]
        assert sorted(set(encoded.word_of_token)) == [0, 1, 2]
        assert tokenizer.decode(encoded.ids) == "a▁b ▁ ▁▁c"


def test_unknown_characters_in_a_row_are_one_token(subwords):
    for name in "bpe", "unigram", "bpe sampled", "unigram sampled":
        ids = subwords[name].encode("日本a 語", random.Random(2))
        assert ids.count(UNK) == 2
        assert subwords[name].decode(ids) == "⁇a ⁇"


def test_bytes_spell_any_character(subwords):
    for name in "bytes", "bytes sampled":
        tokenizer = subwords[name]
        for text in "日本語 😀", "a\0b", "<0x41>":
            ids = tokenizer.encode(text, random.Random(1))
            assert UNK not in ids
            assert tokenizer.decode(ids) == text


def test_invalid_bytes_do_not_split_a_line(subwords):
    tokenizer = subwords["bytes"]
    first = tokenizer.pieces(range(len(tokenizer))).index("<0x00>")
    a, newline, broken = (first + byte for byte in (0x61, 0x0A, 0xFF))
    assert tokenizer.decode([a, newline, a, broken]) == "aa\ufffd"
    lead, tab, follows = (first + byte for byte in (0xC3, 0x09, 0xA9))
    assert tokenizer.decode([lead, tab, follows]) == "é", "as if the tab had not been written"


def test_bytes_of_blanks_make_no_words(subwords):
    tokenizer = subwords["bytes"]
    first = tokenizer.pieces(range(len(tokenizer))).index("<0x00>")
    tab, blank, lead, follows = (first + byte for byte in (0x09, 0x20, 0xC2, 0xA0))
    mark = tokenizer.pieces(range(len(tokenizer))).index("▁")
    cat, dog = tokenizer.encode("Katze"), tokenizer.encode("Hund")
    no_break = [lead, follows]  # U+00A0
    for ids in (
        [tab, *cat, *dog],
        [*cat, mark, blank, *dog],
        [*cat, tab, *dog],
        [*no_break, *cat, mark, *no_break, *dog, *no_break, mark],
    ):
        assert tokenizer.decode(ids) == "Katze Hund"
        split = tokenizer.decode_words(ids)
        assert split.words == ["Katze", "Hund"]
        assert len(split.word_of_token) == len(ids)
        assert split.word_of_token == sorted(split.word_of_token)
        assert {split.word_of_token[ids.index(token)] for token in cat} == {0}
        assert {split.word_of_token[ids.index(token)] for token in dog if token not in cat} == {1}


def test_extra_spaces_make_no_words(subwords):
    tokenizer = subwords["bpe"]
    blank = tokenizer.pieces(range(len(tokenizer))).index("▁")
    hund = tokenizer.encode("Hund")
    split = tokenizer.decode_words([blank, blank, *hund, blank])
    assert split.words == ["Hund"]
    assert set(split.word_of_token) == {0}


@pytest.mark.parametrize("name", ["bpe", "bytes"])
def test_the_mark_of_a_blank_is_a_character_like_others(subwords, name):
    """Known or written in bytes, it comes back as what it was."""
    tokenizer = subwords[name]
    assert tokenizer.decode(tokenizer.encode("die ▁ Frau▁")) == "die ▁ Frau▁"
