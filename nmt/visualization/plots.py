"""Plots of attention (heat maps over words and grids) and of training (learning curves).

They need matplotlib, from the extra `plots`, which is imported on first use. `pyplot` is not used,
so plots need no display and keep no global figures.
"""

import math
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import UserError, os_reason
from nmt.visualization.fonts import choose_families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Array = NDArray[np.floating]
Points = Sequence[tuple[int | float, float]]

_DOTS_PER_INCH = 120
_INCHES_PER_WORD = 0.32
_MARGIN_INCHES = 1.6
# Longer sentences get smaller words, and then none: time and memory of drawing grow quadratically
# with the sentence, and so many words are unreadable.
_MOST_WORDS_AT_FULL_SIZE = 60
_MOST_WORDS_NAMED = 150
_MOST_CHARACTERS_OF_LABEL = 40
_MOST_CHARACTERS_OF_TITLE = 120
_MOST_CHARACTERS_OF_PANEL = 14
_POINTS_PER_INCH = 72
_PANELS_IN_A_ROW = 8  # of a plot of grid attention
_PANEL_INCHES = 1.2
_TITLE_HEIGHT = 0.3  # in widths of a panel
_UNITS_WIDTH = 24  # characters per line of the colorbar label
_GAP = 0.07
_GREY = 0.8  # grey level that cells without attention fade to
_KEPT = 0.2  # share of its colour that a cell without attention keeps
_LEAST = 1e-9  # lower bound of the largest weight, to divide by
_MOST_CELLS_WITH_BORDERS = 32
_SHARE_OF_FONT = 0.43  # font size per space of a word; 10 points at full size


