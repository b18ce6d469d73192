"""The command line: arguments in, exit code out.

Exit codes: 0 done, 1 an internal error (with a traceback), 2 a user error (one line), 130
interrupted, 143 terminated. Data goes to stdout, in UTF-8 whatever the locale; all else goes to
stderr. Nothing heavy is imported here, nor by the modules of the commands when they are
imported, so that `nmt --help` answers at once.
"""

import argparse
import importlib
import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn, Protocol, cast

from nmt.core.console import escape_controls
from nmt.core.errors import UserError, explain_system_error
from nmt.system import process
from nmt.system.plugins import allowed, unused

OK: Final = 0
INTERNAL_ERROR: Final = 1
USER_ERROR: Final = 2
INTERRUPTED: Final = 128 + signal.SIGINT
TERMINATED: Final = 128 + signal.SIGTERM

_MOST_SHOWN: Final = 4_000  # characters of an error

logger = logging.getLogger(__name__)

_Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

_RUN_BY_SEVERAL: Final = ("train", "translate")

# Name of a command, and of its module in `nmt.cli` -> its line in `nmt --help`.
COMMANDS: Final = {
    "demo": "make a toy corpus, train on it in two minutes, and show the attention",
    "train": "train and evaluate a model from a YAML configuration",
    "translate": "translate files or stdin, line by line",
    "evaluate": "score a run on a test set: BLEU, chrF, TER, with signatures",
    "tune": "choose length and coverage penalty on the validation set",
    "score": "compute the probability of given translations",
    "rescore": "rerank an n-best list, of nmt or another system",
    "align": "align the words of given translations by attention; plot it",
    "trace": "show each step of the translation of one sentence, and its beam",
    "lexicon": "make the lexicon for `translate --shortlist`",
    "export": "export a run as one ONNX file, which runs without this package",
    "serve": "translate in a browser, and answer clients of LibreTranslate",
    "check": "check a configuration without training: sizes, memory, corpora",
}

_EPILOG: Final = """examples:
  nmt demo
  nmt train configs/toy.yaml
  echo 'Tom chases Jerry.' | nmt translate runs/toy

`nmt COMMAND --help` explains a command."""


class Command(Protocol):
    """A module of `nmt.cli`; its docstring is the help of the command."""

    Arguments: Any  # a frozen dataclass

    def run(self, arguments: Any) -> int:
        """Run the command and return the exit code; heavy imports belong here."""


