"""`nmt translate --resume`: what was broken off becomes what it would have been."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_plugins import OUTSIDE

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def write_input(path: Path, count: int) -> None:
    lines = [
        " ".join(NUMBERS[(row * 7 + column) % 9] for column in range(row % 5)) + " ."
        for row in range(count)
    ]
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.inference.inputs._MOST_ITEMS", 10)


@pytest.fixture
def break_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes translation end with an error before the window of that number, from 1."""
    from nmt.inference.postprocessing import PostProcessor

    whole = PostProcessor.postprocess
    windows = [0, 10**9]

    def process(self: PostProcessor, *arguments: Any) -> Any:
        windows[0] += 1
        if windows[0] == windows[1]:
            raise OSError("the power is gone")
        return whole(self, *arguments)

    def at(number: int) -> None:
        windows[:] = [0, number]

    monkeypatch.setattr(PostProcessor, "postprocess", process)
    return at


@pytest.mark.parametrize(
    "options",
    [[], ["--n-best", "2", "--scores"], ["--json"], ["--alignments", "aligned"]],
    ids=["text", "n-best", "json", "alignments"],
)
def test_resumed_output_equals_an_uninterrupted_one(
    options: list[str], nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 47)
    command = ("translate", "runs/tiny", "input.en", *options, "-o")
    assert nmt(*command, "whole").code == 0
    expected = Path("whole").read_bytes(), Path("aligned").exists() and Path("aligned").read_bytes()
    Path("aligned").unlink(missing_ok=True)
    for number in (3, 2, 1):  # windows done: 2, then 1 more, then none
        break_off(number)
        assert nmt(*command, "out", "--resume").code == 1
        assert not Path("out").exists()
        with Path("out.partial").open("ab") as stream:
            stream.write(b"30 ||| what came after the last window \xff")
    assert Path("out.partial").read_bytes().startswith(expected[0][:100])
    break_off(10**9)
    outcome = nmt(*command, "out", "--resume")
    assert (outcome.code, outcome.err) == (0, "")
    assert Path("out").read_bytes() == expected[0]
    assert (Path("aligned").exists() and Path("aligned").read_bytes()) == expected[1]
    assert not list(Path().glob("*.state")) and not list(Path().glob("*.partial"))


def test_the_number_of_workers_may_change(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 97)
    command = ("translate", "runs/tiny", "input.en", "--batch-tokens", "20", "-o")
    assert nmt(*command, "whole", "--scores").code == 0
    for number, workers in ((4, "7"), (3, "1"), (10**9, "20")):
        break_off(number)
        code = nmt(*command, "out", "--scores", "--workers", workers, "--resume").code
        assert code == int(number < 100)
    assert Path("out").read_bytes() == Path("whole").read_bytes()


def test_a_line_that_was_cut_is_translated_again(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 47)
    command = ("translate", "runs/tiny", "input.en", "--alignments", "aligned", "-o")
    assert nmt(*command, "whole").code == 0
    expected = Path("whole").read_bytes(), Path("aligned").read_bytes()
    break_off(4)
    assert nmt(*command, "out").code == 1
    for name, size in (("out.partial", -3), ("aligned.partial", 20)):
        Path(name).write_bytes(Path(name).read_bytes()[:size])
    break_off(10**9)
    assert nmt(*command, "out", "--resume").code == 0
    assert (Path("out").read_bytes(), Path("aligned").read_bytes()) == expected


def test_missing_partial_file_is_started_again(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 40)
    command = ("translate", "runs/tiny", "input.en", "-o", "out")
    break_off(3)
    assert nmt(*command).code == 1
    Path("out.partial").unlink()
    break_off(10**9)
    assert nmt(*command, "--resume").code == 0
    assert len(Path("out").read_text().splitlines()) == 40


def test_warnings_name_the_lines_of_the_whole_input(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 30)
    with Path("input.en").open("a") as stream:
        stream.write("forty .\n")
    break_off(2)
    nmt("translate", "runs/tiny", "input.en", "-o", "out")
    break_off(10**9)
    outcome = nmt("translate", "runs/tiny", "input.en", "-o", "out", "--resume")
    assert outcome.err == "nmt: warning: line 31: 1 of 2 tokens is unknown to the model\n"


def test_other_models_options_and_inputs_are_refused(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 40)
    command = ("translate", "runs/tiny", "input.en", "-o", "out")
    break_off(3)
    nmt(*command)
    break_off(10**9)
    again = "or leave --resume out"
    nmt(*command, "--resume", "--beam-size", "2").assert_refused(
        "out.state: the output was started with another model, other options or other",
        again,
    )
    nmt(*command, "--resume", "--alignments", "x").assert_refused("other options")
    nmt(*command, "--resume", "--precision", "int8").assert_refused("other options")
    shutil.copy("input.en", "kept")
    Path("input.en").write_text("one .\n" * 40)
    nmt(*command, "--resume").assert_refused(
        "the output was started with another model, other options or other input", again
    )
    shutil.copy("kept", "input.en")
    Path("out.state").write_text("{}")
    nmt(*command, "--resume").assert_refused("out.state: the output was started with another model")
    assert nmt(*command).code == 0
    assert len(Path("out").read_text().splitlines()) == 40
    nmt("translate", "runs/tiny", "input.en", "--resume").assert_refused(
        "--resume: only continues a file; give the same -o FILE as before"
    )


