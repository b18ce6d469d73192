"""What the command line makes of the attention family: guided, absent, impossible."""

import contextlib
import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nmt.config.decoding import DecodingConfig
from nmt.config.file import load_config
from nmt.core.errors import ConfigError
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.translator import Translator
from nmt.word_alignment.symmetrization import grow_diag_final_and
from tests.integration.conftest import Command

SHORT = ("training.max_epochs=1", "training.validation.every=null")


@pytest.fixture
def in_corpus(trained: Path, tmp_path: Path) -> Iterator[Path]:
    """The working directory has a corpus, tiny.yaml and no run."""
    for path in trained.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    with contextlib.chdir(tmp_path):
        yield tmp_path


def error_rate(nmt: Command, run: str | Path) -> float:
    outcome = nmt(
        *("align", run, "--source", "test.en", "--target", "test.de", "--gold", "test.align")
    )
    assert outcome.code == 0, outcome.err
    found = re.search(r"alignment error rate ([0-9.]+)%", outcome.err)
    assert found is not None
    return float(found[1])


def test_guided_attention_follows_the_links(nmt: Command, in_corpus: Path, trained: Path) -> None:
    outcome = nmt(
        *("train", "tiny.yaml", "run=runs/guided", "training.max_epochs=10"),
        *("data.train.alignments=train.align", "training.guided_attention.weight=1"),
    )
    assert outcome.code == 0, outcome.err
    guided, free = (error_rate(nmt, run) for run in ("runs/guided", trained / "runs/tiny"))
    assert guided < 10 and guided < free / 2, (guided, free)


def test_mismatched_alignments_are_refused(nmt: Command, in_corpus: Path) -> None:
    lines = Path("train.align").read_text().splitlines(keepends=True)
    given = ("data.train.alignments=some.align", "training.guided_attention.weight=1")
    for content, parts in [
        (lines[:-1], ["some.align has 399 lines", "400"]),
        ([*lines[:4], "0-99\n", *lines[5:]], ["some.align, line 5", "'0-99'", "target word 99"]),
        (["nonsense\n", *lines[1:]], ["some.align, line 1", "'nonsense' is not a link"]),
    ]:
        Path("some.align").write_text("".join(content))
        nmt("train", "tiny.yaml", "run=runs/x", *given).assert_refused(*parts)
    Path("some.align").unlink()
    nmt("train", "tiny.yaml", "run=runs/x", *given).assert_refused("some.align: no such file")


@pytest.mark.parametrize("style", ["sutskever", "bahdanau"])
def test_alignment_is_refused_without_attention(
    style: str, nmt: Command, in_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("model.attention=null", f"model.decoder.style={style}", *SHORT)
    outcome = nmt("train", "tiny.yaml", "run=runs/none", *options)
    assert outcome.code == 0, outcome.err
    assert len(nmt("translate", "runs/none", "test.en").lines) == 20
    reason = "model.attention: null, so without alignments; use a run with attention"
    pair = ("--source", "test.en", "--target", "test.de")
    nmt("align", "runs/none", *pair, "--html", "x.html", "-o", "x.align").assert_refused(reason)
    assert not list(in_corpus.glob("x.*"))
    with monkeypatch.context() as patch:
        patch.delattr(BatchRunner, "run_search")  # it is refused before anything is translated
        for asked in (("--alignments", "x.align"), ("--attention",), ("--attention", "--json")):
            nmt("translate", "runs/none", "test.en", *asked).assert_refused(reason)
    told = json.loads(nmt("translate", "runs/none", "test.en", "--json").lines[0])
    assert told["translation"] and "alignment" not in told
    needed = "needs attention, but model.attention is null"
    for option in ("replace_unknown=true", "coverage_penalty=gnmt", "coverage_penalty=summary"):
        refused = nmt("translate", "runs/none", "test.en", "--set", option)
        refused.assert_refused(f"--set {option}: {needed}")
    refused = nmt("tune", "runs/none", "--coverage-penalties", "none,0.1")
    refused.assert_refused(f"--coverage-penalties 0.1: {needed}")
    for key, value in (("coverage_penalty", "gnmt"), ("replace_unknown", True)):
        decoding = DecodingConfig.model_validate({key: value})
        with pytest.raises(ConfigError, match=rf"^options: decoding\.{key}: {needed}"):
            Translator.from_run("runs/none", decoding=decoding)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (
            ["model.attention.score=uniform", "model.attention.alignment=hard"],
            [
                "model.attention.alignment",
                "not supported with the constant score 'uniform'",
                "softmax",
            ],
        ),
        (["model.decoder.style=sutskever"], ["model.decoder.style", "model.attention: null"]),
        (["model.attention.num_heads=5"], ["model.attention.num_heads", "hidden_size (32)"]),
        (["model.attention.score=dot", "model.attention.score.width=3"], ["'dot'", "width"]),
        (["model.attention.alignment.alpha=2"], ["'softmax'", "alpha"]),
        (["model.attention.alignment=entmx"], ["'entmx'", "did you mean 'entmax'?"]),
        (["model.encoder.cell=gruu"], ["'gruu'", "did you mean 'gru'?"]),
        (["training.guided_attention.weight=1"], ["alignments", "guided_attention needs it"]),
        (["model.attention=null", "training.coverage_loss=1"], ["coverage_loss", "attention"]),
    ],
)
def test_unsupported_combinations_are_refused(
    options: list[str], parts: list[str], nmt: Command, in_corpus: Path
) -> None:
    nmt("check", "tiny.yaml", *options).assert_refused(*parts)


