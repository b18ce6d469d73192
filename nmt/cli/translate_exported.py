"""`nmt translate` with a file of `nmt export` in the place of a run; nothing heavy is loaded."""

import argparse
import os
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.cli.arguments import flag_of, whole_number
from nmt.cli.inputs import input_files, read_text
from nmt.cli.output_formats import TranslationWriter
from nmt.cli.output_locks import reserve_outputs
from nmt.cli.outputs import open_output
from nmt.cli.progress import progress_bar, require_line_buffering, translate_lines
from nmt.core.errors import UserError
from nmt.system.process import is_distributed

if TYPE_CHECKING:
    from nmt.cli.translate import Arguments

_SUPPORTED: Final = (
    *("run", "input", "output", "scores", "json", "n_best", "beam_size", "search", "batch_tokens"),
    *("precision", "device", "line_buffered", "max_line_bytes"),
)
"""Arguments that an exported model takes."""
_FIXED: Final = ("checkpoint", "shortlist", "length_penalty", "options")
"""Arguments that were decided when the model was exported."""


def is_exported(run: str) -> bool:
    """Return whether RUN is a file, and so not a run."""
    return os.path.isfile(run)


def translate_exported(arguments: "Arguments") -> int:
    """Translate the input as it comes."""
    _require_run_first(arguments)
    for declared in fields(arguments):
        default = [] if declared.default is MISSING else declared.default
        if declared.name in _SUPPORTED or getattr(arguments, declared.name) == default:
            continue
        reason = "takes a run, and this is an exported model; name the run"
        if declared.name in _FIXED:
            reason = "was settled when the model was exported; `nmt export --help` has what can be"
        raise UserError(f"{flag_of(declared)}: {reason}")
    if arguments.device not in ("auto", "cpu"):
        raise UserError("--device: an exported model runs on the CPU")
    if is_distributed():
        raise UserError("torchrun: an exported model runs in one process; start it by itself")
    require_line_buffering(arguments)
    with reserve_outputs({"-o": arguments.output}, [arguments.run, *input_files(arguments.input)]):
        return _translate(arguments)


def _require_run_first(arguments: "Arguments") -> None:
    """Refuse a run that is given behind the file to translate."""
    from nmt.runs.run import RunDirectory

    for name in arguments.input:
        if RunDirectory(Path(name)).config.is_file():
            raise UserError(
                f"{name}: is a run, and {arguments.run} is not; the run comes first, as in "
                f"`nmt translate {name} {arguments.run}`"
            )


def _translate(arguments: "Arguments") -> int:
    """Translate into an output that nothing else writes."""
    lines = read_text(arguments.input, arguments.max_line_bytes)

    from nmt.export.exported_translator import ExportedTranslator
    from nmt.inference.length_batching import LineWarnings

    translator = ExportedTranslator.open(
        arguments.run,
        beam_size=_beam_size(arguments),
        n_best=_number(arguments.n_best, "n-best") or 1,
        batch_tokens=_number(arguments.batch_tokens, "batch-tokens", 10_000_000),
    )
    if arguments.precision not in (None, "auto", translator.description.precision):
        raise UserError(f"--precision: this model has {translator.description.precision} in it")
    with (
        open_output(arguments.output) as output,
        progress_bar(arguments, 0, reads_grids=False) as progress,
    ):
        writer = TranslationWriter(output, arguments.format, translator.target_tokenizer.pieces)
        for window in translate_lines(
            partial(
                translator.translate_windows,
                warnings=LineWarnings(names_unknown=True),
                report=progress.update,
            ),
            lines,
            arguments.input,
            line_buffered=arguments.line_buffered,
        ):
            writer.write(window)
    return 0


def _beam_size(arguments: "Arguments") -> int | None:
    if arguments.search not in (None, "beam", "greedy"):
        raise UserError(f"--search {arguments.search}: an exported model has beam and greedy")
    beam_size = _number(arguments.beam_size, "beam-size")
    if arguments.search == "greedy":
        if beam_size not in (None, 1):
            raise UserError(f"--beam-size {beam_size}: greedy search has none; leave one out")
        return 1
    return beam_size


def _number(text: str | None, name: str, most: int = 10_000) -> int | None:
    if text is None:
        return None
    try:
        return whole_number(most)(text)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"--{name} {text}: {error}") from None
