import argparse
import contextlib
import errno
import importlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt.cli import main as cli
from nmt.cli.arguments import CommandArguments, add_arguments, flag, positional
from nmt.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Arguments(CommandArguments):
    first: str = positional("FIRST", "a word")
    rest: list[str] = positional("REST", "more words", nargs="*", default=[])
    flag: bool = flag("a flag")


Run = Callable[[Arguments], int]
Install = Callable[[Run], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a command of one positional list and one flag in the place of `nmt check`."""

    def put(run: Run) -> None:
        command = SimpleNamespace(Arguments=Arguments, run=run)
        monkeypatch.setitem(sys.modules, "nmt.cli.check", command)

    return put


def raising(error: BaseException) -> Run:
    def run(arguments: Arguments) -> int:
        raise error

    return run


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in cli.COMMANDS)
    assert "examples:" in out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_each_command_explains_itself_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: nmt {name}")
    assert f"  nmt {name} " in out.split("examples:")[1] or f"| nmt {name} " in out


def test_align_help_explains_weights_below_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["align", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "the rest is on the end-of-sentence token, which has no column" in out


def test_translate_help_explains_reading_ahead(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["translate", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "From a file or pipe, some thousands of lines are read before the first translations" in out
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_argument_has_a_line_of_help(name: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, importlib.import_module(f"nmt.cli.{name}").Arguments)
    assert [action.dest for action in parser._actions if not action.help] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from nmt import __version__

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"nmt {__version__}\n"


def test_without_a_command_the_help_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: nmt COMMAND" in captured.err


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trian"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("nmt: error: ")
    assert "unknown command 'trian' (did you mean 'train'?); allowed: demo, train, " in err
    assert "translate" in err
    assert err.count("\n") == 1


def test_an_unknown_argument_names_the_help(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(lambda arguments: 0)
    assert cli.main(["check", "a", "--beem=3"]) == 2
    assert capsys.readouterr().err == (
        "nmt: error: unrecognized arguments: --beem=3 (see `nmt check --help`)\n"
    )


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--model.attention.score=dot"], ": options are given without dashes, as model.attention."
         "score=dot"),
        (["--seed=3"], ": options are given without dashes, as seed=3"),
        (["-training.max_epochs", "3"], ": options are given without dashes, as training.max_epoch"
         "s=…"),
        (["--resum"], " (did you mean --resume?)"),
        (["--over-write", "--zzz"], " (did you mean --overwrite?)"),
        (["-k", "--resum"], " (did you mean --resume?)"),
        (["--zzz"], ""),
    ],
)  # fmt: skip
def test_options_are_given_without_dashes(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "x.yaml", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"nmt: error: unrecognized arguments: {' '.join(words)}{hint} (see `nmt ")


@pytest.mark.parametrize(
    ("command", "missing"),
    [("check", "CONFIG"), ("train", "CONFIG"), ("translate", "RUN")],
)
def test_only_missing_arguments_are_named(
    command: str, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command]) == 2
    assert f"arguments are required: {missing} (see `nmt {command}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["translate", "runs/toy", "-o", "a", "--output", "b"], "--output"),
        (["translate", "runs/toy", "--beam-size", "3", "--beam-size=3"], "--beam-size"),
        (["translate", "runs/toy", "a", "--checkpoint", "last", "b", "--checkpoint", "best"],
         "--checkpoint"),
        (["tune", "runs/toy", "--metric", "chrf", "--metric", "ter"], "--metric"),
        (["export", "runs/toy", "--precision", "int8", "--precision", "int8", "-o", "x"],
         "--precision"),
        (["lexicon", "runs/toy", "--table", "a", "--table", "b"], "--table"),
    ],
)  # fmt: skip
def test_an_option_whose_second_value_would_replace_the_first_is_refused(
    words: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err == (
        f"nmt: error: {option}: given twice; give it once (see `nmt {words[0]} --help`)\n"
    )


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_with_a_value_counts_once_or_is_collected(name: str) -> None:
    parser = cli._Parser()
    add_arguments(parser, importlib.import_module(f"nmt.cli.{name}").Arguments)
    collected = {"--plugin", "--set", "--ensemble", "--reference", "--languages", "--cors"}
    for action in parser._actions:
        if action.option_strings and action.nargs is None:
            is_collected = isinstance(action, argparse._AppendAction)
            assert is_collected or isinstance(action, cli._StoreOnce), action.option_strings
            assert is_collected == (not collected.isdisjoint(action.option_strings))


def test_options_may_stand_between_the_positional_arguments(install: Install) -> None:
    seen = []
    install(lambda arguments: seen.append(asdict(arguments)) or 0)
    assert cli.main(["check", "a", "--flag", "b=1", "c=2"]) == 0
    assert seen == [{"plugins": [], "first": "a", "rest": ["b=1", "c=2"], "flag": True}]


def test_user_error_is_one_line_and_exits_with_2(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(raising(DataError("a.txt, line 3:\n  bad")))
    assert cli.main(["check", "a"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "nmt: error: a.txt, line 3: bad\n"
    assert captured.out == ""


def test_internal_error_prints_a_traceback_and_exits_with_1(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(raising(ZeroDivisionError("inside")))
    assert cli.main(["check", "a"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("ZeroDivisionError: inside\n")


def test_interrupt_exits_with_130(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install(raising(KeyboardInterrupt()))
    assert cli.main(["check", "a"]) == 130
    assert capsys.readouterr().err == "nmt: interrupted\n"


def test_sigterm_unwinds_and_exits_with_143(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    cleaned = []

    def run(arguments: Arguments) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            cleaned.append(True)
        return 0

    install(run)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["check", "a"]) == 143
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "nmt: terminated\n"


def test_only_the_first_process_reports_termination(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cli, "_RUN_BY_SEVERAL", ("check",))
    install(lambda arguments: os.kill(os.getpid(), signal.SIGTERM))
    assert cli.main(["check", "a"]) == 143
    assert capsys.readouterr().err == ""


def test_the_commands_own_code_is_returned(install: Install) -> None:
    install(lambda arguments: 143)
    assert cli.main(["check", "a"]) == 143


def test_log_lines_go_to_stderr_and_the_logger_is_left_as_it_was(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("nmt.some.part")

    def run(arguments: Arguments) -> int:
        logger.info("20 pairs read")
        logger.warning("line 3 is cut")
        return 0

    install(run)
    handlers = list(logging.getLogger("nmt").handlers)
    cli.main(["check", "a"])
    captured = capsys.readouterr()
    assert captured.err == "20 pairs read\nnmt: warning: line 3 is cut\n"
    assert captured.out == ""
    assert logging.getLogger("nmt").handlers == handlers


def python(code: str, **environment: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )


FAKE_CHECK = """
import sys, types
from nmt.cli import main as cli
from nmt.cli.arguments import CommandArguments
def run(arguments):
    {body}
    return 0
sys.modules["nmt.cli.check"] = types.SimpleNamespace(
    Arguments=CommandArguments, run=run)
sys.exit(cli.main(["check"]))
"""


def test_stdout_is_utf_8_in_any_locale() -> None:
    process = python(
        FAKE_CHECK.format(body='print("größte \\ud800")'), LC_ALL="C", PYTHONIOENCODING="ascii"
    )
    out, err = process.communicate()
    assert (out, err, process.returncode) == ("größte ?\n".encode(), b"", 0)


def test_a_closed_pipe_ends_quietly() -> None:
    process = python(
        FAKE_CHECK.format(body="[print('x' * 1000, flush=True) for _ in range(10_000)]")
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert err == b""


def test_help_only_imports_the_standard_library() -> None:
    """Reading torch alone takes a second; a limit in seconds would fail on a busy machine."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from nmt.cli import main as cli; cli.main(['--help'])\n"
        "for name in cli.COMMANDS: cli.main([name, '--help'])\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "others = names - set(sys.stdlib_module_names) - {'nmt'}\n"
        "sys.exit(f'imported: {others}' if others else 0)"
    )
    process = python(code)
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()


