"""Plots of attention over grids: the picture, and what each word looked at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.visualization.plots import (
    MOST_WORDS_AT_FULL_SIZE,
    open_figure,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CHARACTERS_OF_PANEL = 14
_PANELS_IN_A_ROW = 8  # of a plot of grid attention
_PANEL_INCHES = 1.2
_TITLE_HEIGHT = 0.3  # in widths of a panel
_GAP = 0.07
_GREY = 0.8  # grey level that cells without attention fade to
_KEPT = 0.2  # share of its colour that a cell without attention keeps
_LEAST = 1e-9  # lower bound of the largest weight, to divide by
_MOST_CELLS_WITH_BORDERS = 32
_GRID_LEGEND = "full colour: largest weight   grey: small weight   hatched: no weight"


def plot_grid_attention(
    weights: NDArray[np.floating],
    grid: NDArray[np.floating],
    target_words: Sequence[str],
    path: Path,
    title: str = "",
) -> None:
    """Draw attention on a grid: the picture, and a panel per word (Xu et al. 2015, figure 3).

    The first three channels are red, green and blue. With fewer channels, the first is grey. Values
    outside 0 to 1 are rescaled to that range. In each panel the cell with the most attention keeps
    its colour, and the others fade to grey in proportion. Cells without any attention are hatched.

    Args:
        weights: `[T S]`, between 0 and 1, of the first S cells in row-major order.
        grid: `[rows columns channels]`, with at least S cells.
        target_words: T words, the titles of the panels. Only the first 60 are drawn.
        path: output file; the suffix determines the format (.png, .pdf, .svg).
        title: title of the plot.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    picture, words = grid_colours(grid), target_words[:MOST_WORDS_AT_FULL_SIZE]
    panels = [picture, *(_faded(picture, row) for row in weights[: len(words)])]
    unseen = [np.zeros(grid.shape[:2], bool), *(_unseen(grid, row) for row in weights)]
    num_across = min(len(panels), _PANELS_IN_A_ROW)
    num_down = -(-len(panels) // num_across)
    # The unit is the width of a panel; the aspect ratio of elongated grids is limited.
    panel_height = min(max(grid.shape[0] / grid.shape[1], 0.25), 4.0)
    step = panel_height + _TITLE_HEIGHT
    size = _PANEL_INCHES * num_across, _PANEL_INCHES * num_down * step
    with open_figure(*size, path, words, title) as figure:
        # All panels share one pair of axes, because laying out many takes seconds.
        axes = figure.add_subplot()
        axes.axis("off")
        for number, (word, panel) in enumerate(zip(["picture", *words], panels, strict=True)):
            down, across = divmod(number, num_across)
            left, top = across * (1.0 + _GAP), down * step
            extent = (left, left + 1.0, top + panel_height, top)
            _draw_panel(axes, panel, extent)
            _hatch(axes, unseen[number], extent)
            name = shortened(word, _MOST_CHARACTERS_OF_PANEL)
            axes.text(left + 0.5, top - _GAP, name, ha="center", fontsize=10, parse_math=False)
        axes.set_xlim(0.0, num_across * (1.0 + _GAP))
        axes.set_ylim(num_down * step - _TITLE_HEIGHT, -_TITLE_HEIGHT)
        figure.supxlabel(_GRID_LEGEND, fontsize=9)


def grid_colours(grid: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a grid as RGB, `[rows columns 3]`, between 0 and 1."""
    shown = grid[..., :3] if grid.shape[-1] >= 3 else grid[..., :1].repeat(3, axis=-1)
    low, high = min(0.0, shown.min()), max(1.0, shown.max())
    colours: NDArray[np.floating] = (shown - low) / (high - low)
    return colours


def _faded(picture: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """Fade the cells of a picture by their weights; cells without a weight fade fully."""
    seen = np.zeros(picture.shape[:2])
    seen.flat[: len(weights)] = weights / max(weights.max(initial=0.0), _LEAST)
    share = (_KEPT + (1.0 - _KEPT) * seen)[:, :, None]  # of its colour, per cell
    return share * picture + (1.0 - share) * _GREY


def _unseen(grid: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return the cells with a weight of exactly 0, and those that have no weight."""
    unseen = np.ones(grid.shape[:2], bool)
    unseen.flat[: len(weights)] = weights == 0.0
    return unseen


def _hatch(
    axes: "Axes", cells: NDArray[np.bool_], extent: tuple[float, float, float, float]
) -> None:
    """Hatch cells of a panel at (left, right, bottom, top)."""
    from matplotlib.collections import PolyCollection

    left, right, bottom, top = extent
    height, width = (bottom - top) / cells.shape[0], (right - left) / cells.shape[1]
    corners = [
        [
            (left + (column + across) * width, top + (row + down) * height)
            for across, down in ((0, 0), (1, 0), (1, 1), (0, 1))
        ]
        for row, column in np.argwhere(cells).tolist()
    ]
    hatched = PolyCollection(corners, facecolor="none", edgecolor="0.55", linewidth=0.0)
    hatched.set_hatch("////")
    axes.add_collection(hatched)


def _draw_panel(
    axes: "Axes", panel: NDArray[np.floating], extent: tuple[float, float, float, float]
) -> None:
    """Draw a panel at (left, right, bottom, top), with lines between cells if there are few."""
    axes.imshow(panel, interpolation="nearest", extent=extent, aspect="auto")
    left, right, bottom, top = extent
    rows, columns, _ = panel.shape
    if max(rows, columns) <= _MOST_CELLS_WITH_BORDERS:
        between = np.linspace(left, right, columns + 1)[1:-1]
        axes.vlines(between, top, bottom, color="white", linewidth=0.8)
        axes.hlines(np.linspace(top, bottom, rows + 1)[1:-1], left, right, "white", linewidth=0.8)
