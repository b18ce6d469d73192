"""Outputs of attention: files of alignments, the page of `--html`, and plots."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

from nmt.cli.arguments import option, path, whole_number
from nmt.cli.outputs import open_binary_output, open_output
from nmt.core.errors import UserError

if TYPE_CHECKING:
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceAlignment
    from nmt.inference.translation import Translation
    from nmt.runs.run import Run
    from nmt.visualization.attention_view import AttentionView
    from nmt.word_alignment.from_attention import Weights

    MakeView = Callable[[], AttentionView]
    Append = Callable[[str, Weights], None]
    WriteTranslation = Callable[[int, Source, Translation], None]
    WriteAlignment = Callable[[SentenceAlignment, MakeView], object]

_HTML_LINES: Final = 200
_MOST_HTML_LINES: Final = 100_000


def page_path(item: str) -> Any:
    """Declare a field for --html."""
    return path(f"also write a page for a browser that shows the attention of each {item}")


def html_lines() -> Any:
    """Declare a field for --html-lines."""
    return option(
        "N",
        f"maximum number of lines in the page of --html, the first ones (default: {_HTML_LINES})",
        type=whole_number(_MOST_HTML_LINES),
    )


def require_page(html: Path | None, lines: int) -> None:
    """Refuse --html-lines without a page."""
    if html is None:
        raise UserError(
            f"--html-lines {lines}: has no effect without --html FILE; add it, or leave it out"
        )


@contextmanager
def open_page(html: Path, title: str, lines: int | None) -> "Iterator[Callable[[MakeView], None]]":
    """Open the page of --html; yield a function that appends a sentence (see `attention_page`)."""
    from nmt.visualization.page import attention_page

    most = _HTML_LINES if lines is None else lines
    with (
        open_output(html) as output,
        attention_page(output, title=title, most_lines=most) as append,
    ):
        yield append


@contextmanager
def open_translation_page(
    html: Path, run: "Run", lines: int | None
) -> "Iterator[WriteTranslation]":
    """Open the page of --html; yield a function that appends a translation of a line."""
    from nmt.inference.views import view_of_translation

    title, languages = f"Translations of {run.folder.path}", run.config.data.languages()
    with open_page(html, title, lines) as append:
        yield lambda number, source, translation: append(
            partial(view_of_translation, translation, number, source, languages=languages)
        )


@contextmanager
def open_alignments(path: Path | None, style: str, *, per_head: bool) -> "Iterator[WriteAlignment]":
    """Open the output; yield a function that writes an alignment in a format (a style)."""
    if path is not None and style == "npz":
        with open_arrays(path) as append:
            numbers = count(1)

            def write(alignment: "SentenceAlignment", make_view: "MakeView") -> None:
                name = f"line_{next(numbers)}"
                append(name, alignment.weights)
                if per_head:
                    _append_heads(append, name, make_view())

            yield write
    else:
        with open_output(path) as output:
            yield lambda alignment, make_view: output.write(
                _format(alignment, style, make_view if per_head else None)
            )


@contextmanager
def open_arrays(path: Path) -> "Iterator[Append]":
    """Open a .npz file; yield a function that appends an array of a name, as float32."""
    import numpy as np

    with open_binary_output(path) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive:

        def append(name: str, weights: "Weights") -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(weights, np.float32))

        yield append


def draw(alignment: "SentenceAlignment", source: "Source", path: Path, title: str) -> None:
    """Draw an alignment: a heat map, or panels if the source is a grid."""
    from nmt.visualization.grid_plots import plot_grid_attention
    from nmt.visualization.plots import plot_attention

    weights, targets = alignment.weights, alignment.target_words
    if isinstance(source, str):
        units = "pieces of the tokenizer" if alignment.units == "pieces" else alignment.units
        plot_attention(weights, alignment.source_words, targets, path, title, units=units)
    else:
        plot_grid_attention(weights, source.values, targets, path, title)


def _append_heads(append: "Append", name: str, view: "AttentionView") -> None:
    import numpy as np

    assert view.words is not None, "an alignment has weights"
    found = view.statistics
    entropies = [found["entropy"], *(head["entropy"] for head in found["by_head"])]
    append(f"{name}_entropy", np.array(entropies, np.float32))
    if view.words.heads is not None:
        append(f"{name}_heads", view.words.heads)


def _format(alignment: "SentenceAlignment", style: str, make_view: "MakeView | None") -> str:
    """Return the line of an alignment; with `make_view`, JSON also has the details of heads."""
    from nmt.word_alignment.pharaoh import format_pharaoh

    pharaoh = format_pharaoh(alignment.links)
    if style == "pharaoh":
        return f"{pharaoh}\n"
    fields: dict[str, object] = {
        "source": alignment.source_words,
        "target": alignment.target_words,
        "units": alignment.units,
        "weights": alignment.weights.round(6).tolist(),
        "alignment": pharaoh,
    }
    if make_view is not None:
        found = make_view().statistics
        fields |= {name: found[name] for name in ("entropy", "coverage", "coverage_error")}
        fields["error_rate"] = found["aer"]
    if make_view is not None and alignment.heads:
        fields["heads"] = [
            {
                "weights": weights.round(6).tolist(),
                "entropy": head["entropy"],
                "alignment": format_pharaoh(head["links"]),
                "error_rate": head["aer"],
            }
            for weights, head in zip(alignment.heads, found["by_head"], strict=True)
        ]
    return json.dumps(fields, ensure_ascii=False) + "\n"
