import hashlib
import subprocess
import sys
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from nmt.core.errors import DataError
from nmt.toy import lexicon
from nmt.toy.clauses import END_MARKS
from nmt.toy.corpus import LONGEST, SHORTEST, SentencePair, sentence_pairs, write_corpus

SPLITS = ("train", "valid", "test")


def sample(count: int, split: str = "train", **options: int) -> list[SentencePair]:
    return list(islice(sentence_pairs(split, **options), count))


@pytest.fixture(scope="module")
def pairs() -> list[SentencePair]:
    return sample(1500, max_length=30)


def test_a_seed_decides_everything() -> None:
    assert sample(50, seed=3) == sample(50, seed=3)
    assert sample(50, seed=3) != sample(50, seed=4)


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        (
            {"seed": 1, "max_length": 20},
            "db4c35fcaf7a6fc3103bc10147bb83556d47c81ffb3cd1f62e34fb1f6f9f36f9",
        ),
        (
            {"seed": 7, "max_length": 80},
            "4df60e61e4244564f310d4e3bdd2e1e630f95dee8fb8b0ce6b7db36f3823f735",
        ),
    ],
)
def test_the_corpus_is_the_same_bytes_in_every_version(
    tmp_path: Path, options: dict[str, int], digest: str
) -> None:
    """Published results are those of this corpus."""
    scale = 3 if options["seed"] == 1 else 1
    write_corpus(
        tmp_path, {"train": 1000 * scale, "valid": 100 * scale, "test": 100 * scale}, **options
    )
    found = hashlib.sha256()
    for path in sorted(tmp_path.iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    assert found.hexdigest() == digest


def test_more_sentences_begin_with_the_same() -> None:
    assert sample(60, "test")[:20] == sample(20, "test")


@given(st.integers(0, 1000), st.integers(SHORTEST, 40), st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_lengths_are_within_the_limits(seed: int, shortest: int, more: int) -> None:
    for pair in sample(3, seed=seed, min_length=shortest, max_length=shortest + more):
        assert shortest <= len(pair.english.split()) <= shortest + more


@pytest.mark.parametrize("length", [SHORTEST, 4, 5, 20, LONGEST])
def test_every_length_can_be_made(length: int) -> None:
    for split in SPLITS:
        (pair,) = sample(1, split, min_length=length, max_length=length)
        assert len(pair.english.split()) == length


def test_lengths_cover_the_requested_range() -> None:
    lengths = [len(pair.english.split()) for pair in sample(1000, max_length=12)]
    assert all(40 <= lengths.count(length) <= 180 for length in range(3, 13))


def test_splits_share_no_sentence_for_any_seeds() -> None:
    seen = {
        split: {
            pair.english.rstrip(" .!?")  # "I sleep !" would give "I sleep ." away
            for seed in (1, 2)
            for pair in sample(800, split, seed=seed, max_length=5)
        }
        for split in SPLITS
    }
    assert all(len(sentences) > 300 for sentences in seen.values())
    assert not seen["train"] & seen["valid"]
    assert not seen["train"] & seen["test"]
    assert not seen["valid"] & seen["test"]


def test_a_sentence_has_one_translation() -> None:
    """Short ones, for they come again, by other choices of the grammar too."""
    translations: dict[str, SentencePair] = {}
    pairs = sample(8000, max_length=6)
    for pair in pairs:
        assert translations.setdefault(pair.english, pair) == pair
    assert len(translations) < len(pairs)


def test_every_word_is_aligned(pairs: list[SentencePair]) -> None:
    for english, german, alignment in pairs:
        assert {i for i, _ in alignment} == set(range(len(english.split())))
        assert {j for _, j in alignment} == set(range(len(german.split())))
        assert list(alignment) == sorted(set(alignment))


def test_names_and_marks_are_aligned_with_themselves(pairs: list[SentencePair]) -> None:
    for english, german, alignment in pairs:
        source, target = english.split(), german.split()
        for i, j in alignment:
            if source[i] in lexicon.NAMES or source[i] in (*END_MARKS, ","):
                assert target[j] == source[i]


def test_the_order_of_words_changes(pairs: list[SentencePair]) -> None:
    crossing = sum(
        any(later < earlier for (_, earlier), (_, later) in pairwise(links))
        for _, _, links in pairs
    )
    assert crossing > len(pairs) / 2


def test_every_mark_ends_sentences_of_both_languages_alike(pairs: list[SentencePair]) -> None:
    ends = [(pair.english[-1], pair.german[-1]) for pair in pairs]
    assert all(source == target for source, target in ends)
    assert all(ends.count((mark, mark)) > len(ends) / 30 for mark in END_MARKS)


def test_an_exclamation_is_a_statement_with_another_mark() -> None:
    pairs = sample(8000, max_length=6)
    german = {pair.english: pair.german for pair in pairs}
    twins = [text for text in german if text.endswith(".") and f"{text[:-1]}!" in german]
    assert len(twins) > 20
    assert all(german[f"{text[:-1]}!"] == f"{german[text][:-1]}!" for text in twins)


def test_text_is_as_people_write_it(pairs: list[SentencePair]) -> None:
    for pair in pairs:
        for text in (pair.english, pair.german):
            words = text.split(" ")
            assert words[0][0].isupper()
            assert words[-1] in END_MARKS
            assert all(words)
            assert words[0] != ","
            assert words[-2] != ","
            assert ", ," not in text


def test_every_subordinate_clause_has_its_verb_at_the_end() -> None:
    """After `weil` and the like the clause up to the next comma ends with a finite verb."""
    verbs = (
        lexicon.INTRANSITIVE, lexicon.TRANSITIVE, lexicon.HANDLING, lexicon.DATIVE,
        lexicon.PREPOSITIONAL, lexicon.GIVING, lexicon.SAYING,
    )  # fmt: skip
    finite = {verb.prefix + form for group in verbs for verb in group for form in verb.german}
    for auxiliary in (*lexicon.MODALS, lexicon.BE, lexicon.HAVE_WITH_HABEN):
        finite.update(auxiliary.german)
    conjunctions = {word.german[0] for word in (*lexicon.CONJUNCTIONS, lexicon.THAT)}
    found = 0
    for pair in sample(600, max_length=12):
        words = pair.german.replace(" .", " ,").replace(" !", " ,").split()
        for start, word in enumerate(words):
            end = words.index(",", start) if "," in words[start:] else 0
            followed_by_relative = words[end + 1 : end + 2] and words[end + 1] in (
                "der", "die", "das", "den", "dem", "denen", "in", "auf", "an", "von", "mit", "über",
            )  # fmt: skip
            if word.lower() in conjunctions and not followed_by_relative:
                assert words[end - 1] in finite, pair.german
                found += 1
    assert found > 50


@pytest.mark.parametrize(("shortest", "longest"), [(2, 10), (3, 81), (9, 8)])
def test_refuses_impossible_lengths(shortest: int, longest: int) -> None:
    with pytest.raises(
        DataError, match=f"lengths: .* 3 to 80 words, .* not {shortest} to {longest}"
    ):
        sentence_pairs("train", min_length=shortest, max_length=longest)


def read(folder: Path) -> dict[str, list[str]]:
    return {path.name: path.read_text(encoding="utf-8").splitlines() for path in folder.iterdir()}


def test_files_are_line_for_line(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "toy"
    write_corpus(folder, {"train": 30, "valid": 5, "test": 0}, seed=7, max_length=9)
    files = read(folder)
    assert set(files) == {f"{split}.{end}" for split in SPLITS for end in ("en", "de", "align")}
    expected = sample(30, seed=7, max_length=9)
    assert files["train.en"] == [pair.english for pair in expected]
    assert files["train.de"] == [pair.german for pair in expected]
    links = [
        [tuple(map(int, link.split("-"))) for link in line.split()] for line in files["train.align"]
    ]
    assert links == [list(pair.alignment) for pair in expected]
    assert len(files["valid.de"]) == 5
    assert files["test.de"] == []


def test_refuses_a_negative_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="valid: must be 0 or more sentence pairs, not -1"):
        write_corpus(tmp_path, {"train": 1, "valid": -1})
    assert not list(tmp_path.iterdir())


def test_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.*: not written .*; choose another folder"):
        write_corpus(tmp_path / "file" / "toy", {"test": 1})


def test_previous_file_is_kept_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path, {"test": 3})
    before = read(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt.system.files.Path.replace", fail)
    with pytest.raises(DataError, match="No space left on device"):
        write_corpus(tmp_path, {"test": 2}, seed=9)
    assert read(tmp_path) == before


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    write_corpus(tmp_path, {"train": 100})  # what is made once
    peaks = []
    for size in (200, 800):
        tracemalloc.start()
        write_corpus(tmp_path, {"train": size})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_million_pairs_in_bounded_memory(tmp_path: Path) -> None:
    """Read the peak of the program itself: `ru_maxrss` starts from that of its parent."""
    code = (
        "import re, sys; from pathlib import Path; from nmt.toy.corpus import write_corpus;"
        "write_corpus(Path(sys.argv[1]), {'train': 1_000_000});"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    kilobytes = int(done.stdout)
    with (tmp_path / "train.align").open("rb") as file:
        assert sum(1 for _ in file) == 1_000_000
    assert kilobytes < 100_000
