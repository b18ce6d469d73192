"""`nmt translate --document`: whole files, whose lines, indents and markup are kept."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import partial
from io import BufferedReader
from itertools import chain, repeat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, cast

from nmt.cli import inputs
from nmt.cli.arguments import CommandArguments, flag, flag_of
from nmt.cli.outputs import check_files, open_output
from nmt.core.errors import DataError, UserError
from nmt.data.formats.lines import open_binary, raw_lines
from nmt.system.process import is_distributed

if TYPE_CHECKING:
    from nmt.cli.translate import Arguments
    from nmt.inference.documents import DocumentFormat
    from nmt.inference.inputs import Input, LineWarnings
    from nmt.inference.translation import Translation
    from nmt.runs.run import Run

    TranslateLines = Callable[[list[Input], LineWarnings], Sequence[Translation]]

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 64 * 2**20  # of a document, which is read as a whole
_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz"})
_HTML_STARTS: Final = ("<!doctype html", "<html")
# Arguments whose outputs or constraints are line by line.
_BY_LINE: Final = (
    *("resume", "alignments", "alignment_units", "scores", "json", "attention", "html"),
    *("html_lines", "prefixes", "constraints", "line_buffered", "n_best"),
)


@dataclass(frozen=True, kw_only=True)
class DocumentArguments(CommandArguments):
    """Documents."""

    TITLE = "documents"
    document: bool = flag(
        "translate each INPUT as a whole: blank lines, indents, HTML tags, links, e-mail addresses "
        "and numbers are kept, and lines are split into sentences"
    )
    no_split: bool = flag("with --document: translate each line as one sentence")
    no_protect: bool = flag("with --document: translate links, e-mail addresses and numbers, too")


def require_document(arguments: "Arguments") -> None:
    """Refuse arguments that contradict --document, or have no effect without it.

    Raises:
        UserError: it cannot be combined with the other arguments.
    """
    for declared in fields(arguments):
        name = declared.name
        is_given = getattr(arguments, name) != declared.default
        if not arguments.document and name in ("no_split", "no_protect") and is_given:
            raise UserError(
                f"{flag_of(declared)}: has no effect without --document; add it, or leave this out"
            )
        if arguments.document and name in _BY_LINE and is_given:
            raise UserError(
                f"{flag_of(declared)}: cannot be combined with --document; leave one of them out"
            )
    if arguments.document and is_distributed():
        raise UserError("torchrun: not supported with --document; use --workers N")


def translate_documents(run: "Run", arguments: "Arguments") -> None:
    """Translate documents with a run."""
    if run.config.reads_grids:
        raise UserError("--document: not supported by a run that reads grids; leave it out")
    check_files({"-o": arguments.output}, arguments.input_files, run, arguments.ensemble)
    documents = read_documents(arguments.input)
    from nmt.inference.documents import requirable_numbers

    translator = arguments.load_translator(run)
    with ExitStack() as stack:
        if arguments.workers is not None:
            translator = stack.enter_context(translator.with_workers(arguments.workers))
        progress = stack.enter_context(inputs.progress_bar(arguments))

        def translate(lines: "list[Input]", warnings: "LineWarnings") -> "list[Translation]":
            found = translator.translate_windows(lines, warnings=warnings, report=progress.update)
            return [translation for window in found for _, translation in window]

        requirable = requirable_numbers(translator)
        write_documents(documents, arguments, translate, run.config.data.languages()[0], requirable)


def write_documents(
    documents: "Sequence[tuple[str, DocumentFormat]]",
    arguments: "Arguments",
    translate: "TranslateLines",
    language: str | None,
    requirable: Callable[[str], bool] | None = None,
) -> None:
    """Write the translations of documents, one after the other, to the output.

    Args:
        documents: from `read_documents`.
        arguments: how they are split, and where to write.
        translate: translates lines, with their warnings.
        language: BCP 47 tag of the source; None: not known.
        requirable: as in `DocumentOptions`.
    """
    from nmt.inference.documents import DocumentOptions, run_document
    from nmt.inference.inputs import LineWarnings

    sentences = LineWarnings(names_unknown=True, item="sentence")
    with open_output(arguments.output) as output:
        for text, form in documents:
            options = DocumentOptions(
                form,
                language,
                splits=not arguments.no_split,
                protects=not arguments.no_protect,
                requirable=requirable,
            )
            # The first round has all sentences; later ones repeat a few of them, or parts.
            warnings = chain([sentences], repeat(LineWarnings(item="part")))
            one_round = partial(_translate_round, translate, warnings)
            output.write(run_document(text, options, one_round).text)


def _translate_round(
    translate: "TranslateLines", warnings: "Iterator[LineWarnings]", lines: "list[Input]"
) -> "Sequence[Translation]":
    return translate(lines, next(warnings))


def read_documents(names: Sequence[str]) -> "list[tuple[str, DocumentFormat]]":
    """Return the text and the format of each file; without a name, of stdin.

    A file is HTML by its name, and stdin by its first characters.

    Raises:
        DataError: a file cannot be read, or is too large.
    """
    from nmt.inference.documents import FORMATS

    documents: list[tuple[str, DocumentFormat]] = []
    for name in names or ["-"]:
        if name == "-":
            text = _read(cast(BufferedReader, sys.stdin.buffer), "stdin")
            is_html = text.lstrip()[:20].lower().startswith(_HTML_STARTS)
        else:
            with open_binary(Path(name)) as file:
                text = _read(file, name)
            path = PurePath(name.lower())
            path = path.with_suffix("") if path.suffix in _COMPRESSED else path
            is_html = FORMATS.get(path.suffix) == "html"
        documents.append((text, "html" if is_html else "text"))
    return documents


def _read(file: BufferedReader, name: str) -> str:
    """Return the text of a file; replace invalid UTF-8, with a warning."""
    size, lines = 0, []
    for line, _, is_too_long in raw_lines(file, name, _MOST_BYTES):
        size += len(line)
        if is_too_long or size > _MOST_BYTES:
            raise DataError(
                f"{name}: larger than {_MOST_BYTES >> 20} MiB, the limit of a document; split it, "
                "or leave --document out"
            )
        lines.append(line)
    content = b"".join(lines)
    try:
        return content.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        place = f"{name}, byte {error.start:,}"
        logger.warning(f"{place}: 0x{content[error.start]:02x} is not UTF-8; read as U+FFFD")
        return content.decode(errors="replace").removeprefix(_BOM)