@pytest.mark.parametrize(
    "options",
    [
        ["model.attention.score=coverage_gru", "training.coverage_loss=1"],
        ["model.attention.alignment=monotonic", "model.decoder.style=luong"],
        ["model.attention.alignment=hard", "training.reinforce.discount=0.5"],
        ["model.attention.num_heads=4", "model.decoder.style=gnmt", "model.decoder.num_layers=2"],
        ["model.encoder.cell=layer_norm_lstm", "model.decoder.style=conditional"],
        ["model.decoder.cell=deep_gru", "model.decoder.recurrent_dropout=0.2"],
    ],
    ids=lambda options: options[0].rpartition(".")[2],
)
def test_others_train_and_translate(options: list[str], nmt: Command, in_corpus: Path) -> None:
    outcome = nmt("train", "tiny.yaml", "run=runs/other", *SHORT, *options)
    assert outcome.code == 0, outcome.err
    trained = load_config("runs/other/config.yaml").model
    assert trained == load_config("tiny.yaml", options).model != load_config("tiny.yaml").model
    facts = map(json.loads, Path("runs/other/metrics.jsonl").read_text().splitlines())
    (loss,) = [fact["loss"] for fact in facts if fact["kind"] == "validation"]
    assert loss < math.log(15), "better than a guess among the words and the end of the sentence"
    outcome = nmt("translate", "runs/other", "test.en", "--alignments", "x.align", "--scores")
    assert outcome.code == 0 and len(outcome.lines) == 20
    sources = Path("test.en").read_text().splitlines()
    links = Path("x.align").read_text().splitlines()
    assert len(links) == 20
    for number, (source, line, linked) in enumerate(
        zip(sources, outcome.lines, links, strict=True)
    ):
        text = line.rpartition("\t")[2]
        for one, other in (link.split("-") for link in linked.split()):
            assert int(one) < len(source.split()) and int(other) < len(text.split())
        if number < 3:
            alone = nmt("translate", "runs/other", stdin=f"{source}\n".encode())
            assert alone.lines == [text], "alone as among others"


def test_a_sentence_of_one_word(nmt: Command, in_corpus: Path) -> None:
    """No alignment comes to grief over a source of one token and EOS, or over nothing at all."""
    for alignment in ("local_m", "local_p", "monotonic", "sparsemax", "gumbel"):
        run = f"runs/{alignment}"
        outcome = nmt(
            "train", "tiny.yaml", f"run={run}", *SHORT, f"model.attention.alignment={alignment}"
        )
        assert outcome.code == 0, outcome.err
        assert len(nmt("translate", run, stdin=b"one\n\nunseen\n").lines) == 3


