"""Given alignments: from a Pharaoh file to where each label is to look."""

from dataclasses import replace
from pathlib import Path

import pytest

from nmt.core.errors import DataError
from nmt.data.batching import BatchSampler
from nmt.data.cache import encode_corpus
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.filters import Filters
from nmt.data.formats.text_pairs import TextCorpus
from nmt.data.guided_alignment import read_links, target_weights
from nmt.data.loader import DataLoader
from nmt.data.ragged import RaggedArray
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import Tokenizer


@pytest.fixture
def letters() -> Tokenizer:
    """Every letter is a token, and so is the blank before a word."""
    return CharacterTrainer(Normalizer()).train(lambda: iter(["ab cd", "xyz"]))


def write(folder: Path, source: str, target: str, links: str) -> TextCorpus:
    for name, text in (("a", source), ("b", target), ("links", links)):
        (folder / name).write_text(text)
    return TextCorpus(folder / "links", source=folder / "a", target=folder / "b")


def encode(files: TextCorpus, tokenizer: Tokenizer, folder: Path) -> EncodedCorpus:
    filters = Filters(max_length=8)
    return encode_corpus(files, tokenizer, tokenizer, filters=filters, folder=folder)


def test_links_of_words_become_links_of_their_tokens(letters: Tokenizer, tmp_path: Path) -> None:
    files = write(tmp_path, "ab cd\n\n", "x yz\n\n", "0-1 1p0\n\n")
    (first, second) = read_links(files, letters, letters)
    tokens = [list(letters.encode_words(text).word_of_token) for text in ("ab cd", "x yz")]
    expected = sorted(
        (s, t)
        for s, source_word in enumerate(tokens[0])
        for t, target_word in enumerate(tokens[1])
        if (source_word, target_word) in {(0, 1), (1, 0)}
    )
    assert sorted(zip(first[::2], first[1::2], strict=True)) == expected
    assert second == []


def test_batch_has_the_alignment_of_each_label(letters: Tokenizer, tmp_path: Path) -> None:
    too_long = "abcd" * 5
    files = write(tmp_path, f"{too_long}\na b\nab\n", f"{too_long}\nx y\nx\n", "0-0\n0-1 1-0\n\n")
    corpus = encode(files, letters, tmp_path / "cache")
    sampler = BatchSampler([len(corpus)], seed=2, batch_sentences=99)
    (batch,) = DataLoader([corpus], sampler, seed=1).epoch(1)
    assert batch.alignment is not None
    assert batch.alignment.shape == (2, batch.labels.shape[1], batch.source.shape[1])
    crossed = next(row for row in range(2) if batch.alignment[row].sum() > 0)
    words = letters.encode_words("a b").word_of_token
    for label, word in enumerate(letters.encode_words("x y").word_of_token):
        linked = [float(other != word) for other in words]
        expected = [weight / sum(linked) for weight in linked]
        assert batch.alignment[crossed, label, : len(words)].tolist() == expected
    assert batch.alignment[crossed, :, len(words) :].sum() == 0, "EOS and padding are not linked"
    assert batch.alignment[1 - crossed].sum() == 0, "a pair without links"


def test_other_alignments_are_another_corpus(letters: Tokenizer, tmp_path: Path) -> None:
    keys = {
        encode(write(tmp_path, "ab\n", "x\n", links), letters, tmp_path / "cache").key
        for links in ("0-0\n", "\n")
    }
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ("0-0\n", r"links has 1 lines, .*a and .*b 2; line n of one must be the alignment"),
        ("0-0\n\n\n", r"links has 3 lines, .* 2; line n"),
        ("0-0\n0-7\n", r"links, line 2: '0-7' names target word 7, but the target has 1 words"),
        ("0-0\n7-0\n", r"links, line 2: '7-0' names source word 7, but the source has 1 words"),
        ("0-0\n0_0\n", r"links, line 2: '0_0' is not a link"),
    ],
)
def test_mismatched_alignments_are_refused(
    links: str, message: str, letters: Tokenizer, tmp_path: Path
) -> None:
    files = write(tmp_path, "ab\nab\n", "x\nx\n", links)
    with pytest.raises(DataError, match=message):
        encode(files, letters, tmp_path / "cache")


def test_alignments_are_refused_with_sampled_subwords(make_tokenizer, tmp_path: Path) -> None:
    files = write(tmp_path, "5\n", "5\n", "0-0\n")
    tokenizer = make_tokenizer(samples=True)
    with pytest.raises(
        DataError, match=r"links: alignments are not supported with sampled subwords"
    ):
        encode_corpus(files, tokenizer, tokenizer, filters=Filters(), folder=tmp_path / "cache")


def test_links_count_the_words_of_the_raw_text(tmp_path: Path) -> None:
    """NFKC makes a space of U+00B4, which is no end of a word."""
    tokenizer = CharacterTrainer(Normalizer("nfkc")).train(lambda: iter(["l´ab cd"]))
    files = write(tmp_path, "l´ab cd\n", "cd\n", "1-0\n")
    (links,) = read_links(files, tokenizer, tokenizer)
    source = tokenizer.encode("l´ab cd")
    assert {source[token] for token in links[::2]} == set(tokenizer.encode("x cd")[1:])
    assert min(links[::2]) == len(tokenizer.encode("l´ab"))


def test_links_may_count_characters(tmp_path: Path) -> None:
    tokenizer = CharacterTrainer(Normalizer()).train(lambda: iter(["我爱你。", "ab c"]))
    files = replace(write(tmp_path, "ab c\n", "我爱你。\n", "0-0 1-2\n"), alignment_units="auto")
    (links,) = read_links(files, tokenizer, tokenizer)
    pairs = set(zip(links[::2], links[1::2], strict=True))
    assert pairs == {(0, 0), (1, 0), (2, 2), (3, 2)}  # tokens of the source: a, b, blank, c
    keys = {
        encode(other, tokenizer, tmp_path / "cache").key
        for other in (files, replace(files, alignment_units="characters"))
    }
    assert len(keys) == 2
    with pytest.raises(DataError, match=r"target word 2, .* has 1 words.*; .* set alignment_units"):
        list(read_links(replace(files, alignment_units="words"), tokenizer, tokenizer))


def test_each_row_has_its_own_links() -> None:
    """Rows of source, target, source, target, ...; the second has none."""
    links = RaggedArray.from_rows([[0, 0, 1, 0], [], [2, 1, 0, 0, 1, 1]])
    assert target_weights(links, num_labels=2, num_positions=3).tolist() == [
        [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]],
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]],
    ]