class _StoreOnce(argparse._StoreAction):
    """Action that stores the value of an option, and refuses a second one, which would be lost."""

    _was_given = False  # a parser is used only once

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if option_string is not None and self._was_given:
            parser.error(f"{option_string}: given twice; give it once")
        self._was_given = option_string is not None
        super().__call__(parser, namespace, values, option_string)


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        layout = argparse.RawDescriptionHelpFormatter
        super().__init__(formatter_class=layout, allow_abbrev=False, **options)
        for name in (None, "store"):  # the default action of `add_argument`, and its name
            self.register("action", name, _StoreOnce)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see `{self.prog} --help`)")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Refuse unknown arguments, with the nearest known one."""
        message = f"unrecognized arguments: {' '.join(words)}"
        takes_options = any(action.dest == "overrides" for action in self._actions)
        known = [flag for action in self._actions for flag in action.option_strings]
        for word in words:
            name, equals, value = word.lstrip("-").partition("=")
            if word.startswith("-") and ("." in name or (takes_options and equals)):
                option = f"{name}={value or '…'}"
                self.error(f"{message}: options are given without dashes, as {option}")
            if word.startswith("--"):
                from nmt.config.messages import nearest

                meant = nearest(name, [flag[2:] for flag in known if flag.startswith("--")])
                if meant is not None:
                    self.error(f"{message} (did you mean --{meant}?)")
        self.error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    Args:
        arguments: arguments after `nmt`; None: `sys.argv`.
    """
    words = [_expand_home(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    process.open_closed_streams()
    process.limit_spinning()
    # Several processes log the same messages; only the first shows them.
    level = logging.INFO if process.is_first() else logging.CRITICAL
    with process.stdout_in_utf8(), process.log_on_stderr(level), _at_sigterm(_unwind):
        try:
            code = _dispatch(words) if not _was_refused(words) else USER_ERROR
            sys.stdout.flush()
        except UserError as error:
            code = _refuse(error, words)
        except BrokenPipeError:  # not an error: `nmt … | head` has read enough
            process.discard_stdout()
            code = OK
        except KeyboardInterrupt:
            print("nmt: interrupted", file=sys.stderr)
            code = INTERRUPTED
        except SystemExit as exit_request:  # --help, or a signal that ended the work cleanly
            code = cast(int, exit_request.code or OK)
        except Exception as error:
            code = _fail(error, words)
    return code


def _expand_home(word: str) -> str:
    """Expand `~` if the shell does not, as in ``--output=~/x``; configurations do it themselves."""
    found = re.fullmatch(r"((?:-\w=?|--[\w-]+=)?)(~.*)", word, re.DOTALL)
    return word if found is None else found[1] + os.path.expanduser(found[2])


def _was_refused(words: Sequence[str]) -> bool:
    """Return whether earlier processes of this torchrun have printed a user error."""
    if not process.has_store():
        return False
    from nmt.distributed.error_reporting import find_reported_error

    message = find_reported_error(words)
    if message is not None:
        process.write_error_file(_error_line(message))
    return message is not None


def _refuse(error: UserError, words: Sequence[str]) -> int:
    """Print a user error; if several processes have the same one, only one prints it."""
    with _at_sigterm(signal.SIG_IGN):  # torchrun sends it if another process ended first
        if process.has_store():
            from nmt.distributed.error_reporting import find_reported_error, report_error

            if not report_error(error, words):
                process.write_error_file(_error_line(find_reported_error(words) or str(error)))
                return USER_ERROR
        process.write_error_file(_error_line(str(error)))
        where = "" if process.is_first() else f"rank {os.environ['RANK']}: "
        print(_error_line(f"{where}{error}"), file=sys.stderr)
    return USER_ERROR


def _error_line(message: str) -> str:
    """Return the line of an error; the middle of a very long message is left out."""
    line, half = " ".join(message.split()), _MOST_SHOWN // 2
    if len(line) > _MOST_SHOWN:
        line = f"{line[:half]} […] {line[-half:]}"
    return f"nmt: error: {escape_controls(line)}"


def _fail(error: Exception, words: Sequence[str]) -> int:
    """Report a system error in one line, and an unexpected error with a traceback."""
    message = explain_system_error(error)
    if message is None:
        traceback.print_exc()
        return INTERNAL_ERROR
    if process.discard_stdout() and isinstance(error, OSError) and error.filename is None:
        message = f"stdout: {message}"
    return _refuse(UserError(message), words)


def _dispatch(words: list[str]) -> int:
    # Dispatched by hand: subparsers cannot mix options with a list of positional arguments
    # (`nmt train x.yaml --resume seed=2`), and would import every command.
    summary = "Recurrent neural machine translation with attention."
    usage = "nmt COMMAND [arguments]"
    parser = _Parser(prog="nmt", description=summary, epilog=_EPILOG, usage=usage)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    summaries = "\n".join(f"{name:<11}{summary}" for name, summary in COMMANDS.items())
    commands = parser.add_argument_group("commands", summaries)
    commands.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    chosen = parser.parse_args(words[:1])
    if chosen.version:
        from nmt.core.version import __version__

        print(f"nmt {__version__}")
        return OK
    if chosen.command is None:
        parser.print_help(sys.stderr)
        return USER_ERROR
    if chosen.command not in COMMANDS:
        from nmt.config.messages import unknown

        raise UserError(f"{unknown('command', chosen.command, list(COMMANDS))} (see `nmt --help`)")
    return _run_command(chosen.command, words[1:])


def _run_command(name: str, words: list[str]) -> int:
    if process.is_distributed() and name not in _RUN_BY_SEVERAL:
        raise UserError(
            f"torchrun: only {' and '.join(_RUN_BY_SEVERAL)} support several processes; start `nmt "
            f"{name}` without it"
        )
    module = importlib.import_module(f"nmt.cli.{name}")
    command = cast(Command, module)
    _, text = (module.__doc__ or "\n\n").split("\n\n", 1)
    description, *rest = re.split(r"\n\n(?=[a-z])", text, maxsplit=1)  # such as "examples:"
    parser = _Parser(prog=f"nmt {name}", description=description, epilog="".join(rest))
    from nmt.cli.arguments import add_arguments

    add_arguments(parser, command.Arguments)
    given, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        parser.refuse(unknown)
    arguments = command.Arguments(**vars(given))
    _require_working_directory()
    if not arguments.plugins:
        return command.run(arguments)
    with allowed(arguments.plugins):
        code = command.run(arguments)
        for place in () if name == "demo" else unused():  # the commands of the demo warn
            logger.warning("--plugin %s: no option uses it; leave it out", place)
    return code


def _require_working_directory() -> None:
    """Refuse to work in a deleted folder, where relative paths have no meaning."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("working directory: was deleted; change to another (cd FOLDER)") from None


@contextmanager
def _at_sigterm(handler: _Handler) -> Iterator[None]:
    """Handle SIGTERM with `handler` inside the context."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers
        return

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind the stack on SIGTERM, so that partial files are cleaned up."""
    if process.is_first():
        print("nmt: terminated", file=sys.stderr)
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
