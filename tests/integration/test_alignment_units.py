"""What alignments link: words of the raw text, characters, pieces; on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from nmt.inference.translator import Translator
from tests.integration.conftest import GERMAN, Command

pytestmark = pytest.mark.usefixtures("in_trained")


def write(folder: Path, source: str, target: str, gold: str = "") -> tuple[object, ...]:
    for name, text in (("s", source), ("t", target), ("gold", gold)):
        (folder / name).write_text(f"{text}\n")
    return ("align", "runs/tiny", "--source", folder / "s", "--target", folder / "t")


def align(nmt: Command, given: tuple[object, ...], *units: str) -> dict[str, Any]:
    outcome = nmt(*given, "--format", "json", *units)
    assert outcome.code == 0, outcome.err
    (line,) = outcome.lines
    found = json.loads(line)
    assert len(found["weights"]) == len(found["target"])
    assert all(len(row) == len(found["source"]) for row in found["weights"])
    return found


@pytest.mark.parametrize(
    ("units", "source", "target", "stated"),
    [
        (None, ["one", "two."], ["我", "爱", "Python", "。"], "words and characters"),
        ("auto", ["one", "two."], ["我", "爱", "Python", "。"], "words and characters"),
        ("words", ["one", "two."], ["我爱Python。"], "words"),
        ("characters", [*"onetwo."], [*"我爱Python。"], "characters"),
        ("pieces", ["one", "two", "."], ["<unk>", "<unk>"], "pieces"),
    ],
)
def test_a_target_without_spaces(
    units: str | None,
    source: list[str],
    target: list[str],
    stated: str,
    nmt: Command,
    tmp_path: Path,
) -> None:
    given = write(tmp_path, "one two.", "我爱Python。")
    found = align(nmt, given, *(() if units is None else ("--alignment-units", units)))
    assert (found["source"], found["target"]) == (source, target)
    assert found["units"] == stated
    assert {int(link.split("-")[1]) for link in found["alignment"].split()} == set(
        range(len(target))
    )
    with pytest.MonkeyPatch.context() as patch:
        drawn: list[str] = []
        patch.setattr(
            "nmt.visualization.plots.plot_attention", lambda *_, units: drawn.append(units)
        )
        nmt(
            *given,
            "--plot",
            tmp_path / "plots",
            *(() if units is None else ("--alignment-units", units)),
        )
    assert drawn[0].removesuffix(" of the tokenizer") == stated


def test_words_of_both_sides_are_called_words(nmt: Command, tmp_path: Path) -> None:
    assert align(nmt, write(tmp_path, "one two.", "zwei eins ."))["units"] == "words"
    assert align(nmt, write(tmp_path, "我爱", "你。"))["units"] == "characters"


def test_a_gold_alignment_counts_the_same_units(nmt: Command, tmp_path: Path) -> None:
    given = write(tmp_path, "one two .", "我爱你。", "0-0 1-1 1-2 2-3")
    outcome = nmt(*given, "--gold", tmp_path / "gold")
    assert outcome.code == 0 and "alignment error rate" in outcome.err
    assert "--alignment-units words" not in outcome.err
    nmt(
        *given, "--gold", tmp_path / "gold", "--alignment-units", "words", "-o", tmp_path / "x"
    ).assert_refused(
        "'1-1' names target word 1, but the target has 1 words, counted from 0 (units here: "
        "words); set --alignment-units",
    )


def test_a_gold_alignment_of_words_that_were_split_is_warned_of(
    nmt: Command, tmp_path: Path
) -> None:
    given = (
        *write(tmp_path, "one two .", "我 爱 你们 。", "0-0 1-1 1-2 2-3"),
        "--gold",
        tmp_path / "gold",
    )
    assert (
        "but some words were split into characters; if so, give --alignment-units words"
        in nmt(*given).err
    )
    assert "seem to count words" not in nmt(*given, "--alignment-units", "words").err


def test_links_are_those_of_the_raw_words(nmt: Command, tmp_path: Path) -> None:
    """NFKC makes a space of U+00B4, whose parts were words of their own: the runs are nfkc."""
    given = write(tmp_path, "l´one two", "zwei l´eins", "0-1 1-0")
    found = align(nmt, given)
    assert (found["source"], found["target"]) == (["l´one", "two"], ["zwei", "l´eins"])
    assert nmt(*given, "--gold", tmp_path / "gold").code == 0
    outcome = nmt(
        *("translate", "runs/tiny", tmp_path / "s", "--alignments", tmp_path / "links", "--json"),
    )
    alignment = json.loads(outcome.lines[0])["alignment"]
    assert alignment["source"] == ["l´one", "two"]
    links = (tmp_path / "links").read_text().split()
    assert links and {int(link.split("-")[0]) for link in links} <= {0, 1}


def test_translations_state_their_units(nmt: Command, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("one 我爱 two .\n")
    for units, source, stated in (
        ("auto", ["one", "我", "爱", "two", "."], "words and characters"),
        ("words", ["one", "我爱", "two", "."], "words"),
        ("characters", [*"one我爱two."], "characters"),
    ):
        (line,) = nmt(
            *("translate", "runs/tiny", tmp_path / "s", "--json", "--alignment-units", units)
        ).lines
        alignment = json.loads(line)["alignment"]
        assert (alignment["source"], alignment["units"]) == (source, stated)
        translator = Translator.from_run("runs/tiny", alignment_units=units)
        (translation,) = translator.translate(["one 我爱 two ."], with_alignments=True)
        assert translation.alignment is not None
        assert list(translation.alignment.source_words) == source
        assert translation.alignment.units == stated


def test_units_without_an_alignment_are_refused(nmt: Command) -> None:
    nmt("translate", "runs/tiny", "test.en", "--alignment-units", "words").assert_refused(
        "--alignment-units words: has no effect without alignments; add --alignments FILE"
    )


def test_guided_attention_takes_links_of_characters(nmt: Command, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        text = Path(f"{split}.de").read_text()
        for word, character in zip(GERMAN, "零一二三四五六七八九", strict=True):
            text = text.replace(word, character)
        (tmp_path / f"{split}.zh").write_text(text.replace(" ", "").replace(".", "。"))
    given = (
        *(
            "train",
            "tiny.yaml",
            f"run={tmp_path / 'run'}",
            "data.test=null",
            "training.max_epochs=1",
        ),
        "data.train={source: train.en, target: %s, alignments: train.align}"
        % (tmp_path / "train.zh"),
        "data.valid={source: valid.en, target: %s}" % (tmp_path / "valid.zh"),
        *("training.guided_attention.weight=1", "tokenizer.name=characters"),
    )
    nmt(*given).assert_refused(
        "train.align, line 1", "names target word", "set alignment_units of the"
    )
    outcome = nmt(*given, "data.train.alignment_units=auto")
    assert outcome.code == 0, outcome.err
