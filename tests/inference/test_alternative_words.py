"""Other words after a prefix: whole words, whatever the tokens of a word are."""

import math
from collections.abc import Sequence

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.config.model import ModelConfig
from nmt.core.special_tokens import EOS
from nmt.inference.alternatives import find_alternatives
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.inference.translator import Translator
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import Tokenizer

WORDS = ["house", "housing", "mouse", "moving", "sing", "singing", "tree", "trees"]
CJK = "猫犬鳥魚が好きです大小"


def make_translator(tokenizer: Tokenizer, seed: int = 1) -> Translator:
    torch.manual_seed(seed)
    config = {
        "embedding": {"size": 8, "dropout": 0},
        "encoder": {"hidden_size": 8, "dropout": 0},
        "decoder": {"hidden_size": 12, "output_dropout": 0},
    }
    model = build_model(ModelConfig.model_validate(config), len(tokenizer), len(tokenizer)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hidden" not in name:
                parameter.mul_(3.0)
        model.projection.bias[EOS] += 1.0
    decoding = DecodingConfig.model_validate({"max_length": 12, "beam_size": 3})
    runner = BatchRunner(
        model, build_search(decoding, tokenizer), torch.device("cpu"), torch.float32, 2_000
    )
    return Translator(
        runner, source_reader=tokenizer, target_tokenizer=tokenizer, max_source_length=50
    )


def train_subwords(lines: Sequence[str]) -> Tokenizer:
    options = {"model_type": "bpe", "vocabulary_size": 26, "character_coverage": 1.0}
    return SentencePieceTrainer(Normalizer(), **options).train(lambda: iter(lines))  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", "house", "house moving"])
def test_alternatives_of_subwords_are_whole_words(prefix: str) -> None:
    translator = make_translator(train_subwords([" ".join(WORDS)] * 5))
    encode = translator.target_tokenizer.encode
    assert max(len(encode(word)) for word in WORDS) > 1, "words have several tokens"
    found = find_alternatives(translator, "singing trees", prefix, 4)
    assert 1 < len(found) <= 4
    assert len({one.word for one in found}) == len(found)
    for one in found:
        assert " " not in one.word
        # The word before it is complete: an alternative never continues it.
        assert one.prefix == f"{prefix} {one.word}".strip()
        assert one.text == one.prefix or one.text.startswith(f"{one.prefix} ")


def test_the_probability_of_a_word_is_that_of_the_tokens_that_begin_it() -> None:
    translator = make_translator(train_subwords([" ".join(WORDS)] * 5))
    forced = translator.target_tokenizer.encode("house")
    (best, *_) = find_alternatives(translator, "trees", "house", 8)
    first = translator.target_tokenizer.encode(best.prefix)[len(forced)]
    (scored,) = translator.score([("trees", best.prefix)])
    share = math.exp(scored.token_log_probabilities[len(forced)])
    assert translator.target_tokenizer.pieces([first])[0].startswith("▁")
    assert best.probability >= share * (1 - 1e-4), "further tokens may begin the same word"
    assert best.probability <= 1.0


@pytest.mark.parametrize("is_character", [False, True])
@pytest.mark.parametrize("prefix", ["", "猫", "猫が"])
def test_alternatives_without_blanks_continue_the_text(prefix: str, is_character: bool) -> None:
    lines = [CJK, "猫が好きです", "犬が好きです", "大きい鳥です"]
    if is_character:
        tokenizer: Tokenizer = CharacterTrainer(Normalizer()).train(lambda: iter(lines))
    else:
        tokenizer = train_subwords(lines * 3)
    found = find_alternatives(make_translator(tokenizer), "犬が好き", prefix, 4)
    assert found
    assert len({one.word for one in found}) == len(found)
    for one in found:
        assert one.word
        assert one.prefix.replace(" ", "") == prefix + one.word
        assert one.text.startswith(one.prefix)
    assert any(" " not in one.prefix for one in found), "no blank is forced"


def test_nothing_follows_a_prefix_as_long_as_a_translation_may_be() -> None:
    translator = make_translator(train_subwords([" ".join(WORDS)] * 5))
    assert find_alternatives(translator, "trees", "house " * 20) == []
    assert find_alternatives(translator, "", "house") == []
