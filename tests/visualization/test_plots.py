import builtins
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from nmt.core.errors import UserError
from nmt.visualization.grid_plots import plot_grid_attention
from nmt.visualization.plots import plot_attention, plot_learning_curves


def words(number: int) -> list[str]:
    return [f"Wörtchen{index}" for index in range(number)]


def darkness(path: Path) -> float:
    return 255.0 - float(np.asarray(Image.open(path).convert("L")).mean())


def test_heat_map_grows_with_the_sentence(tmp_path: Path) -> None:
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    plot_attention(np.full((3, 4), 0.25), words(4), words(3), small)
    plot_attention(np.full((24, 30), 1 / 30), words(30), words(24), large)
    with Image.open(small) as first, Image.open(large) as second:
        assert first.format == "PNG"
        # Enough room for each word: at least 30 dots between two of them.
        assert second.width - first.width >= 26 * 30
        assert second.height - first.height >= 21 * 30


def test_more_attention_is_darker(tmp_path: Path) -> None:
    plot_attention(np.zeros((8, 8)), words(8), words(8), tmp_path / "none.png")
    plot_attention(np.ones((8, 8)), words(8), words(8), tmp_path / "all.png")
    assert darkness(tmp_path / "all.png") > darkness(tmp_path / "none.png") + 20


@pytest.mark.parametrize(
    "word", ["größte", "$x_1$", "$$", "日本語", "\\frac", "a\tb", "&<>", "\N{PILE OF POO}"]
)
def test_any_word_can_be_drawn(word: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "map.png"
    plot_attention(np.ones((1, 1)), [word], [word], path, title=word)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_a_sentence_without_words_is_drawn(shape: tuple[int, int], tmp_path: Path) -> None:
    plot_attention(np.zeros(shape), words(shape[1]), words(shape[0]), tmp_path / "map.png")
    assert (tmp_path / "map.png").is_file()


def shades(path: Path) -> np.ndarray:
    """The numbers of dots that are red, pale red, black and grey (but for blends at edges)."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    wanted = [(255, 0, 0), (214, 163, 163), (0, 0, 0), (163, 163, 163)]
    return np.array([(abs(image - colour).max(axis=-1) <= 1).sum() for colour in wanted])


def test_grid_panels_fade_by_attention(
    tmp_path: Path,
) -> None:
    grid = np.zeros((2, 2, 6))
    grid[0, 0, 0] = 1.0  # a red cell among three black ones
    shown, tiny = [], [1e-12] * 3  # cells with exact zeros are hatched
    for name, row in (("none", None), ("red", [0.5, *tiny]), ("other", [*tiny, 0.9])):
        weights = np.zeros((0, 4)) if row is None else np.array([row])
        path = tmp_path / f"{name}.png"
        plot_grid_attention(weights, grid, words(len(weights)), path)
        shown.append(shades(path))
    cell = shown[0][0]
    assert cell > 1000
    red, other = shown[1] - shown[0], shown[2] - shown[0]
    for dots, cells in ((red, (1, 0, 0, 3)), (other, (0, 1, 1, 2))):
        # A title is black too.
        assert np.abs(dots - np.multiply(cells, cell)).max() < 0.2 * cell


def test_cells_without_any_weight_are_hatched(figures: list[Any], tmp_path: Path) -> None:
    weights = np.array([[0.5, 0.0, 1e-9], [0.0, 0.0, 1.0]])
    plot_grid_attention(weights, np.ones((2, 2, 1)), ["a", "b"], tmp_path / "a.png", "line 3")
    (axes,) = figures[0].axes
    # A panel for the picture, and one for each word; the fourth cell has no weight.
    assert [len(cells.get_paths()) for cells in axes.collections if cells.get_hatch()] == [0, 2, 3]
    assert figures[0].get_suptitle() == "line 3"


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 2), (2, 30, 3), (50, 2, 4), (7, 7, 11)])
def test_a_grid_of_any_shape_and_numbers_is_drawn(
    shape: tuple[int, int, int], tmp_path: Path
) -> None:
    grid = np.random.default_rng(1).normal(size=shape) * 300
    num_cells = shape[0] * shape[1]
    for number in (0, 1, num_cells):  # a grid may have been cut, or not be looked at
        weights = np.full((2, number), 1 / num_cells)
        plot_grid_attention(weights, grid, ["größte", "$x"], tmp_path / "map.png")
        with Image.open(tmp_path / "map.png") as image:
            assert image.format == "PNG"
            assert min(image.size) > 50


def test_panels_are_in_rows_and_limited(tmp_path: Path) -> None:
    sizes = []
    for number in (7, 8, 60, 1000):
        weights = np.full((number, 1), 1.0)
        plot_grid_attention(weights, np.ones((1, 1, 1)), words(number), tmp_path / "map.png")
        with Image.open(tmp_path / "map.png") as image:
            sizes.append(image.size)
    assert sizes[0][1] < sizes[1][1] < sizes[2][1] == sizes[3][1] < 2700
    assert max(width for width, _ in sizes) < 1.1 * sizes[0][0]


def test_learning_curves_have_a_panel_for_each_quantity(tmp_path: Path) -> None:
    loss = {"training": [(1, 3.0), (2, math.nan), (3, 1.0)], "validation": [(2, 2.0)]}
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    plot_learning_curves({"loss": loss, "nothing": {"empty": []}}, one)
    plot_learning_curves({"loss": loss, "BLEU": {"greedy": [(2, 10.0)]}}, two)
    with Image.open(one) as first, Image.open(two) as second:
        assert second.height > 1.5 * first.height


def test_no_curves_at_all_is_an_empty_picture(tmp_path: Path) -> None:
    plot_learning_curves({}, tmp_path / "none.png")
    assert (tmp_path / "none.png").is_file()


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def no_matplotlib(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    for draw in (
        lambda path: plot_learning_curves({}, path),
        lambda path: plot_grid_attention(np.ones((1, 1)), np.ones((1, 1, 1)), ["a"], path),
    ):
        with pytest.raises(UserError, match="not installed; install the extra `plots`"):
            draw(tmp_path / "none.png")


def test_a_long_sentence_does_not_make_a_huge_picture(tmp_path: Path) -> None:
    """Beyond 60 words the words shrink, beyond 150 there are none: the picture stays as it is."""
    for number in (150, 1000):
        path = tmp_path / f"{number}.png"
        plot_attention(np.eye(number), words(number), words(number), path)
        with Image.open(path) as image:
            assert 60 * 30 < max(image.size) < 2700


def test_a_word_of_any_length_is_shortened(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    plot_attention(np.ones((1, 1)), ["x" * 100_000], ["y" * 100_000], path, title="z" * 100_000)
    with Image.open(path) as image:
        assert max(image.size) < 2700


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/map\.png: cannot be written: "):
        plot_learning_curves({}, tmp_path / "file" / "map.png")
    with pytest.raises(UserError, match=r"file/map\.png: cannot be written: "):
        plot_grid_attention(
            np.ones((1, 1)), np.ones((1, 1, 1)), ["a"], tmp_path / "file" / "map.png"
        )


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved from now on."""
    saved: list[Any] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **options: Any) -> None:
        saved.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


