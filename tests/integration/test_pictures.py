"""Pictures in words, end to end, and what is refused."""

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nmt.toy.pictures import write_pictures

CONFIG = """
run: runs/tiny
device: cpu
precision: float32
data:
  train: {grids: train.npz, target: train.txt}
  valid: {grids: valid.npz, target: valid.txt}
  test: {grids: test.npz, target: test.txt}
tokenizer: {name: words, shared: false}
model:
  embedding: {size: 16, dropout: 0}
  encoder: {name: grid, channels: 6, hidden_size: 16}
  decoder: {hidden_size: 32}
training:
  batch_tokens: 500
  max_epochs: 1
  early_stopping: null
  validation: {metrics: [exact_match], best: loss, num_samples: 1}
decoding: {max_length: 20}
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Path]:
    write_pictures(tmp_path, {"train": 60, "valid": 6, "test": 6})
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.mark.slow
def test_a_small_file_that_declares_a_huge_array_takes_little(
    pictures: Path, nmt: Callable, measure: Callable
) -> None:
    assert nmt("train", "tiny.yaml").code == 0
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile("huge.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("arr_0.npy", start + header)
    assert Path("huge.npz").stat().st_size < 300
    code, seconds, memory = measure(pictures, "translate", "runs/tiny", "test.npz")
    assert code == 0
    code, seconds_then, memory_then = measure(pictures, "translate", "runs/tiny", "huge.npz")
    assert code == 2
    assert seconds_then < seconds + 2.0 and memory_then < memory + 500e6


def test_train_translate_evaluate_score_align(pictures: Path, nmt: Callable) -> None:
    outcome = nmt("train", "tiny.yaml")
    assert outcome.code == 0, outcome.err
    translated = nmt("translate", "runs/tiny", "test.npz")
    assert translated.code == 0 and len(translated.lines) == 6, translated.err
    scored = nmt("translate", "runs/tiny", "test.npz", "--json")
    assert scored.code == 0, scored.err
    assert [json.loads(line)["translation"] for line in scored.lines] == translated.lines
    grids = [array for _, array in sorted(np.load("test.npz").items())]
    for grid, line in zip(grids, translated.lines, strict=True):
        np.savez("one.npz", grid)
        assert nmt("translate", "runs/tiny", "one.npz").lines == [line], "alone as among others"
    references = Path("test.txt").read_text().splitlines()
    # The references of the first half are what the model wrote: 3 and what it gets right by itself.
    mixed = [*translated.lines[:3], *references[3:]]
    Path("mixed.txt").write_text("".join(f"{line}\n" for line in mixed))
    held_out = ("--source", "test.npz", "--reference", "mixed.txt")
    outcome = nmt(
        "evaluate", "runs/tiny", *held_out, "--metrics", "exact_match", "--json", "s.json"
    )
    assert outcome.code == 0 and "exact match" in outcome.out, outcome.err
    right = sum(map(str.__eq__, translated.lines, mixed))
    assert right >= 3
    (score,) = json.loads(Path("s.json").read_text())["scores"]
    assert score["value"] == pytest.approx(100 * right / 6)
    given = ("--source", "test.npz", "--target", "test.txt")
    scored = nmt("score", "runs/tiny", *given, "--json")
    assert scored.code == 0 and len(scored.lines) == 6, scored.err
    for line, reference in zip(map(json.loads, scored.lines), references, strict=True):
        assert [*reference.split(), "</s>"] == line["tokens"]
        tokens = line["token_log_probabilities"]
        assert line["log_probability"] == pytest.approx(sum(tokens), abs=1e-4)
        assert max(tokens) < 0
    outcome = nmt("align", "runs/tiny", *given, "--plot", "plots")
    assert outcome.code == 0 and len(outcome.lines) == 6, outcome.err
    for line, grid, reference in zip(outcome.lines, grids, references, strict=True):
        rows, columns, _ = grid.shape
        links = [tuple(map(int, link.split("-"))) for link in line.split()]
        assert {target for _, target in links} == set(range(len(reference.split())))
        assert all(0 <= cell < rows * columns for cell, _ in links)
    assert len(list(Path("plots").glob("*.png"))) == 6
    nmt("align", "runs/tiny", *given, "--reverse", "runs/tiny").assert_refused(
        "--reverse runs/tiny: not supported for grids, which runs/tiny reads; leave it out"
    )
    nmt("translate", "runs/tiny").assert_refused("give an .npz file")
    nmt("translate", "runs/tiny", "test.txt").assert_refused("test.txt: not a valid .npz file")


def test_large_grids_are_cut_and_a_run_is_resumed(pictures: Path, nmt: Callable) -> None:
    cut = "decoding.max_source_length=10"
    assert nmt("train", "tiny.yaml", cut).code == 0
    assert [path.name for path in Path("runs/tiny/tokenizer").iterdir()] == ["target"]
    assert nmt("train", "tiny.yaml", cut, "training.max_epochs=2", "--resume").code == 0
    given = ("--source", "test.npz", "--target", "test.txt", "--plot", "plots")
    outcome = nmt("align", "runs/tiny", *given)
    assert outcome.code == 0 and len(outcome.lines) == 6, outcome.err
    assert "the source has" in outcome.err and "only the first 10 are read" in outcome.err


def test_training_starts_from_a_run_on_grids(pictures: Path, nmt: Callable) -> None:
    assert nmt("train", "tiny.yaml").code == 0
    tuned = ("run=runs/tuned", "start_from=runs/tiny")
    outcome = nmt("train", "tiny.yaml", *tuned, "model.encoder.dropout=0")
    assert outcome.code == 0 and "model.encoder.dropout: 0.2 -> 0.0" in outcome.err, outcome.err
    first = json.loads(Path("runs/tuned/metrics.jsonl").read_text().splitlines()[0])
    assert (first["kind"], first["update"]) == ("validation", 0)
    other = ("run=runs/other", tuned[1], "model.encoder.max_rows=9")
    nmt("train", "tiny.yaml", *other).assert_refused(
        "model.encoder.max_rows: differs from start_from (16 -> 9), whose tokenizers and weights"
    )


def test_check(pictures: Path, nmt: Callable) -> None:
    outcome = nmt("check", "tiny.yaml")
    assert (
        outcome.code == 0 and "grids of 6 channels" in outcome.out and "source cells" in outcome.out
    ), outcome.err


@pytest.mark.parametrize("split", ["train", "valid"])
def test_bad_grids_are_refused(pictures: Path, nmt: Callable, split: str) -> None:
    good = dict(np.load(f"{split}.npz"))
    np.savez(f"{split}.npz", **{**good, "arr_2": np.zeros((2, 2, 5))})
    nmt("train", "tiny.yaml").assert_refused(f"{split}.npz: array arr_2: 5 channels")
    np.savez(f"{split}.npz", **{**good, "arr_2": np.full((2, 2, 6), np.nan)})
    nmt("train", "tiny.yaml").assert_refused(f"{split}.npz: array arr_2: has NaN")
    np.savez(f"{split}.npz", **{**good, "arr_2": np.full((2, 2, 6), None)})
    nmt("train", "tiny.yaml").assert_refused(f"{split}.npz: array arr_2: pickled")
    np.savez(f"{split}.npz", **good, **{f"arr_{len(good)}": np.zeros((2, 2, 6))})
    nmt("train", "tiny.yaml").assert_refused(f"{split}.npz has {len(good) + 1} grids")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.shared=true", "tokenizer.shared: is not supported for grids"),
        ("model.encoder.cell=gru", "unknown"),
        ("model.encoder.name=conv", "model.encoder"),
        ("data.filters.deduplicate=true", "is not supported for grids"),
        (
            "data.test={source: a, target: b, grids: null}",
            "data.test: must be grids for model.encoder 'grid'",
        ),
    ],
)
def test_options_that_do_not_fit(
    pictures: Path, nmt: Callable, override: str, message: str
) -> None:
    outcome = nmt("check", "tiny.yaml", override)
    outcome.assert_refused(message)
