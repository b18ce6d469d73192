"""Text that is fed to the commands: long lines, compression, pipes, and paths of a home."""

import bz2
import lzma
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LONG = "x" * 1_000_001
NAMED = "longer than 1,000,000 bytes; read as an empty line"


def write(name: str, *lines: str) -> str:
    Path(name).write_text("".join(f"{line}\n" for line in lines))
    return name


def test_translate_reads_past_a_long_line(nmt: Any, in_trained: Path) -> None:
    plain = nmt("translate", "runs/tiny", stdin=b"one .\n\ntwo .\n")
    outcome = nmt("translate", "runs/tiny", stdin=f"one .\n{LONG}\ntwo .\n".encode())
    assert (outcome.code, outcome.out) == (0, plain.out)
    assert outcome.err == f"nmt: warning: stdin, line 2: {NAMED}\n"


def test_the_limit_is_an_option(nmt: Any, in_copy: Path) -> None:
    write("in", "one two .", "one .")
    outcome = nmt("translate", "runs/tiny", "in", "--max-line-bytes", "8")
    assert outcome.lines[0] == ""
    assert outcome.lines[1:] == nmt("translate", "runs/tiny", stdin=b"one .\n").lines
    assert "in, line 1: longer than 8 bytes" in outcome.err
    assert LONG not in nmt("translate", "runs/tiny", "in", "--max-line-bytes", "2000000").err
    for wrong in ("0", "-1", "many", "9" * 30):
        nmt("translate", "runs/tiny", "in", f"--max-line-bytes={wrong}").assert_refused(
            "--max-line-bytes", "must be a whole number from 1 to"
        )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("translate", "{run}", "b", "--prefixes", "a"), "a"),
        (("translate", "{run}", "b", "--constraints", "a"), "a"),
        (("score", "{run}", "--source", "a", "--target", "b"), "a"),
        (("align", "{run}", "--source", "b", "--target", "a"), "a"),
        (("align", "{run}", "--source", "b", "--target", "b", "--gold", "gold"), "gold"),
        (("rescore", "{run}", "--source", "a", "--n-best", "list"), "a"),
        (("evaluate", "{run}", "--source", "a", "--reference", "b"), "a"),
        (("tune", "{run}", "--source", "a", "--reference", "b", "--dry-run"), "a"),
    ],
)
def test_every_command_that_reads_lines_has_the_limit(
    words: tuple[str, ...], named: str, nmt: Any, in_copy: Path
) -> None:
    write("a", "one two three .", "one .")
    write("b", "one .", "one .")
    write("gold", "0-0 0-0 0-0 1-1", "0-0")
    write("list", "0 ||| a")
    given = ["runs/tiny" if word == "{run}" else word for word in words]
    outcome = nmt(*given, "--max-line-bytes", "9")
    assert outcome.code == 0, outcome.err
    assert f"{named}, line 1: longer than 9 bytes; read as an empty line" in outcome.err
    assert "longer than" not in nmt(*given).err


@pytest.mark.parametrize("how", [(), ("--line-buffered",)])
def test_translate_names_ten_lines_that_are_cut(
    how: tuple[str, ...], nmt: Any, in_copy: Path
) -> None:
    write("in", *["one two ."] * 30)
    outcome = nmt("translate", "runs/tiny", "in", "--set", "max_source_length=2", *how)
    assert (outcome.code, len(outcome.lines)) == (0, 30)
    named = [
        f"nmt: warning: line {number}: the source has 3 tokens; only" for number in range(1, 11)
    ]
    warnings = outcome.err.splitlines()
    assert [line[: len(start)] for line, start in zip(warnings, named, strict=False)] == named
    assert warnings[10:] == ["nmt: warning: further lines that are too long are not reported"]


def test_score_names_ten_lines_that_are_cut(nmt: Any, in_copy: Path) -> None:
    write("a", *["one two ."] * 30)
    write("b", *["zwei eins ."] * 30)
    config = in_copy / "runs" / "tiny" / "config.yaml"
    config.write_text(config.read_text().replace("max_source_length: 1000", "max_source_length: 2"))
    outcome = nmt("score", "runs/tiny", "--source", "a", "--target", "b")
    assert (outcome.code, len(outcome.lines)) == (0, 30)
    assert outcome.err.count("only the first 2 are read") == 10
    assert outcome.err.count("further lines that are too long") == 1


def test_prefixes_and_constraints_keep_their_lines(nmt: Any, in_copy: Path) -> None:
    write("in", "one two .", "one two .")
    for option in ("--prefixes", "--constraints"):
        write("given", LONG, "zwei")
        outcome = nmt("translate", "runs/tiny", "in", option, "given")
        assert outcome.code == 0, outcome.err
        assert f"given, line 1: {NAMED}" in outcome.err
        free = nmt("translate", "runs/tiny", "in").lines
        assert outcome.lines[0] == free[0]
        assert "zwei" in outcome.lines[1]