@pytest.mark.parametrize(
    ("update", "value", "right", "limits"),
    [(500, 2.3, 1000, (0, 4.6)), (1, -3.0, 2, (-6, 0)), (3, 0.0, 6, (-1, 1))],
)
def test_one_point_is_drawn_in_the_middle_of_its_axes(
    update: int,
    value: float,
    right: float,
    limits: tuple[float, float],
    figures: list[Any],
    tmp_path: Path,
) -> None:
    plot_learning_curves({"loss": {"training": [(update, value)]}}, tmp_path / "one.png")
    (axes,) = figures[0].axes
    (line,) = axes.get_lines()
    assert line.get_marker() == "." and line.get_markevery() == [0]
    assert axes.get_xlim() == (0, right)
    assert axes.get_ylim() == limits
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_panel_with_one_point_shares_the_update_axis(figures: list[Any], tmp_path: Path) -> None:
    curves = {"loss": {"a": [(1, 3.0), (90, 2.0)]}, "bleu": {"b": [(10, 20.0)]}}
    plot_learning_curves(curves, tmp_path / "both.png")
    for axes in figures[0].axes:
        left, right = axes.get_xlim()
        assert left < 1 and right > 90


def test_a_point_between_gaps_of_a_long_curve_is_seen(figures: list[Any], tmp_path: Path) -> None:
    points = [(number, math.nan if number in (50, 52) else 1.0) for number in range(100)]
    plot_learning_curves({"loss": {"training": points}}, tmp_path / "gaps.png")
    (line,) = figures[0].axes[0].get_lines()
    assert line.get_markevery() == [51]


def test_heat_map_names_its_units(figures: list[Any], tmp_path: Path) -> None:
    plot_attention(np.ones((1, 2)), ["我", "爱"], ["x"], tmp_path / "a.png", units="characters")
    plot, scale = figures[0].axes
    assert scale.get_ylabel() == "attention"
    assert (plot.get_xlabel(), plot.get_ylabel()) == ("source characters", "target characters")


def test_words_are_drawn_in_the_fonts_that_have_them(
    figures: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nmt.visualization.plots.choose_families", lambda texts: ["DejaVu Sans", *texts]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.font_manager._log.warning", lambda *_: None)
        plot_attention(np.ones((1, 1)), ["犬"], ["x"], tmp_path / "a.png", title="t")
    (name, *_) = figures[0].axes[0].get_xticklabels()
    assert name.get_fontfamily() == ["DejaVu Sans", "犬", "x", "t"]
