from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nmt.data.formats.grids import read_grids


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("make_pages")
    return module


def test_items_are_spread_from_the_shortest_to_the_longest(script: ModuleType) -> None:
    assert script.pick([5, 1, 9, 3, 7], 3) == [1, 0, 2]
    assert script.pick([2, 1], 5) == [1, 0]
    assert script.pick([4, 4, 4], 2) == [0, 2]


def test_the_commands_write_all_pages(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for suffix, line in (("en", "Tom runs ."), ("de", "Tom rennt ."), ("align", "0-0 1-1 2-2")):
        (data / f"test.{suffix}").write_text(f"{line}\n" * 20)
    (data / "tour.en").write_text("Tom runs .\nTom .\n")
    given: list[list[str]] = []

    def command(arguments: list[str]) -> int:
        given.append(arguments)
        for name in arguments:
            if name.endswith("plots"):
                Path(name).mkdir()
                (Path(name) / "1.png").write_bytes(b"png")
        return 0

    monkeypatch.setattr(script, "nmt", command)
    script.main(["--run", "runs/x", "--data", str(data), "--out", str(tmp_path / "docs")])
    pages = [
        arguments[arguments.index("--html") + 1] for arguments in given if "--html" in arguments
    ]
    names = ["attention.html", "trace-1.html", "trace-2.html"]
    assert pages == [str(tmp_path / "docs/pages" / name) for name in names]
    assert (tmp_path / "docs/images/tour-attention.png").read_bytes() == b"png"


def test_the_pictures_are_those_of_the_chosen_texts(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbered as a translation reads them; in the order of their names, arr_10 precedes arr_2."""
    numbers = range(12)
    (tmp_path / "test.txt").write_text("".join(f"{'a ' * number}.\n" for number in numbers))
    np.savez(tmp_path / "test.npz", *(np.full((1, 1, 6), n, np.float32) for n in numbers))
    monkeypatch.setattr(script, "nmt", lambda arguments: 0)
    script.make_picture_page(Path("runs/x"), tmp_path, tmp_path / "page.html", tmp_path)
    texts = (tmp_path / "test.txt").read_text().splitlines()
    chosen = script.pick([len(text.split()) for text in texts], 6)
    written = read_grids(tmp_path / "some.npz")
    assert [int(grid.values[0, 0, 0]) for grid in written] == chosen


def test_the_tour_shows_one_of_these_pictures(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(script, "nmt", lambda arguments: given.append(arguments) or 0)
    (tmp_path / "grids").mkdir()
    for number in range(1, 7):
        (tmp_path / f"grids/{number}.png").write_text(str(number))
    script.make_tour_grid(Path("runs/x"), tmp_path / "tour.png", tmp_path)
    assert (tmp_path / "tour.png").read_text() == "4"
    assert given[0][given[0].index("--plot") + 1] == str(tmp_path / "grids")


def test_a_command_that_fails_ends_the_script(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "nmt", lambda arguments: 2)
    with pytest.raises(SystemExit) as ended:
        script.make_trace_pages(Path("x"), Path(__file__), Path("x"))
    assert ended.value.code == 2
