"""`nmt lexicon`, and translating by it."""

import gzip
import inspect
import shutil
from pathlib import Path

import pytest

from nmt.build.lexicon import learn_lexicon
from nmt.cli.resume import fingerprint_model
from nmt.runs.run import Run
from tests.integration.conftest import ENGLISH, GERMAN, Command


def test_words_find_their_translations(nmt: Command, in_copy: Path) -> None:
    outcome = nmt("lexicon", "runs/tiny", "-o", "lexicon.tsv", "--iterations", 10)
    assert (outcome.code, outcome.out) == (0, "")
    assert "runs/tiny/lexicon: 11 of 15 source tokens have translations, up to " in outcome.err
    assert outcome.err.endswith(" each (from 10 iterations of IBM model 1)\n")
    best: dict[str, tuple[str, float]] = {}
    for line in Path("lexicon.tsv").read_text().splitlines():
        source, target, probability = line.split("\t")
        best.setdefault(source, (target, float(probability)))
    assert [best[word][0] for word in ENGLISH] == GERMAN
    assert all(probability > 0.5 for _, probability in best.values())


def test_the_help_names_the_default_of_the_learning(nmt: Command, in_copy: Path) -> None:
    default = inspect.signature(learn_lexicon).parameters["iterations"].default
    assert f"EM iterations (default: {default})" in nmt("lexicon", "--help").out
    as_it_is = nmt("lexicon", "runs/tiny", "-o", "as_it_is.tsv")
    as_named = nmt("lexicon", "runs/tiny", "-o", "named.tsv", "--iterations", default)
    assert as_it_is.code == as_named.code == 0
    assert Path("as_it_is.tsv").read_bytes() == Path("named.tsv").read_bytes()


def test_translations_by_a_shortlist(nmt: Command, in_copy: Path) -> None:
    nmt("translate", "runs/tiny", "test.en", "--shortlist").assert_refused(
        "runs/tiny: has no lexicon", "`nmt lexicon runs/tiny`"
    )
    assert nmt("lexicon", "runs/tiny").code == 0
    whole = nmt("translate", "runs/tiny", "test.en").lines
    listed = nmt("translate", "runs/tiny", "test.en", "--shortlist", "--beam-size", 3)
    assert listed.code == 0 and listed.lines == whole
    few = ("--set", "shortlist.candidates=1", "--set", "shortlist.frequent=1")
    outcome = nmt("translate", "runs/tiny", *few, stdin=b"one two .\n\none\n")
    assert outcome.lines[1] == "" and set(outcome.lines[0].split()) <= {"eins", "zwei", "."}
    told = nmt("translate", "runs/tiny", "--shortlist", "--scores", stdin=b"one .\n\n").lines
    assert told[1] == "0.000000\t0.000000\t"
    none = ("--set", "min_length=1", "--set", "eos_threshold=1.5")
    assert len(nmt("translate", "runs/tiny", *few, *none, stdin=b"zzz\n").lines) == 1
    # The scores that are told are those of the whole vocabulary.
    told = nmt("translate", "runs/tiny", "test.en", "--shortlist", "--scores")
    Path("found.de").write_text("".join(line.split("\t")[2] + "\n" for line in told.lines))
    scored = nmt("score", "runs/tiny", "--source", "test.en", "--target", "found.de")
    for one, other in zip(told.lines, scored.lines, strict=True):
        assert float(one.split("\t")[1]) == pytest.approx(float(other.split("\t")[0]), abs=1e-4)
    nmt("translate", "runs/tiny", "test.en", "--shortlist", "--search", "sampling").assert_refused(
        "shortlist", "is not supported with sampling; leave it out"
    )
    nmt("translate", "runs/tiny", "--set", "shortlist.candidates=65").assert_refused("64")


def test_an_output_by_another_lexicon_is_another(nmt: Command, in_copy: Path) -> None:
    """What `--resume` compares."""
    run = Run.open("runs/tiny", ["decoding.shortlist={}"])

    def identity() -> str:
        return fingerprint_model(run, [], "best", {})

    nmt("lexicon", "runs/tiny")
    before = identity()
    assert identity() == before
    nmt("lexicon", "runs/tiny", "--iterations", 1)
    assert identity() != before


