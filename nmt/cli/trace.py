"""`nmt trace`: show the whole computation of one sentence, step by step.

Translate one sentence and show everything that is computed for it: at each step the word before,
the state, the scores and weights of the attention, the context, and the likeliest next words; the
beam, with the reason why each continuation is kept or not; and the formula, the paper and the line
of code of each part. All numbers are computed in float32 on the CPU.

output:
  by default a text on stdout; with --json or --html only these files. The JSON object has every
  array (by the path of its module, as shape and values), the names of the weights, the steps, the
  parts and the beam. Arrays of the decoder have a row for each target token.

examples:
  nmt trace runs/toy 'Tom chases Jerry.'
  nmt trace runs/toy 'Tom chases Jerry.' --html trace.html
  nmt trace runs/toy 'Tom chases Jerry.' --prefix 'Jerry'
  nmt trace runs/toy 'Tom chases Jerry.' --json trace.json --beam-size 2
"""

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nmt.cli.arguments import SearchArguments, TrainedRun, flag_of, option, path, positional
from nmt.cli.inputs import read_input, read_text
from nmt.cli.outputs import check_files, open_output
from nmt.core.errors import UserError

if TYPE_CHECKING:
    from nmt.data.formats.grids import Source
    from nmt.inference.trace import Trace
    from nmt.inference.views import Languages

# Arguments that an exported model supports.
_OF_EXPORTED: Final = ("plugins", "run", "sentence", "json", "html", "beam_size")
# Arguments that a command with another prefix does not repeat.
_NOT_REPEATED: Final = ("run", "sentence", "json", "html", "prefix")


@dataclass(frozen=True, kw_only=True)
class Arguments(TrainedRun, SearchArguments):
    """Arguments of the command."""

    sentence: str = positional(
        "SENTENCE",
        "the sentence, after `--` if it begins with a dash; `-`: one line of stdin; for a run that "
        "reads grids, an .npz file, whose first grid is read",
    )
    prefix: str = option(
        "TEXT", "text that the translation must start with, to force a word", default=""
    )
    json: Path | None = path("write every array and everything else as JSON")
    html: Path | None = path("write a page for a browser that shows each step and the beam")


def run(arguments: Arguments) -> int:
    """Trace the sentence; write a text, or the files asked for."""
    if Path(arguments.run).is_file():
        trace, languages = _trace_exported(arguments)
    else:
        trace, languages = _trace_run(arguments)
    if arguments.json is not None:
        with open_output(arguments.json) as output:
            output.write(trace.to_json())
    if arguments.html is not None:
        from nmt.visualization.page import render_page

        force = partial(_command, arguments, trace.text[0])
        view = trace.view(force, languages=languages)
        with open_output(arguments.html) as output:
            output.write(render_page("trace", [view], title=f"{arguments.run}: trace"))
    if arguments.json is None and arguments.html is None:
        from nmt.visualization.trace_text import format_trace

        width = shutil.get_terminal_size().columns
        with open_output(None) as output:
            output.write(format_trace(trace.view(), width=width))
    return 0


def _trace_run(arguments: Arguments) -> "tuple[Trace, Languages]":
    """Return the trace, and the languages of source and target."""
    run = arguments.open_run()
    reads_grids = run.config.reads_grids
    check_files(_outputs(arguments), [arguments.sentence] if reads_grids else [], run)
    source: Source | None
    if reads_grids:
        source = next(read_input(run.config, [arguments.sentence]), None)
        if source is None:
            raise UserError(f"{arguments.sentence}: has no grids; give a file with at least one")
    else:
        source = _read_sentence(arguments.sentence)

    from nmt.inference.translator import Translator

    translator = Translator.from_run(run, checkpoint=arguments.checkpoint, device="cpu")
    return translator.trace(source, prefix=arguments.prefix), run.config.data.languages()


def _trace_exported(arguments: Arguments) -> "tuple[Trace, Languages]":
    """Return the trace of an exported model, which has only the translation, and its languages."""
    for declared, value, default in _given(arguments):
        if declared.name not in _OF_EXPORTED and value != default:
            raise UserError(
                f"{flag_of(declared)}: not supported by an exported model; leave it out, or trace "
                "the run"
            )
    check_files(_outputs(arguments), [arguments.run])
    source = _read_sentence(arguments.sentence)

    from nmt.export.exported_translator import ExportedTranslator
    from nmt.inference.trace import Trace

    translator = ExportedTranslator.open(arguments.run, beam_size=arguments.beam_size)
    (translation,) = translator.translate([source])
    return Trace.of_exported(source, translation), translator.description.languages


def _outputs(arguments: Arguments) -> "dict[str, Path | None]":
    return {"--json": arguments.json, "--html": arguments.html}


def _read_sentence(given: str) -> str:
    """Return the sentence, or a line of stdin; refuse a blank one."""
    sentence = next(read_text([given]), "") if given == "-" else given
    if not sentence.strip():
        raise UserError("SENTENCE: is blank; give a text of at least one word")
    return sentence


def _given(arguments: Arguments) -> "Iterator[tuple[Field[Any], Any, Any]]":
    """Yield all arguments with their values and defaults."""
    for declared in fields(arguments):
        default = [] if declared.default is MISSING else declared.default
        yield declared, getattr(arguments, declared.name), default


def _command(arguments: Arguments, source: str, prefix: str) -> str:
    """Return the command that traces the sentence again, with a forced prefix, for a shell."""
    words = ["nmt", "trace", arguments.run]
    for declared, value, default in _given(arguments):
        if declared.name in _NOT_REPEATED or value == default:
            continue
        for one in value if isinstance(value, list) else [value]:
            words.append(flag_of(declared) if one is True else f"{flag_of(declared)}={one}")
    sentence = source if arguments.sentence == "-" else arguments.sentence
    end = ["--"] if sentence.startswith("-") else []
    return shlex.join([*words, f"--prefix={prefix}", *end, sentence])