@pytest.mark.parametrize(
    "text",
    [
        "run: [",
        "extends: gone.yaml\n",
        "version: 9\n",
        "run: runs/x\ndata: {}\nmodel: {attention: {score: dott}}\n",
        "run: runs/x\ndata: {}\nmodel: {attention: {score: gone.py:Distance}}\n",
        "run: runs/x\ndata: {}\ndecoding: {beam_size: many}\n",
        "run: runs/x\ndata: {}\ntraining: {max_epoch: 3}\n",
    ],
)
def test_a_bad_configuration_is_refused_before_torch_is_imported(text: str, tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text(text)
    code = (
        "import sys; from nmt.cli import main as cli\n"
        f"code = cli.main(['check', {str(config)!r}])\n"
        "sys.exit(9 if 'torch' in sys.modules or 'numpy' in sys.modules else code)"
    )
    process = python(code)
    out, err = process.communicate()
    assert process.returncode == 2
    assert out == b""
    assert err.count(b"\n") == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_or_quota_is_reported(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(words: list[str]) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("nmt.cli.main._dispatch", write)
    assert cli.main(["translate"]) == 2
    told = capsys.readouterr().err
    quota = ", or ask for a larger quota" if number == errno.EDQUOT else ""
    assert told == f"nmt: error: {os.strerror(number)}; free disk space{quota}\n"


def test_unexpected_system_error_is_an_internal_error(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(raising(OSError(errno.ENOTRECOVERABLE, "State not recoverable")))
    assert cli.main(["check", "a"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EMFILE, "Too many open files", "x"), "x: Too many open files; raise the"),
        (MemoryError(), "memory: Cannot allocate memory; free memory"),
        (
            RuntimeError("CUDA out of memory. Tried"),
            "CUDA out of memory. Tried; stop other programs on the GPU",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: Permission denied"),
    ],
)
def test_exhausted_system_resource_is_one_line(
    error: Exception, told: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(raising(error))
    assert cli.main(["check", "a"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"nmt: error: {told}")
    assert err.count("\n") == 1


def test_a_working_directory_that_was_deleted_is_refused(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(lambda arguments: 0)
    gone = tmp_path / "gone"
    gone.mkdir()
    with contextlib.chdir(gone):
        gone.rmdir()
        assert cli.main(["check", "a"]) == 2
        assert cli.main(["--help"]) == 0
    assert capsys.readouterr().err == (
        "nmt: error: working directory: was deleted; change to another (cd FOLDER)\n"
    )


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1, 2)])
def test_closed_standard_streams_are_harmless(closed: tuple[int, ...], tmp_path: Path) -> None:
    body = (
        "sys.stdin.isatty(); print('data'); print('message', file=sys.stderr, flush=True); "
        "open(sys.argv[1], 'w').write(sys.stdin.read() + 'done')"
    )
    redirections = " ".join(f"{number}>&-" for number in closed)
    ended = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" "$2" {redirections}', sys.executable,
         FAKE_CHECK.format(body=body), str(tmp_path / "out")],
        input=b"", capture_output=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (b"" if 1 in closed else b"data\n")
    assert ended.stderr == (b"" if 2 in closed else b"message\n")
    assert (tmp_path / "out").read_text() == "done"