def test_a_given_table(nmt: Command, in_copy: Path) -> None:
    with gzip.open("table.tsv.gz", "wt") as stream:
        for source, target in zip(ENGLISH, GERMAN, strict=True):
            stream.write(f"{source}\t{target}\t0.9\n{source}\t.\t0.1\n")
    outcome = nmt("lexicon", "runs/tiny", "--table", "table.tsv.gz", "-o", "out.tsv")
    assert outcome.code == 0
    lines = Path("out.tsv").read_text().splitlines()
    assert len(lines) == 20
    place = lines.index("one\teins\t0.9")
    assert lines[place + 1] == "one\t.\t0.1"


@pytest.mark.parametrize(
    "line", ["one eins 0.5", "one\teins", "one\teins\t0", "one\teins\t1.5", "one\teins\tnan", ""]
)
def test_a_malformed_table(line: str, nmt: Command, in_copy: Path) -> None:
    Path("table.tsv").write_text(f"two\tzwei\t1\n{line}\n")
    nmt("lexicon", "runs/tiny", "--table", "table.tsv").assert_refused(
        "table.tsv, line 2: must be a source word, a target word and a probability"
    )
    assert not Path("runs/tiny/lexicon").exists()


def test_a_long_line_of_a_table_ends(nmt: Command, in_copy: Path) -> None:
    """Its tokens are taken once each: all pairs of them as they stand would be 10^8."""
    Path("table.tsv").write_text("one " * 10_000 + "\t" + "eins " * 10_000 + "\t0.5\n")
    assert nmt("lexicon", "runs/tiny", "--table", "table.tsv", "-o", "out.tsv").code == 0
    assert Path("out.tsv").read_text() == "one\teins\t0.5\n"


def test_a_table_of_other_words(nmt: Command, in_copy: Path) -> None:
    Path("table.tsv").write_text("eleven\telf\t1\n")
    nmt("lexicon", "runs/tiny", "--table", "table.tsv").assert_refused(
        "table.tsv: has no words of the run's vocabularies; use another"
    )
    assert not Path("runs/tiny/lexicon").exists()


def test_commands_without_search_need_no_lexicon(nmt: Command, in_copy: Path) -> None:
    config = Path("runs/tiny/config.yaml")
    config.write_text(config.read_text().replace("shortlist: null", "shortlist: {frequent: 5}"))
    assert "shortlist: {frequent" in config.read_text()
    pair = ("--source", "test.en", "--target", "test.de")
    assert nmt("score", "runs/tiny", *pair).code == nmt("align", "runs/tiny", *pair).code == 0
    nmt("translate", "runs/tiny", "test.en").assert_refused("has no lexicon")


def test_invalid_lexicon_sources_are_refused(nmt: Command, in_copy: Path) -> None:
    nmt("lexicon", "runs/none").assert_refused("runs/none: no such folder")
    nmt("lexicon", "runs/tiny", "--iterations", 0).assert_refused(
        "must be a whole number from 1 to"
    )
    nmt("lexicon", "no_run", "--iterations", 2, "--table", "x").assert_refused(
        "--iterations: has no effect with --table; leave one of them out"
    )
    nmt("lexicon", "runs/tiny", "-o", "runs").assert_refused("runs: is a folder")
    assert not Path("runs/tiny/lexicon").exists()
    nmt("lexicon", "runs/tiny", "--table", "no.tsv").assert_refused("no.tsv: no such file")
    shutil.rmtree("runs/tiny/cache")
    Path("train.en").unlink()
    nmt("lexicon", "runs/tiny").assert_refused("train.en: no such file")


def test_training_makes_the_lexicon_that_its_decoding_needs(nmt: Command, in_copy: Path) -> None:
    """And scores the test set with it, as translate does; --overwrite makes another one."""
    train = ("train", "tiny.yaml", "run=runs/listed", "decoding.shortlist={frequent: 20}")
    assert nmt(*train, "training.max_updates=1").code == 0
    texts = Path("runs/listed/translations/test.txt").read_text().splitlines()
    assert nmt("translate", "runs/listed", "test.en").lines == texts
    assert (
        nmt("train", "tiny.yaml", "run=runs/listed", "training.max_updates=1", "--overwrite").code
        == 0
    )
    assert not Path("runs/listed/lexicon").exists()