@pytest.fixture
def in_both_directions(nmt: Command, in_corpus: Path, trained: Path) -> Path:
    """A run of the other direction beside the corpus; its name is runs/back."""
    corpora = [
        f"data.{split}={{source: {split}.de, target: {split}.en}}"
        for split in ("train", "valid", "test")
    ]
    outcome = nmt("train", "tiny.yaml", "run=runs/back", "training.max_epochs=6", *corpora)
    assert outcome.code == 0, outcome.err
    return trained / "runs/tiny"


def test_the_links_of_two_directions_are_made_one(nmt: Command, in_both_directions: Path) -> None:
    pair = ("--source", "test.en", "--target", "test.de")
    both = ("align", in_both_directions, *pair, "--reverse", "runs/back")

    def links(*arguments: object) -> list[set[tuple[int, int]]]:
        outcome = nmt(*arguments)
        assert outcome.code == 0, outcome.err
        found = [[link.split("-") for link in line.split()] for line in outcome.lines]
        return [{(int(one), int(two)) for one, two in line} for line in found]

    forward = links("align", in_both_directions, *pair)
    turned = links("align", "runs/back", "--source", "test.de", "--target", "test.en")
    backward = [{(two, one) for one, two in line} for line in turned]
    expected = [one & two for one, two in zip(forward, backward, strict=True)]
    assert links(*both, "--symmetrize", "intersection") == expected
    expected = [one | two for one, two in zip(forward, backward, strict=True)]
    assert links(*both, "--symmetrize", "union") == expected
    grown = [
        grow_diag_final_and(frozenset(one), frozenset(two))
        for one, two in zip(forward, backward, strict=True)
    ]
    assert links(*both) == [set(line) for line in grown]


def test_weights_are_written_as_arrays(nmt: Command, in_corpus: Path, trained: Path) -> None:
    given = ("align", trained / "runs/tiny", "--source", "test.en", "--target", "test.de")
    outcome = nmt(*given, "--format", "npz", "-o", "weights.npz")
    assert (outcome.code, outcome.out) == (0, "")
    expected = [json.loads(line)["weights"] for line in nmt(*given, "--format", "json").lines]
    with np.load("weights.npz") as arrays:
        assert list(arrays) == [f"line_{number}" for number in range(1, 21)]
        for number, weights in enumerate(expected, start=1):
            assert arrays[f"line_{number}"].dtype == np.float32
            assert arrays[f"line_{number}"].tolist() == [
                pytest.approx(row, abs=1e-6) for row in weights
            ]


def test_invalid_alignment_options_are_refused(
    nmt: Command, in_corpus: Path, trained: Path
) -> None:
    given = ("align", trained / "runs/tiny", "--source", "test.en", "--target", "test.de")
    nmt(*given, "--format", "npz").assert_refused(
        "--format npz: needs an output file; give -o FILE.npz"
    )
    nmt(*given, "--symmetrize", "unoin").assert_refused(
        "--symmetrize: unknown method 'unoin' (did you mean 'union'?)", "grow-diag-final-and"
    )
    nmt(*given, "--symmetrize", "union").assert_refused(
        "--symmetrize union: only supported with --reverse RUN; give that too"
    )


def test_invalid_second_run_is_reported_before_loading_the_first(
    nmt: Command, in_corpus: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("align", trained / "runs/tiny", "--source", "test.en", "--target", "test.de")
    monkeypatch.setattr(Translator, "from_run", lambda *_, **__: pytest.fail("was loaded"))
    nmt(*given, "--reverse", "nowhere").assert_refused("nowhere: no such folder")


def test_lines_cut_by_one_of_two_runs_are_reported(
    nmt: Command, in_corpus: Path, trained: Path
) -> None:
    shutil.copytree(trained / "runs/tiny", "runs/short")
    config = Path("runs/short/config.yaml")
    text = config.read_text()
    assert "max_source_length: 1000" in text
    config.write_text(text.replace("max_source_length: 1000", "max_source_length: 1"))
    pair = ("--source", "test.en", "--target", "test.de", "--reverse", "runs/short")
    outcome = nmt("align", trained / "runs/tiny", *pair)
    outcome.assert_refused(
        "line 1 has different words in the two runs, as", "; raise decoding.max_source_length"
    )