def plot_attention(
    weights: Array,
    source_words: Sequence[str],
    target_words: Sequence[str],
    path: Path,
    title: str = "",
    *,
    units: str = "words",
) -> None:
    """Draw attention as a heat map with a row per target word; darker cells have more weight.

    The plot follows Bahdanau et al. 2015, figure 3. It grows with the sentence up to 60 words, so
    that words stay readable; they are smaller beyond, and omitted beyond 150 words.

    Args:
        weights: `[T S]`, between 0 and 1. Rows that sum to less than 1 put the rest on the
            end-of-sentence token, which has no column, and look pale.
        source_words: S words, along the top.
        target_words: T words, down the side.
        path: output file; the suffix determines the format (.png, .pdf, .svg).
        title: title of the plot.
        units: the kind of words, for the label of the colorbar.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    assert weights.shape == (len(target_words), len(source_words)), "weights and words must agree"
    height, width = (_inches(len(words)) + _MARGIN_INCHES for words in (target_words, source_words))
    with _figure(width, height, path, [*source_words, *target_words, title]) as figure:
        axes = figure.add_subplot()
        # A square for each weight, from white (0) to dark blue (1).
        image = axes.imshow(
            weights if weights.size else np.zeros((1, 1)),
            cmap="Blues",
            vmin=0.0,
            vmax=1.0,
            aspect="auto" if max(weights.shape) > _MOST_WORDS_AT_FULL_SIZE else "equal",
            interpolation="nearest",
        )
        axes.xaxis.tick_top()
        _name_words(axes.xaxis, source_words)
        _name_words(axes.yaxis, target_words)
        for label in axes.get_xticklabels():
            label.set(rotation=60, ha="left", rotation_mode="anchor")
        axes.grid(which="minor", color="0.9", linewidth=0.5)
        axes.tick_params(which="both", length=0)
        scale = figure.colorbar(image, ax=axes, shrink=min(1.0, 3.0 / height))
        scale.set_label("\n".join(["attention", *textwrap.wrap(units, _UNITS_WIDTH)]))
        if title:
            figure.suptitle(_shortened(title, _MOST_CHARACTERS_OF_TITLE), parse_math=False)


def plot_grid_attention(
    weights: Array, grid: Array, target_words: Sequence[str], path: Path
) -> None:
    """Draw attention on a grid: the picture, and a panel per word (Xu et al. 2015, figure 3).

    The first three channels are red, green and blue. With fewer channels, the first is grey. Values
    outside 0 to 1 are rescaled to that range. In each panel the cell with the most attention keeps
    its colour, and the others fade to grey in proportion.

    Args:
        weights: `[T S]`, between 0 and 1, of the first S cells in row-major order.
        grid: `[rows columns channels]`, with at least S cells.
        target_words: T words, the titles of the panels. Only the first 60 are drawn.
        path: output file; the suffix determines the format (.png, .pdf, .svg).

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    picture, words = _colours(grid), target_words[:_MOST_WORDS_AT_FULL_SIZE]
    panels = [picture, *(_faded(picture, row) for row in weights[: len(words)])]
    num_across = min(len(panels), _PANELS_IN_A_ROW)
    num_down = -(-len(panels) // num_across)
    # The unit is the width of a panel; the aspect ratio of elongated grids is limited.
    panel_height = min(max(grid.shape[0] / grid.shape[1], 0.25), 4.0)
    step = panel_height + _TITLE_HEIGHT
    size = _PANEL_INCHES * num_across, _PANEL_INCHES * num_down * step
    with _figure(*size, path, words) as figure:
        # All panels share one pair of axes, because laying out many takes seconds.
        axes = figure.add_subplot()
        axes.axis("off")
        for number, (title, panel) in enumerate(zip(["", *words], panels, strict=True)):
            down, across = divmod(number, num_across)
            left, top = across * (1.0 + _GAP), down * step
            _draw_panel(axes, panel, (left, left + 1.0, top + panel_height, top))
            name = _shortened(title, _MOST_CHARACTERS_OF_PANEL)
            axes.text(left + 0.5, top - _GAP, name, ha="center", fontsize=10, parse_math=False)
        axes.set(
            xlim=(0.0, num_across * (1.0 + _GAP)),
            ylim=(num_down * step - _TITLE_HEIGHT, -_TITLE_HEIGHT),
        )


def plot_learning_curves(panels: Mapping[str, Mapping[str, Points]], path: Path) -> None:
    """Draw learning curves over updates, in panels below one another.

    Args:
        panels: the points `(update, value)` of each curve, by title of the panel and name of the
            curve. Panels without points are omitted; a non-finite value leaves a gap.
        path: output file; the suffix determines the format.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    drawn = {title: curves for title, curves in panels.items() if any(curves.values())}
    with _figure(8.0, 2.6 * max(len(drawn), 1) + 0.4, path, drawn) as figure:
        from matplotlib.ticker import MaxNLocator

        first, all_updates = None, set[float]()
        for row, (title, curves) in enumerate(drawn.items(), start=1):
            axes = figure.add_subplot(len(drawn), 1, row, sharex=first)
            first = first or axes
            for name, points in curves.items():
                updates = [update for update, _ in points]
                values = [value for _, value in points]
                marked = [
                    at for at in range(len(values)) if len(values) < 60 or _is_isolated(values, at)
                ]
                axes.plot(updates, values, marker=".", markevery=marked, label=name)
            seen = {point for point in chain(*curves.values()) if math.isfinite(point[1])}
            all_updates |= {float(update) for update, _ in seen}
            _start_at_zero(axes.set_ylim, {value for _, value in seen})
            axes.set_ylabel(title)
            axes.grid(color="0.9")
            if len(curves) > 1:
                axes.legend(frameon=False)
            if row == len(drawn):
                axes.set_xlabel("update")
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                _start_at_zero(axes.set_xlim, all_updates)


def _is_isolated(values: Sequence[float], at: int) -> bool:
    """Return whether a point has no finite neighbour, so that no line would show it."""
    around = values[max(at - 1, 0) : at + 2]
    return math.isfinite(values[at]) and sum(map(math.isfinite, around)) == 1


def _start_at_zero(set_limits: Callable[[float, float], object], values: set[float]) -> None:
    """Start an axis with a single value at 0, instead of just before the value."""
    if len(values) == 1:
        (value,) = values
        set_limits(*((min(0.0, 2 * value), max(0.0, 2 * value)) if value else (-1.0, 1.0)))


def _inches(num_words: int) -> float:
    """Return the length of an axis in inches."""
    return min(max(num_words, 1), _MOST_WORDS_AT_FULL_SIZE) * _INCHES_PER_WORD


def _colours(grid: Array) -> Array:
    """Return a grid as RGB, `[rows columns 3]`, between 0 and 1."""
    shown = grid[..., :3] if grid.shape[-1] >= 3 else grid[..., :1].repeat(3, axis=-1)
    low, high = min(0.0, shown.min()), max(1.0, shown.max())
    colours: Array = (shown - low) / (high - low)
    return colours


def _faded(picture: Array, weights: Array) -> Array:
    """Fade the cells of a picture by their weights; cells without a weight fade fully."""
    seen = np.zeros(picture.shape[:2])
    seen.flat[: len(weights)] = weights / max(weights.max(initial=0.0), _LEAST)
    share = (_KEPT + (1.0 - _KEPT) * seen)[:, :, None]  # of its colour, per cell
    return share * picture + (1.0 - share) * _GREY


def _draw_panel(axes: "Axes", panel: Array, extent: tuple[float, float, float, float]) -> None:
    """Draw a panel at (left, right, bottom, top), with lines between cells if there are few."""
    axes.imshow(panel, interpolation="nearest", extent=extent, aspect="auto")
    left, right, bottom, top = extent
    rows, columns, _ = panel.shape
    if max(rows, columns) <= _MOST_CELLS_WITH_BORDERS:
        between = np.linspace(left, right, columns + 1)[1:-1]
        axes.vlines(between, top, bottom, color="white", linewidth=0.8)
        axes.hlines(np.linspace(top, bottom, rows + 1)[1:-1], left, right, "white", linewidth=0.8)


def _name_words(axis: "Axis", words: Sequence[str]) -> None:
    """Label an axis with words and lines between them, unless there are too many."""
    if len(words) > _MOST_WORDS_NAMED:
        axis.set_ticks([])
        return
    room = _inches(len(words)) / max(len(words), 1)
    axis.set_ticks(
        range(len(words)), [_shortened(word, _MOST_CHARACTERS_OF_LABEL) for word in words]
    )
    for label in axis.get_ticklabels():
        label.set_fontsize(_SHARE_OF_FONT * room * _POINTS_PER_INCH)
        label.set_parse_math(False)  # a word with two dollar signs is not a formula
    axis.set_ticks(np.arange(len(words) + 1) - 0.5, minor=True)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def _figure(width: float, height: float, path: Path, texts: Iterable[str]) -> "Iterator[Figure]":
    """Yield a figure with fonts for `texts`, and save it at the end; sizes are in inches."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "plots: matplotlib is not installed; install the extra `plots` (in the folder of nmt: "
            "pip install '.[plots]')"
        ) from error
    with rc_context({"font.family": choose_families(texts)}), warnings.catch_warnings():
        # Missing glyphs are drawn as boxes, which `choose_families` has already reported.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Labels that are wider than the figure enlarge it when it is saved.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
        yield figure
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, bbox_inches="tight")
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {os_reason(error)}") from error