@pytest.mark.parametrize("command", ["score", "align"])
def test_pairs_keep_their_lines(command: str, nmt: Any, in_copy: Path) -> None:
    for source, target in (((LONG, "one ."), ("eins .",) * 2), (("one .",) * 2, (LONG, "eins ."))):
        write("a", *source)
        write("b", *target)
        outcome = nmt(command, "runs/tiny", "--source", "a", "--target", "b")
        assert outcome.code == 0, outcome.err
        assert f", line 1: {NAMED}" in outcome.err
        write("c", *(("", "one .") if LONG in source else source))
        write("d", *(("", "eins .") if LONG in target else target))
        expected = nmt(command, "runs/tiny", "--source", "c", "--target", "d")
        assert outcome.out == expected.out


def test_gold_alignments_keep_their_lines(nmt: Any, in_copy: Path) -> None:
    write("a", "one .", "one .")
    write("b", "eins .", "eins .")
    write("gold", LONG, "0-0 1-1")
    write("same", "", "0-0 1-1")
    pairs = ("--source", "a", "--target", "b")
    outcome = nmt("align", "runs/tiny", *pairs, "--gold", "gold")
    assert f"gold, line 1: {NAMED}" in outcome.err
    expected = nmt("align", "runs/tiny", *pairs, "--gold", "same")
    assert outcome.err.splitlines()[-1] == expected.err.splitlines()[-1]


def test_evaluate_keeps_its_lines(nmt: Any, in_copy: Path) -> None:
    write("a", LONG, "one .", "two .")
    write("b", "eins .", "eins .", "zwei .")
    outcome = nmt("evaluate", "runs/tiny", "--source", "a", "--reference", "b", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert f"a, line 1: {NAMED}" in outcome.err
    assert len(Path("out").read_text().splitlines()) == 3


def test_a_long_line_of_an_n_best_list_or_a_lexicon_is_an_empty_line(
    nmt: Any, in_copy: Path
) -> None:
    write("a", "one .")
    write("list", f"0 ||| {LONG}")
    outcome = nmt("rescore", "runs/tiny", "--source", "a", "--n-best", "list")
    assert f"list, line 1: {NAMED}" in outcome.err
    outcome.assert_refused("list, line 1: must be `line ||| translation ||| ...`, not ''")
    write("table", f"one\t{LONG}\t1")
    outcome = nmt("lexicon", "runs/tiny", "--table", "table")
    assert f"table, line 1: {NAMED}" in outcome.err
    outcome.assert_refused("table, line 1: must be a source word")


def test_a_long_line_of_a_training_corpus_leaves_out_its_pair(nmt: Any, in_copy: Path) -> None:
    for path in ("train.en", "train.de"):
        Path(path).write_text(
            f"{LONG if path == 'train.en' else 'eins'}\n" + Path(path).read_text()
        )
    outcome = nmt(
        "train", "tiny.yaml", "run=runs/new", "training.max_updates=1",
        "training.validation.metrics=[]", "training.validation.best=loss",
        "training.early_stopping=null",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "400 of 401 pairs kept" in outcome.err
    assert outcome.err.count(f"train.en, line 1: {NAMED}") == 1


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress], ids=["bzip2", "xz"])
def test_compressed_text_is_read_by_every_command(
    compress: Callable[[bytes], bytes], nmt: Any, in_copy: Path
) -> None:
    for name in ("test.en", "test.de"):
        Path(f"packed.{name}").write_bytes(compress(Path(name).read_bytes()))
    packed = ("packed.test.en", "packed.test.de")
    plain = nmt("translate", "runs/tiny", "test.en").out
    assert nmt("translate", "runs/tiny", packed[0]).out == plain
    assert nmt("translate", "runs/tiny", stdin=Path(packed[0]).read_bytes()).out == plain
    outcomes = [
        nmt("score", "runs/tiny", "--source", source, "--target", target)
        for source, target in (("test.en", "test.de"), packed)
    ]
    assert outcomes[0].out == outcomes[1].out != ""


@pytest.mark.parametrize("command", ["train", "check"])
@pytest.mark.parametrize("key", ["data.train.source", "data.valid.target", "data.test.source"])
def test_pipe_as_a_corpus_is_refused_early(command: str, key: str, nmt: Any, in_copy: Path) -> None:
    os.mkfifo("pipe")
    nmt(command, "tiny.yaml", "run=runs/new", f"{key}=pipe").assert_refused(
        f"{key}: pipe: not a regular file, so it cannot be read twice; save the text to a file"
    )
    nmt(command, "tiny.yaml", "run=runs/new", f"{key}=/dev/zero").assert_refused(
        f"{key}: /dev/zero: not a regular file"
    )


