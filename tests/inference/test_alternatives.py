"""Other words at one place of a translation."""

from types import SimpleNamespace
from typing import Any

import pytest

from nmt.inference import alternatives
from nmt.inference.alternatives import Alternative, find_alternatives
from nmt.search.hypothesis import Hypothesis
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer

TOKENIZER = WordTrainer(Normalizer()).train(lambda: iter(["the cat sees a dog"]))


def translator(texts: list[str]) -> Any:
    """A translator whose searches return these texts."""
    found = [[Hypothesis(tuple(TOKENIZER.encode(text)), -1.0, -1.0)] for text in texts]
    limits = SimpleNamespace(max_length=10)
    runner = SimpleNamespace(
        search=SimpleNamespace(rules=SimpleNamespace(limits=limits)),
        run_search=lambda sources, constraints: found,
    )
    return SimpleNamespace(
        target_tokenizer=TOKENIZER, source_reader=TOKENIZER, max_source_length=10, runner=runner
    )


def test_tokens_that_begin_the_same_word_are_one_alternative(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    likely = [(1, 0.5), (2, 0.25), (3, 0.125)]
    monkeypatch.setattr(alternatives, "_likely_tokens", lambda *given, **named: likely)
    texts = ["the cat sees a dog", "the dog", "the cat sees"]
    assert find_alternatives(translator(texts), "a cat", "the") == [
        Alternative("cat", "the cat", 0.625, "the cat sees a dog"),
        Alternative("dog", "the dog", 0.25, "the dog"),
    ]
    (only,) = find_alternatives(translator(texts), "a cat", "the", 1)
    assert only.word == "cat"


@pytest.mark.parametrize(("source", "prefix"), [("", "the"), ("a cat", "the " * 10)])
def test_without_a_place_there_are_no_alternatives(source: str, prefix: str) -> None:
    assert find_alternatives(translator([]), source, prefix) == []
