"""Plots of attention (heat maps over words) and of training (learning curves).

They need matplotlib, from the extra `plots`, which is imported on first use. `pyplot` is not used,
so plots need no display and keep no global figures.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import UserError, os_reason
from nmt.visualization.fonts import choose_families

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Array = NDArray[np.floating]
Points = Sequence[tuple[int | float, float]]

_DOTS_PER_INCH = 120
_INCHES_PER_WORD = 0.32
_MARGIN_INCHES = 1.6
# Longer sentences get smaller words, and then none: time and memory of drawing grow quadratically
# with the sentence, and so many words are unreadable.
MOST_WORDS_AT_FULL_SIZE = 60
_MOST_WORDS_NAMED = 150
_MOST_CHARACTERS_OF_LABEL = 40
_MOST_CHARACTERS_OF_TITLE = 120
_POINTS_PER_INCH = 72
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
        units: the kind of words, for the labels of the axes.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    assert weights.shape == (len(target_words), len(source_words)), "weights and words must agree"
    height, width = (_inches(len(words)) + _MARGIN_INCHES for words in (target_words, source_words))
    with open_figure(width, height, path, [*source_words, *target_words], title) as figure:
        axes = figure.add_subplot()
        # A square for each weight, from white (0) to dark blue (1).
        image = axes.imshow(
            weights if weights.size else np.zeros((1, 1)),
            cmap="Blues",
            vmin=0.0,
            vmax=1.0,
            aspect="auto" if max(weights.shape) > MOST_WORDS_AT_FULL_SIZE else "equal",
            interpolation="nearest",
        )
        axes.xaxis.tick_top()
        _name_words(axes.xaxis, source_words)
        _name_words(axes.yaxis, target_words)
        axes.set(xlabel=f"source {units}", ylabel=f"target {units}")
        axes.xaxis.set_label_position("bottom")
        for label in axes.get_xticklabels():
            label.set(rotation=60, ha="left", rotation_mode="anchor")
        axes.grid(which="minor", color="0.9", linewidth=0.5)
        axes.tick_params(which="both", length=0)
        scale = figure.colorbar(image, ax=axes, shrink=min(1.0, 3.0 / height))
        scale.set_label("attention")


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
    with open_figure(8.0, 2.6 * max(len(drawn), 1) + 0.4, path, list(drawn)) as figure:
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
    return min(max(num_words, 1), MOST_WORDS_AT_FULL_SIZE) * _INCHES_PER_WORD


def _name_words(axis: "Axis", words: Sequence[str]) -> None:
    """Label an axis with words and lines between them, unless there are too many."""
    if len(words) > _MOST_WORDS_NAMED:
        axis.set_ticks([])
        return
    room = _inches(len(words)) / max(len(words), 1)
    axis.set_ticks(
        range(len(words)), [shortened(word, _MOST_CHARACTERS_OF_LABEL) for word in words]
    )
    for label in axis.get_ticklabels():
        label.set_fontsize(_SHARE_OF_FONT * room * _POINTS_PER_INCH)
        label.set_parse_math(False)  # a word with two dollar signs is not a formula
    axis.set_ticks(np.arange(len(words) + 1) - 0.5, minor=True)


def shortened(text: str, most: int) -> str:
    """Return a text, cut to a number of characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def open_figure(
    width: float, height: float, path: Path, texts: Sequence[str], title: str = ""
) -> "Iterator[Figure]":
    """Yield a figure with fonts for its texts, and save it at the end; sizes are in inches."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "plots: matplotlib is not installed; install the extra `plots` (in the folder of nmt: "
            "pip install '.[plots]')"
        ) from error
    with rc_context({"font.family": choose_families([*texts, title])}), warnings.catch_warnings():
        # Missing glyphs are drawn as boxes, which `choose_families` has already reported.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Labels that are wider than the figure enlarge it when it is saved.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
        if title:
            figure.suptitle(shortened(title, _MOST_CHARACTERS_OF_TITLE), parse_math=False)
        yield figure
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, bbox_inches="tight")
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {os_reason(error)}") from error