def test_a_pipe_in_the_configuration_of_a_run_is_refused(nmt: Any, in_copy: Path) -> None:
    os.remove("test.en")
    os.mkfifo("test.en")
    nmt("evaluate", "runs/tiny").assert_refused(
        "runs/tiny: cannot read its test set", "not a regular file"
    )
    os.remove("train.en")
    os.mkfifo("train.en")
    nmt("lexicon", "runs/tiny").assert_refused("train.en: not a regular file")


def test_sparse_file_of_20_gb_is_refused(nmt: Any, in_copy: Path) -> None:
    with Path("sparse").open("wb") as file:
        file.truncate(20 * 10**9)
    write("list", "0 ||| eins .")
    run = ("runs/tiny",)
    pair = ("--source", "test.en", "--target", "test.de")
    commands = [
        ("train", "tiny.yaml", "run=runs/new", "data.train.source=sparse"),
        ("train", "tiny.yaml", "run=runs/new", "data.test.source=sparse"),
        ("check", "tiny.yaml", "data.valid.target=sparse"),
        ("evaluate", *run, "--source", "sparse", "--reference", "test.de"),
        ("translate", *run, "test.en", "--prefixes", "sparse"),
        ("translate", *run, "test.en", "--constraints", "sparse"),
        ("score", *run, "--source", "sparse", "--target", "test.de"),
        ("rescore", *run, "--source", "test.en", "--n-best", "sparse"),
        ("align", *run, *pair, "--gold", "sparse"),
        ("lexicon", *run, "--table", "sparse"),
    ]
    for words in commands:
        begun = time.process_time()
        outcome = nmt(*words)
        assert outcome.code == 2, words
        assert "sparse, line 1, byte 0: NUL byte" in outcome.err.splitlines()[-1], words
        assert time.process_time() - begun < 4, words  # with what the command takes anyway


def test_a_pipe_that_is_read_once_works(nmt: Any, in_copy: Path) -> None:
    os.mkfifo("pipe")
    write("list", "0 ||| eins .", "0 ||| zwei .")
    for arguments in (
        ("translate", "runs/tiny", "{test.en}"),
        ("score", "runs/tiny", "--source", "{test.en}", "--target", "test.de"),
        ("rescore", "runs/tiny", "--source", "test.en", "--n-best", "{list}"),
        (
            "align",
            "runs/tiny",
            "--source",
            "test.en",
            "--target",
            "test.de",
            "--gold",
            "{test.align}",
        ),
    ):
        piped = next(word[1:-1] for word in arguments if word.startswith("{"))
        writer = threading.Thread(
            target=lambda name=piped: Path("pipe").write_bytes(Path(name).read_bytes()), daemon=True
        )
        writer.start()
        outcome = nmt(*("pipe" if word.startswith("{") else word for word in arguments))
        writer.join(timeout=10)
        assert outcome.code == 0, outcome.err
        assert outcome.out == nmt(*(word.strip("{}") for word in arguments)).out


@pytest.mark.parametrize(
    "option", ["--source", "--target", "--prefixes", "--constraints", "--gold"]
)
def test_a_device_is_refused(option: str, nmt: Any, in_trained: Path) -> None:
    arguments = {
        "--prefixes": ("translate", "runs/tiny", "test.en"),
        "--constraints": ("translate", "runs/tiny", "test.en"),
        "--source": ("score", "runs/tiny", "--target", "test.de"),
        "--target": ("score", "runs/tiny", "--source", "test.en"),
        "--gold": ("align", "runs/tiny", "--source", "test.en", "--target", "test.de"),
    }[option]
    nmt(*arguments, option, "/dev/zero").assert_refused("/dev/zero: is a device")


def test_home_is_expanded_without_a_shell(
    nmt: Any, in_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(in_copy))
    for number, arguments in enumerate((["-o=~/out0"], ["-o~/out1"], ["--output=~/out2"])):
        assert nmt("translate", "~/runs/tiny", "~/test.en", *arguments).code == 0
        assert Path(f"out{number}").read_text() != ""
    outcome = nmt("score", "runs/tiny", "--source=~/test.en", "--target=~/test.de")
    assert outcome.code == 0, outcome.err


def test_escapes_of_a_stranger_do_not_reach_the_terminal(nmt: Any, in_copy: Path) -> None:
    Path("evil.yaml").write_text('"\\e]0;owned\\x07\\e[2J": 1\n')
    for arguments in (("check", "evil.yaml"), ("check", "\x1b[31m.yaml"), ("\x1b[31m",)):
        outcome = nmt(*arguments)
        assert outcome.code == 2
        assert "\x1b" not in outcome.err
        assert r"\x1b[" in outcome.err
    text = "one \x1b[31m ."
    outcome = nmt("translate", "runs/tiny", "--attention", stdin=text.encode())
    assert "\x1b" not in outcome.err
