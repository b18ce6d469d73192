from nmt.text.normalization import Normalizer
from nmt.text.reader import count_tokens
from nmt.text.words import WordTrainer


def test_tokens_and_unknown_tokens_are_counted() -> None:
    tokenizer = WordTrainer(Normalizer(), vocabulary_size=6).train(lambda: iter(["a b a b c"]))
    assert count_tokens(tokenizer, ["a b", "", "c a d"]) == (5, 2)
    assert count_tokens(tokenizer, []) == (0, 0)
