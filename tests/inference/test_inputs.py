import logging

import pytest

from nmt.inference.inputs import LineWarnings, check_lines, check_pairs, read_words
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer


def test_what_has_another_type_is_named_by_its_number_in_the_stream():
    lines = check_lines(["one", None], str, first_number=41)
    assert next(lines) == "one"
    with pytest.raises(TypeError, match=r"^translate: line 42 is None; each line must be str$"):
        next(lines)
    pairs = check_pairs([("one", "eins"), ("two", 2)], str, "score", first_number=41)
    assert next(pairs) == ("one", "eins")
    with pytest.raises(TypeError, match=r"^score: pair 42 is \(str, int\); each pair must be"):
        next(pairs)


def test_a_line_too_long_is_cut_and_named(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one (two) three"]))
    with caplog.at_level(logging.WARNING):
        short, long = read_words(
            tokenizer,
            ["one", "one (two) three"],
            "source",
            max_tokens=3,
            warnings=LineWarnings(first_number=41),
        )
    assert short.words == ["one"]
    # "(", "two" and ")" are three tokens of one word: that it is cut keeps it a word.
    assert long.words == ["one", "(two)"]
    assert long.ids == tokenizer.encode("one (two) three")[:3]
    assert long.word_of_token == [0, 1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "line 42: the source has 5 tokens; only the first 3 are read (decoding.max_source_length)"
    ]


@pytest.mark.parametrize(("most", "is_cut"), [(4, True), (5, False), (6, False)])
def test_a_line_of_exactly_the_limit_is_not_cut(most, is_cut, caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["a b c d e"]))
    (sentence,) = read_words(tokenizer, ["a b c d e"], "target", most, LineWarnings())
    assert len(sentence.ids) == min(most, 5)
    assert " ".join(sentence.words) == "a b c d e"[: 2 * most - 1]
    assert len(caplog.messages) == is_cut


def read_all(tokenizer, lines, warnings, side="source"):
    """Read lines of at most 100 tokens."""
    read_words(tokenizer, lines, side, 100, warnings)


def test_a_line_with_unknown_tokens_is_named_once(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one two three"]))
    lines = ["one two", "one zwei drei", "", "quattro"]
    read_all(tokenizer, lines, LineWarnings())
    assert caplog.messages == []
    read_all(tokenizer, lines, LineWarnings(names_unknown=True))
    assert caplog.messages == [
        "line 2: 2 of 3 tokens are unknown to the model",
        "line 4: 1 of 1 tokens is unknown to the model",
    ]


def test_a_text_of_unknown_tokens_does_not_flood_the_terminal(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one"]))
    read_all(tokenizer, ["zwei"] * 1000, LineWarnings(names_unknown=True))
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == "there are more lines with unknown tokens; they are not named"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("zwei zwei" + " ein" * 10, "2 of 13 target tokens, in 1 of 2 lines"),
        ("ein zwei", "1 of 3 target tokens, in 1 of 2 lines"),
    ],
)
def test_unknown_tokens_are_summed_up_for_each_side(target, told, caplog):
    tokenizers = {
        "source": WordTrainer(Normalizer()).train(lambda: iter(["one two"])),
        "target": WordTrainer(Normalizer()).train(lambda: iter(["ein"])),
    }
    warnings = LineWarnings()
    for pair in (("one two", target), ("two one", "ein")):
        for line, (side, tokenizer) in zip(pair, tokenizers.items(), strict=True):
            read_all(tokenizer, [line], warnings, side)
    assert caplog.messages == []
    warnings.sum_up_unknown()
    many = "; is the target text in the right language?" if target == "ein zwei" else ""
    assert caplog.messages == [f"{told}, are unknown to the model{many}"]


def test_a_fifth_of_unknown_tokens_raises_no_doubt_of_the_language(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["ein"]))
    warnings = LineWarnings()
    read_all(tokenizer, ["ein ein zwei ein ein"], warnings)
    warnings.sum_up_unknown()
    assert caplog.messages == ["1 of 5 source tokens, in 1 of 1 lines, are unknown to the model"]
