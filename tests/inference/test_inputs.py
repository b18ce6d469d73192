import logging

import pytest
from hypothesis import given, strategies as st

from nmt.inference import inputs
from nmt.inference.inputs import (
    LineWarnings,
    check_lines,
    check_pairs,
    full_batches,
    like_batches,
    read_words,
    windows,
)
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer


def test_item_of_another_type_is_named_by_its_number():
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


def test_warnings_name_what_a_line_is(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one"]))
    warnings = LineWarnings(names_unknown=True, item="sentence")
    read_all(tokenizer, ["one " * 101, *["zwei"] * 11], warnings)
    warnings.sum_up_unknown()
    assert caplog.messages[:2] == [
        "sentence 1: the source has 101 tokens; only the first 100 are read "
        "(decoding.max_source_length)",
        "sentence 2: 1 of 1 tokens is unknown to the model",
    ]
    assert caplog.messages[-2:] == [
        "further sentences with unknown tokens are not reported",
        "11 of 112 source tokens, in 11 of 12 sentences, are unknown to the model",
    ]


def test_a_text_of_unknown_tokens_does_not_flood_the_terminal(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one"]))
    read_all(tokenizer, ["zwei"] * 1000, LineWarnings(names_unknown=True))
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == "further lines with unknown tokens are not reported"


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
    many = "; check that the target text is in the right language" if target == "ein zwei" else ""
    assert caplog.messages == [f"{told}, are unknown to the model{many}"]


def test_a_fifth_of_unknown_tokens_raises_no_doubt_of_the_language(caplog):
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["ein"]))
    warnings = LineWarnings()
    read_all(tokenizer, ["ein ein zwei ein ein"], warnings)
    warnings.sum_up_unknown()
    assert caplog.messages == ["1 of 5 source tokens, in 1 of 1 lines, are unknown to the model"]


@given(st.lists(st.integers(0, 30)), st.integers(1, 5), st.integers(1, 40))
def test_windows_hold_everything_in_order_and_are_bounded(sizes, most_items, most_size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "_MOST_ITEMS", most_items)
        patch.setattr(inputs, "_MOST_SIZE", most_size)
        found = list(windows(iter(sizes), lambda size: size))
    assert [size for window in found for size in window] == sizes
    assert all(0 < len(window) <= most_items for window in found)
    # Full is what has reached the limit: the last item may go beyond it, the others not.
    assert all(sum(window[:-1]) < most_size for window in found if len(window) > 1)
    assert all(len(window) == most_items or sum(window) >= most_size for window in found[:-1])


def test_windows_are_read_lazily(monkeypatch):
    monkeypatch.setattr(inputs, "_MOST_ITEMS", 3)
    taken = []

    def lines():
        for number in range(10):
            taken.append(number)
            yield "line"

    stream = windows(lines(), len)
    assert taken == []
    next(stream)
    assert taken == [0, 1, 2]


@given(st.lists(st.integers(1, 50)), st.integers(1, 100))
def test_batches_hold_each_sentence_once_within_the_limit(lengths, tokens):
    batches = like_batches(lengths, tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= tokens or len(batch) == 1
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)


def test_batches_worked_by_hand():
    # 9 alone; 4, 4 make 8 of 10 tokens; 3, 2, 1 make 9.
    assert like_batches([1, 4, 9, 2, 4, 3], 10) == [[2], [1, 4], [5, 3, 0]]


def test_eos_counts_in_a_batch_and_lines_without_tokens_are_in_none():
    sources = [[5] * 4, [], [5] * 4, [5] * 2]
    assert full_batches(sources, 10) == [[0, 2], [3]]
    assert full_batches(sources, 9) == [[0], [2], [3]]
    assert full_batches(sources, 99) == [[0, 2, 3]]