def test_a_changed_plugin_is_another_model(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    shutil.copy(OUTSIDE / "length_penalty.py", in_copy)
    write_input(Path("input.en"), 40)
    given = ("--length-penalty", "length_penalty.py:PowerPenalty", "--plugin", "length_penalty.py")
    command = ("translate", "runs/tiny", "input.en", "-o", "out", *given)
    break_off(3)
    assert nmt(*command).code == 1
    break_off(10**9)
    file = in_copy / "length_penalty.py"
    before = file.read_text()
    file.write_text(before + "# changed\n")
    nmt(*command, "--resume").assert_refused(
        "out.state: the output was started with another model, other options or other"
    )
    file.write_text(before)
    assert nmt(*command, "--resume").code == 0
    assert len(Path("out").read_text().splitlines()) == 40


def test_a_rerun_that_fails_before_it_writes_loses_nothing(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 40)
    command = ("translate", "runs/tiny", "input.en", "-o", "out")
    assert nmt(*command).code == 0
    whole = Path("out").read_bytes()
    Path("out").unlink()
    break_off(3)
    nmt(*command)
    state = Path("out.state").read_bytes()
    nmt(*command, "--checkpoint", "step-99").assert_refused("step-99")
    assert Path("out.state").read_bytes() == state
    break_off(10**9)
    assert nmt(*command, "--resume").code == 0
    assert Path("out").read_bytes() == whole


def test_kill_between_the_last_two_steps_loses_nothing(
    nmt: Any, in_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_input(Path("input.en"), 5)
    command = ("translate", "runs/tiny", "input.en", "-o", "out")
    with monkeypatch.context() as patch:
        patch.setattr("nmt.cli.resume.ResumableOutputs.finish", lambda self: None)
        assert nmt(*command).code == 0
    whole = Path("out").read_bytes()
    assert Path("out.state").exists(), "the output has its name, and the state is still there"
    assert nmt(*command, "--resume").code == 0
    assert Path("out").read_bytes() == whole
    assert not Path("out.state").exists()


def test_state_of_an_earlier_output_is_not_reused(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 40)
    break_off(3)
    nmt("translate", "runs/tiny", "input.en", "-o", "out")
    assert Path("out.state").exists()
    break_off(2)
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=("nine .\n" * 40,), daemon=True)
    writer.start()
    assert nmt("translate", "runs/tiny", "pipe", "-o", "out").code == 1
    assert not Path("out.state").exists(), "the partial output is of the pipe, which cannot resume"
    Path("aligned.state").write_text("a file of the user")
    break_off(10**9)
    assert nmt("translate", "runs/tiny", "input.en", "--alignments", "aligned").code == 0
    assert Path("aligned.state").read_text() == "a file of the user"


def test_only_regular_files_are_resumed(nmt: Any, in_copy: Path) -> None:
    write_input(Path("input.en"), 5)
    given = ("translate", "runs/tiny", "input.en", "--resume", "-o", "out")
    nmt(*given, "--alignments", os.devnull).assert_refused(
        f"--resume: --alignments {os.devnull} is not a regular file; choose another output"
    )
    nmt(*given[:-1], "out.gz").assert_refused("--resume: -o out.gz is compressed; write an")
    os.mkfifo("pipe")
    nmt("translate", "runs/tiny", "pipe", "--resume", "-o", "out").assert_refused(
        "--resume: pipe cannot be read again; use a file"
    )
    nmt("translate", "runs/tiny", "input.en", "-o", "input.en/out").assert_refused("input.en/out")
    assert nmt("translate", "runs/tiny", "input.en", "-o", "x" * 300).code == 2


def test_a_dictionary_that_was_changed(
    nmt: Any, in_copy: Path, small_windows: None, break_off: Any
) -> None:
    write_input(Path("input.en"), 40)
    Path("words").write_text("one\teins\n")
    options = ("--set", "replace_unknown=true", "--set", "dictionary=words")
    command = ("translate", "runs/tiny", "input.en", "-o", "out", *options)
    break_off(3)
    nmt(*command)
    Path("words").write_text("one\tEINS\n")
    nmt(*command, "--resume").assert_refused(
        "the output was started with another model, other options or other input"
    )


def test_resume_without_an_output_starts_it(nmt: Any, in_copy: Path) -> None:
    write_input(Path("input.en"), 5)
    Path("input.en.gz").write_bytes(gzip.compress(Path("input.en").read_bytes()))
    assert nmt("translate", "runs/tiny", "input.en.gz", "-o", "out", "--resume").code == 0
    assert len(Path("out").read_text().splitlines()) == 5


@pytest.mark.slow
def test_killed_training_resumes(nmt: Any, in_copy: Path) -> None:
    """SIGKILL at three moments, of a text of 25 windows."""
    write_input(Path("input.en"), 100_000)
    command = ("translate", "runs/tiny", "input.en", "-o")
    assert nmt(*command, "whole").code == 0
    for moment, num_done in enumerate((4_000, 36_000, 72_000), start=1):
        process = subprocess.Popen(
            [sys.executable, "-m", "nmt", *command, "out", "--resume"], stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            partial = Path("out.partial")
            if partial.exists() and partial.read_bytes().count(b"\n") >= num_done:
                time.sleep(0.3 * moment)
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert process.returncode == -signal.SIGKILL
        assert os.path.exists("out.partial") and not os.path.exists("out")
    assert nmt(*command, "out", "--resume").code == 0
    assert Path("out").read_bytes() == Path("whole").read_bytes()
