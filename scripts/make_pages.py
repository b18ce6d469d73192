"""Make the example pages of the documentation from the runs of the toy language and of pictures.

    nmt demo
    python scripts/prepare_pictures.py --train 10000
    nmt train configs/pictures.yaml
    python scripts/make_pages.py

writes docs/pages/{attention,trace-1,trace-2,trace-3,pictures}.html, and the pictures of the tour.
Sentences are those of the toy language, so the pages contain no text of others.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nmt.cli.main import main as nmt

# Sentences and pictures of the test sets: from the shortest to the longest one.
_NUM_LINES = 12
_NUM_PICTURES = 6
_DRAWN_PICTURE = 4  # in the tour: two objects and 14 words


def pick(lengths: Sequence[int], number: int) -> list[int]:
    """Return the indices of this many items whose lengths are spread evenly, shortest first."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    places = np.linspace(0, len(order) - 1, min(number, len(order)))
    return [order[int(place)] for place in places]


def make_attention_page(run: Path, data: Path, page: Path, work: Path) -> None:
    """Write the attention of some sentences of the test set, with their gold alignments."""
    sources = (data / "test.en").read_text(encoding="utf-8").splitlines()
    chosen = pick([len(line.split()) for line in sources], _NUM_LINES)
    for suffix in ("en", "de", "align"):
        lines = (data / f"test.{suffix}").read_text(encoding="utf-8").splitlines()
        text = "".join(f"{lines[index]}\n" for index in chosen)
        (work / f"some.{suffix}").write_text(text, encoding="utf-8")
    files = "--source", work / "some.en", "--target", work / "some.de"
    _run("align", run, *files, "--gold", work / "some.align", "-o", work / "links", "--html", page)


def make_trace_pages(run: Path, tour: Path, folder: Path) -> None:
    """Write the trace of each sentence of the tour."""
    for number, line in enumerate(tour.read_text(encoding="utf-8").splitlines(), start=1):
        _run("trace", run, line, "--html", folder / f"trace-{number}.html")


def make_picture_page(run: Path, data: Path, page: Path, work: Path) -> None:
    """Write the attention of some pictures of the test set."""
    texts = (data / "test.txt").read_text(encoding="utf-8").splitlines()
    chosen = pick([len(text.split()) for text in texts], _NUM_PICTURES)
    with np.load(data / "test.npz") as grids:
        arrays = {f"arr_{place}": grids[f"arr_{index}"] for place, index in enumerate(chosen)}
    np.savez(work / "some.npz", **arrays)
    _run("translate", run, work / "some.npz", "-o", work / "some.txt", "--html", page)


def make_tour_grid(run: Path, picture: Path, work: Path) -> None:
    """Draw what the words of a description look at, for one of the pictures of the page."""
    pair = "--source", work / "some.npz", "--target", work / "some.txt"
    _run("align", run, *pair, "-o", work / "some.align", "--plot", work / "grids")
    shutil.copy(work / f"grids/{_DRAWN_PICTURE}.png", picture)


def make_tour_picture(run: Path, tour: Path, picture: Path, work: Path) -> None:
    """Draw the heat map of the last sentence of the tour."""
    last = tour.read_text(encoding="utf-8").splitlines()[-1]
    (work / "last.en").write_text(f"{last}\n", encoding="utf-8")
    _run("translate", run, work / "last.en", "-o", work / "last.de")
    pair = "--source", work / "last.en", "--target", work / "last.de"
    _run("align", run, *pair, "-o", work / "last.align", "--plot", work / "plots")
    shutil.copy(work / "plots/1.png", picture)


def _run(*arguments: object) -> None:
    code = nmt([str(argument) for argument in arguments])
    if code:
        sys.exit(code)


def main(arguments: list[str] | None = None) -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/toy"))
    parser.add_argument("--data", type=Path, default=Path("data/toy"))
    parser.add_argument("--picture-run", type=Path, default=Path("runs/pictures"))
    parser.add_argument("--picture-data", type=Path, default=Path("data/pictures"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    given = parser.parse_args(arguments)
    tour, pages = given.data / "tour.en", given.out / "pages"
    pages.mkdir(parents=True, exist_ok=True)
    (given.out / "images").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_attention_page(given.run, given.data, pages / "attention.html", work)
        make_trace_pages(given.run, tour, pages)
        make_tour_picture(given.run, tour, given.out / "images/tour-attention.png", work)
        if given.picture_run.exists():
            page = pages / "pictures.html"
            make_picture_page(given.picture_run, given.picture_data, page, work)
            make_tour_grid(given.picture_run, given.out / "images/tour-pictures.png", work)


if __name__ == "__main__":
    main()
