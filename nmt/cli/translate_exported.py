"""`nmt translate` with a file of `nmt export` instead of a run; imports no heavy library."""

from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.cli import inputs
from nmt.cli.arguments import flag_of
from nmt.cli.documents import read_documents, write_documents
from nmt.cli.output_formats import TranslationWriter
from nmt.cli.outputs import check_files, open_output
from nmt.core.errors import UserError
from nmt.system.process import is_distributed

if TYPE_CHECKING:
    from nmt.cli.translate import Arguments
    from nmt.export.exported_translator import ExportedTranslator
    from nmt.inference.inputs import Input, LineWarnings
    from nmt.inference.translation import Translation

_FILES: Final = ("plugins", "run", "input", "output", "line_buffered", "max_line_bytes")
_DOCUMENT: Final = ("document", "no_split", "no_protect")
_MACHINE: Final = ("batch_tokens", "workers", "precision", "device")
# Arguments that an exported model supports.
_SUPPORTED: Final = (
    *_FILES,
    *_DOCUMENT,
    *_MACHINE,
    "scores",
    "json",
    "n_best",
    "beam_size",
    "search",
)
# Arguments that are fixed when the model is exported.
_FIXED: Final = ("checkpoint", "shortlist", "length_penalty", "options")


def translate_exported(arguments: "Arguments") -> int:
    """Translate the input as a stream."""
    _require_run_first(arguments)
    for declared in fields(arguments):
        default = [] if declared.default is MISSING else declared.default
        if declared.name in _SUPPORTED or getattr(arguments, declared.name) == default:
            continue
        reason = "not supported by an exported model; leave it out, or translate with the run"
        if declared.name in _FIXED:
            reason = "was fixed when the model was exported; leave it out"
        raise UserError(f"{flag_of(declared)}: {reason}")
    if arguments.device not in (None, "auto", "cpu"):
        raise UserError("--device: must be cpu for an exported model; leave it out")
    if is_distributed():
        raise UserError("torchrun: not supported by an exported model; start nmt without it")
    inputs.require_line_buffering(arguments)
    check_files({"-o": arguments.output}, [arguments.run, *inputs.input_files(arguments.input)])

    from nmt.export.exported_translator import ExportedTranslator
    from nmt.inference.inputs import LineWarnings

    translator = ExportedTranslator.open(
        arguments.run,
        beam_size=_beam_size(arguments),
        n_best=arguments.n_best or 1,
        batch_tokens=arguments.batch_tokens,
        num_threads=arguments.workers,
    )
    if arguments.precision not in (None, "auto", translator.description.precision):
        raise UserError(f"--precision: fixed to {translator.description.precision}; leave it out")
    if arguments.document:
        _translate_documents(translator, arguments)
        return 0
    lines = inputs.read_text(arguments.input, arguments.max_line_bytes)
    with (
        open_output(arguments.output) as output,
        inputs.progress_bar(arguments) as progress,
    ):
        writer = TranslationWriter(output, arguments.format, translator.target_tokenizer.pieces)
        warnings = LineWarnings(names_unknown=True)
        translate = partial(translator.translate_windows, warnings=warnings, report=progress.update)
        for window in inputs.translate_lines(translate, lines, arguments):
            writer.write(window)
    return 0


def _translate_documents(translator: "ExportedTranslator", arguments: "Arguments") -> None:
    def translate(lines: "list[Input]", warnings: "LineWarnings") -> "list[Translation]":
        texts = [str(line.source) for line in lines]
        found = translator.translate_windows(texts, warnings=warnings)
        return [translation for window in found for _, translation in window]

    documents = read_documents(arguments.input)
    write_documents(documents, arguments, translate, translator.description.source_language)


def _require_run_first(arguments: "Arguments") -> None:
    """Refuse a run that is given after the file to translate."""
    from nmt.runs.run import RunDirectory

    for name in arguments.input:
        if RunDirectory(Path(name)).config.is_file():
            raise UserError(
                f"{name}: is a run, which must come first; write `nmt translate {name} "
                f"{arguments.run}`"
            )


def _beam_size(arguments: "Arguments") -> int | None:
    if arguments.search not in (None, "beam", "greedy"):
        raise UserError(f"--search {arguments.search}: not supported here; use beam or greedy")
    if arguments.search != "greedy":
        return arguments.beam_size
    if arguments.beam_size not in (None, 1):
        raise UserError(f"--beam-size {arguments.beam_size}: not used by greedy; leave it out")
    return 1
