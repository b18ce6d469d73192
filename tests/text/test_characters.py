from nmt.core.special_tokens import UNK
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer


def train(*lines, **options):
    return CharacterTrainer(Normalizer(), **options).train(lambda: iter(lines))


def test_each_character_and_each_blank_is_a_token():
    tokenizer = train("ab a")
    # By count: the blank first always, then a (2), b (1), after the four special symbols.
    assert len(tokenizer) == 7
    assert tokenizer.encode(" ba  a ") == [6, 5, 4, 5]
    assert tokenizer.pieces([6, 5, 4, 5]) == ["b", "a", "▁", "a"]
    assert tokenizer.encode("az") == [5, UNK]


def test_the_blank_belongs_to_the_word_after_it():
    encoded = train("ab cd").encode_words("ab c")
    assert encoded.words == ["ab", "c"]
    assert encoded.word_of_token == [0, 0, 1, 1]


def test_extra_spaces_make_no_words():
    tokenizer = train("ab")
    blank, a, b = 4, 5, 6
    split = tokenizer.decode_words([blank, a, blank, blank, b, blank])
    assert split.words == ["a", "b"]
    assert split.word_of_token == [0, 0, 1, 1, 1, 1]
    assert tokenizer.decode_words([blank, blank]).words == [""]
    assert tokenizer.decode([blank, a, blank, blank, b, blank]) == "a b"


def test_space_token_exists_without_spaces_in_the_text():
    tokenizer = train("ab", vocabulary_size=6, min_count=1)
    assert tokenizer.decode(tokenizer.encode("a a")) == "a a"
    assert UNK in tokenizer.encode("b")


def test_rare_characters_can_be_left_out():
    tokenizer = train("aab", min_count=2)
    assert tokenizer.decode(tokenizer.encode("ab")) == "a⁇"
