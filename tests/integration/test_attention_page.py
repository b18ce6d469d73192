"""`--html` and `--per-head` of `nmt align` and `nmt translate`."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import Command

PAIRS = ("--source", "test.en", "--target", "test.de")


def data_of(page: Path) -> list[dict]:
    found = re.findall(
        r'<script type="application/json" class="data">(.*)</script>', page.read_text()
    )
    return [json.loads(text) for text in found]


def test_align_writes_a_page(nmt: Command, in_trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    plain = nmt("align", "runs/tiny", *PAIRS)
    outcome = nmt(
        *("align", "runs/tiny", *PAIRS, "--gold", "test.align", "--html", page),
        *("--html-lines", 3),
    )
    assert outcome.code == 0, outcome.err
    assert outcome.out == plain.out
    views = data_of(page)
    assert [view["line"] for view in views] == [1, 2, 3]
    assert views[0]["languages"] == ["en", "de"]
    source = Path("test.en").read_text().splitlines()
    target = Path("test.de").read_text().splitlines()
    pairs = [list(pair) for pair in zip(source, target, strict=True)]
    assert [view["text"] for view in views] == pairs[:3]
    for view, line in zip(views, plain.lines[:3], strict=True):
        assert " ".join(f"{source}-{target}" for source, target in view["links"]) == line
        assert 0 <= view["aer"] <= 1 and view["gold"]["sure"]
        assert view["log_probability"] < 0 and view["pieces"]["source"][-1] == "</s>"
    assert f'{{"total":{len(source)}}}' in page.read_text()


def test_translate_writes_a_page(nmt: Command, in_trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    plain = nmt("translate", "runs/tiny", "test.en")
    outcome = nmt("translate", "runs/tiny", "test.en", "--html", page)
    assert outcome.code == 0, outcome.err
    assert outcome.out == plain.out
    views = data_of(page)
    assert [view["text"][1] for view in views] == plain.lines[: len(views)]
    assert all(view["score"] < 0 and "weights" in view["words"] for view in views)
    assert all(view["languages"] == ["en", "de"] for view in views)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("align", *PAIRS, "--html-lines", 5), ["--html-lines 5: has no effect without --html"]),
        (("translate", "test.en", "--html-lines", 5), ["--html-lines 5: has no effect"]),
        (("align", *PAIRS, "--per-head"), ["--per-head: has no effect on --format pharaoh"]),
        (("align", *PAIRS, "--html", "test.en"), ["--html", "test.en", "is also an input"]),
        (
            ("translate", "test.en", "-o", "x", "--html", "p.html", "--resume"),
            ["--html: cannot be combined with --resume; leave one of them out"],
        ),
    ],
)
def test_arguments_that_do_not_fit(
    arguments: tuple[object, ...], parts: list[str], nmt: Command, in_trained: Path
) -> None:
    command, *rest = arguments
    nmt(command, "runs/tiny", *rest).assert_refused(*parts)


def test_details_of_one_head(nmt: Command, in_trained: Path, tmp_path: Path) -> None:
    plain = nmt("align", "runs/tiny", *PAIRS, "--format", "json")
    outcome = nmt("align", "runs/tiny", *PAIRS, "--format", "json", "--per-head")
    assert outcome.code == 0, outcome.err
    for line, before in zip(outcome.lines, plain.lines, strict=True):
        details = json.loads(line)
        added = {name: details.pop(name) for name in list(details)[5:]}
        assert details == json.loads(before)
        assert list(added) == ["entropy", "coverage", "coverage_error", "error_rate"]
        assert added["error_rate"] is None
        sums = np.sum(details["weights"], axis=0)
        assert added["coverage"] == pytest.approx(sums, abs=1e-4)
        assert added["coverage_error"] == pytest.approx(np.abs(sums - 1).mean(), abs=1e-4)
    arrays = tmp_path / "a.npz"
    outcome = nmt("align", "runs/tiny", *PAIRS, "--format", "npz", "-o", arrays, "--per-head")
    assert outcome.code == 0, outcome.err
    with np.load(arrays) as found:
        assert found["line_1_entropy"].shape == (1,) and "line_1_heads" not in found
        last = found[f"line_{len(plain.lines)}_entropy"][0]
    assert last == pytest.approx(added["entropy"], abs=1e-5)


@pytest.fixture
def in_corpus(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory has a corpus, tiny.yaml and no run."""
    for path in trained.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_corpus")
def test_details_of_each_head(nmt: Command) -> None:
    trained_heads = nmt(
        *("train", "tiny.yaml", "run=runs/heads", "training.max_epochs=2"),
        "model.attention.num_heads=2",
    )
    assert trained_heads.code == 0, trained_heads.err
    outcome = nmt(
        *("align", "runs/heads", *PAIRS, "--format", "json", "--per-head"),
        *("--gold", "test.align", "--html", "page.html"),
    )
    assert outcome.code == 0, outcome.err
    assert re.findall(r"^(head \d: )?alignment error rate", outcome.err, re.MULTILINE) == [
        "",
        "head 1: ",
        "head 2: ",
    ]
    details = json.loads(outcome.lines[0])
    assert list(details)[5:] == ["entropy", "coverage", "coverage_error", "error_rate", "heads"]
    weights = np.array([head["weights"] for head in details["heads"]])
    assert weights.mean(0) == pytest.approx(np.array(details["weights"]), abs=2e-6)
    for head, of_head in zip(details["heads"], weights, strict=True):
        best = sorted((int(row.argmax()), target) for target, row in enumerate(of_head))
        assert head["alignment"] == " ".join(f"{source}-{target}" for source, target in best)
        assert 0 <= head["error_rate"] <= 1
    view = data_of(Path("page.html"))[0]
    assert len(view["words"]["heads"]) == 2 and len(view["by_head"]) == 2
    assert [head["aer"] for head in view["by_head"]] == pytest.approx(
        [head["error_rate"] for head in details["heads"]], abs=1e-5
    )
    nmt("align", "runs/heads", *PAIRS, "--format", "npz", "-o", "a.npz", "--per-head")
    with np.load("a.npz") as found:
        assert found["line_1_heads"] == pytest.approx(weights, abs=2e-6)
        entropies = [details["entropy"], *(head["entropy"] for head in details["heads"])]
        assert found["line_1_entropy"] == pytest.approx(entropies, abs=1e-5)


@pytest.mark.usefixtures("in_corpus")
def test_a_run_without_attention_shows_the_texts(nmt: Command) -> None:
    options = ("run=runs/without", "training.max_epochs=1", "model.attention=null")
    assert nmt("train", "tiny.yaml", *options).code == 0
    outcome = nmt("translate", "runs/without", "test.en", "--html", "page.html")
    assert outcome.code == 0, outcome.err
    first = data_of(Path("page.html"))[0]
    assert first["omitted"] == "the model has no attention" and "words" not in first
    assert first["text"] == [Path("test.en").read_text().splitlines()[0], outcome.lines[0]]
