"""Translating line by line or by windows, with a prompt or a progress bar at a terminal."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

from nmt.cli.inputs import count_lines, stdin_is_typed
from nmt.cli.output_streams import is_stream
from nmt.core.errors import UserError
from nmt.system.process import is_distributed

if TYPE_CHECKING:
    from tqdm import tqdm

    from nmt.cli.translate import Arguments
    from nmt.inference.translation import Translation

T = TypeVar("T")


def prompt_for(lines: "Iterator[T]") -> "Iterator[T]":
    """Yield lines that are typed, with a prompt before each."""
    print("type a sentence and press Enter; Ctrl-D ends", file=sys.stderr)
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        try:
            yield next(lines)
        except StopIteration:
            print(file=sys.stderr)
            return


def translate_lines(
    translate: "Callable[..., Iterator[list[tuple[T, Translation]]]]",
    lines: "Iterator[T]",
    names: Sequence[str],
    *,
    line_buffered: bool = False,
) -> "Iterator[list[tuple[T, Translation]]]":
    """Yield lines with their translations by windows; a line at a time from a terminal.

    Args:
        translate: `translate_windows` of a translator, with the warnings of the stream.
        lines: what it takes.
        names: of the files that they come from.
        line_buffered: a program waits for the answer to each line before it writes the next.
    """
    is_typed = stdin_is_typed(names)
    if is_typed or line_buffered:
        # Nothing is read ahead where somebody waits for the answer.
        for line in prompt_for(lines) if is_typed else lines:
            yield from translate([line])
        return
    yield from translate(lines)


def require_line_buffering(arguments: "Arguments") -> None:
    """Refuse --line-buffered where nothing can be answered line by line, or several compute.

    Raises:
        UserError: it cannot be done with the other arguments.
    """
    if not arguments.line_buffered:
        return
    output = arguments.output
    if output is not None and not is_stream(output):
        raise UserError(
            f"--line-buffered: has no effect with -o {output}, which appears when it is complete; "
            "leave one of them out"
        )
    if arguments.workers > 1 or is_distributed():
        raise UserError("--line-buffered: cannot be combined with several processes; use one")


def progress_bar(arguments: "Arguments", num_done: int, *, reads_grids: bool) -> "tqdm[NoReturn]":
    """Return a bar that counts lines, hidden where translations go to the same terminal.

    Args:
        arguments: of the command.
        num_done: lines that were done before.
        reads_grids: the input is no text.
    """
    from tqdm import tqdm

    is_in_the_way = (arguments.output is None and sys.stdout.isatty()) or arguments.attention
    is_shown = sys.stderr.isatty() and not is_in_the_way and not stdin_is_typed(arguments.input)
    return tqdm(
        unit=" lines",
        disable=not is_shown,
        file=sys.stderr,
        initial=num_done,
        total=count_lines(arguments.input, arguments.max_line_bytes)
        if is_shown and not reads_grids
        else None,
    )
