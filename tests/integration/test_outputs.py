"""Where results go: no file of the user is lost, and a stream is written straight to."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.outputs import lock_output, open_folder
from nmt.runs.run import RunDirectory

PAIR = ("--source", "test.en", "--target", "test.de")
# Each command that writes a file, with what it needs besides the argument that names the file.
WRITERS = {
    "translate": ("translate", "runs/tiny", "test.en", "-o"),
    "alignments": ("translate", "runs/tiny", "test.en", "--alignments"),
    "evaluate": ("evaluate", "runs/tiny", "-o"),
    "json": ("evaluate", "runs/tiny", "--json"),
    "score": ("score", "runs/tiny", *PAIR, "-o"),
    "align": ("align", "runs/tiny", *PAIR, "-o"),
    "npz": ("align", "runs/tiny", *PAIR, "--format", "npz", "-o"),
    "rescore": ("rescore", "runs/tiny", "--source", "test.en", "--n-best", "list", "-o"),
    "lexicon": ("lexicon", "runs/tiny", "--table", "table.tsv", "-o"),
    "export": ("export", "runs/tiny", "-o"),
}


@pytest.fixture
def in_writing(in_copy: Path) -> Path:
    """Where all of `WRITERS` can run."""
    Path("list").write_text("0 ||| null .\n0 ||| eins .\n")
    Path("table.tsv").write_text("one\teins\t1\n")
    return in_copy


@pytest.mark.parametrize("name", WRITERS)
def test_no_corpus_of_the_run_is_overwritten(name: str, nmt: Any, in_writing: Path) -> None:
    os.link("train.en", "hard")
    Path("soft").symlink_to("test.en")
    for output in ("train.en", "valid.de", "soft", "hard"):
        nmt(*WRITERS[name], output).assert_refused(f"{output}: is also an input; choose another")
    output = "runs/tiny/checkpoints/best/manifest.json"
    nmt(*WRITERS[name], output).assert_refused(f"{output}: is also part of the run runs/tiny")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("translate", "--prefixes", "given", "-o"), "-o given: is also an input"),
        (("translate", "--constraints", "given", "-o"), "-o given: is also an input"),
        (("rescore", "--source", "test.en", "--n-best", "given", "-o"), "given: is also an input"),
        (("align", *PAIR, "--gold", "given", "-o"), "-o given: is also an input"),
        (("evaluate", "--ensemble", "runs/two", "-o"), "given: is also part of the run runs/"),
        (("align", *PAIR, "--reverse", "runs/two", "-o"), "given: is also part of the run runs/"),
        (("lexicon", "--table", "given", "-o"), "-o given: is also an input"),
    ],
)
def test_no_other_input_is_overwritten(
    words: tuple[str, ...], message: str, nmt: Any, in_copy: Path
) -> None:
    Path("runs/two").symlink_to("tiny")
    Path("given").write_text("0-0\n")
    if "runs/two" in words:
        Path("given").unlink()
        Path("given").symlink_to("runs/two/config.yaml")
    nmt(words[0], "runs/tiny", *words[1:], "given").assert_refused(message)


@pytest.mark.parametrize("name", WRITERS)
def test_an_output_that_another_process_writes_is_refused(
    name: str, nmt: Any, in_writing: Path
) -> None:
    with lock_output(Path("out")):
        nmt(*WRITERS[name], "out").assert_refused(" out: is being written by another process; wait")
        Path("out.partial").unlink()
    assert not Path("out").exists()


def test_places_that_no_argument_names_are_locked_too(nmt: Any, in_writing: Path) -> None:
    with RunDirectory(Path("runs/tiny")).held():
        for command in ("lexicon", "tune"):
            nmt(command, "runs/tiny").assert_refused("runs/tiny: another process")
    with open_folder(Path("plots")):
        nmt("align", "runs/tiny", *PAIR, "--plot", "plots").assert_refused(
            "plots: is being written by another process"
        )


def test_a_table_inside_the_lexicon_is_not_lost(nmt: Any, in_writing: Path) -> None:
    Path("runs/tiny/lexicon").mkdir()
    Path("table.tsv").rename("runs/tiny/lexicon/mine.tsv")
    nmt("lexicon", "runs/tiny", "--table", "runs/tiny/lexicon/mine.tsv").assert_refused(
        "--table runs/tiny/lexicon/mine.tsv: is a file of the run to be replaced; give a copy"
    )


def test_overwriting_a_run_deletes_nothing_that_the_new_one_reads(nmt: Any, in_copy: Path) -> None:
    corpus = Path("runs/tiny/translations/more.en")
    corpus.write_bytes(Path("train.en").read_bytes())
    override = f"data.train.source={corpus}"
    nmt("train", "tiny.yaml", "--overwrite", override).assert_refused(
        f"data.train.source: {corpus}: would be deleted with the run runs/tiny by --overwrite"
    )
    assert corpus.exists()


# Streams.


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"export"}))
def test_named_pipe_gets_the_same_output_as_a_file(name: str, nmt: Any, in_writing: Path) -> None:
    assert nmt(*WRITERS[name], "file").code == 0
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    outcome = nmt(*WRITERS[name], "pipe")
    assert outcome.code == 0, outcome.err
    reader.join(10)
    assert Path("pipe").is_fifo()
    if name == "npz":  # its members are the same, their headers are not
        assert len(read[0]) > 1000
    else:
        assert read[0] == Path("file").read_bytes()


def test_named_stdout_keeps_the_order_of_prints(nmt: Any, in_trained: Path) -> None:
    printed = nmt("evaluate", "runs/tiny", "--metrics", "bleu").lines
    outcome = nmt("evaluate", "runs/tiny", "--metrics", "bleu", "-o", "/dev/stdout")
    assert outcome.code == 0, outcome.err
    translations = nmt("translate", "runs/tiny", "test.en").lines
    assert outcome.lines == [*translations, *printed]
    both = nmt("translate", "runs/tiny", "test.en", "--alignments", "/dev/stdout").lines
    assert both[::2] == translations, "line by line, and none is cut"
    assert all("-" in line for line in both[1::2])


def test_a_log_that_is_stdout_is_appended_to(nmt: Any, in_copy: Path) -> None:
    Path("log").write_text("before\n")
    with Path("log").open("ab") as log:
        outcome = nmt("evaluate", "runs/tiny", "--json", f"/dev/fd/{log.fileno()}")
    assert outcome.code == 0, outcome.err
    first, _, rest = Path("log").read_text().partition("\n")
    assert first == "before"
    assert json.loads(rest)["num_sentences"] == 20


def test_an_input_is_not_appended_to(nmt: Any, in_copy: Path) -> None:
    with Path("test.en").open("ab") as file:
        output = f"/dev/fd/{file.fileno()}"
        nmt("translate", "runs/tiny", "test.en", "-o", output).assert_refused(
            f"-o {output}: is also an input"
        )


@pytest.mark.parametrize("given", [(), ("-",)])
def test_file_behind_stdin_is_not_overwritten(
    given: tuple[str, ...], nmt: Any, in_copy: Path
) -> None:
    stdin = os.dup(0)
    try:
        with Path("test.en").open("rb") as file:
            os.dup2(file.fileno(), 0)
        nmt("translate", "runs/tiny", *given, "-o", "test.en").assert_refused(
            "-o test.en: is also an input; choose another output file"
        )
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)


def test_exported_model_can_be_written_to_a_pipe(
    nmt: Any, in_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nmt.export import exporter

    def write(run: Path, path: Path, **options: object) -> exporter.ParityReport:
        path.write_bytes(b"model" * 100_000)
        return exporter.ParityReport(1, 1, 0.0, 0.0)

    monkeypatch.setattr(exporter, "export_run", write)
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    outcome = nmt("export", "runs/tiny", "-o", "pipe")
    assert outcome.code == 0, outcome.err
    reader.join(10)
    assert read == [b"model" * 100_000]
    assert "pipe: 0.5 MB" in outcome.err
    nmt("export", "runs/tiny", "-o", "runs").assert_refused("runs: is a folder")


def test_several_references_of_each_line(nmt: Any, in_copy: Path) -> None:
    exact = ("evaluate", "runs/tiny", "--source", "test.en", "--metrics", "exact_match,bleu")
    found = nmt("translate", "runs/tiny", "test.en").lines
    # Each file has the translation of one half of the lines.
    Path("first").write_text("".join(f"{line}\n" for line in [*found[:10], *["nichts ."] * 10]))
    Path("second").write_text("".join(f"{line}\n" for line in [*["nichts ."] * 10, *found[10:]]))
    one = nmt(*exact, "--reference", "first")
    both = nmt(*exact, "--reference", "first", "--reference", "second", "--json", "scores")
    assert one.lines[0].split()[2] == "50.00"
    assert [line.split()[-2] for line in both.lines] == ["100.00", "100.00"]
    assert all("nrefs:2" in line for line in both.lines)
    assert json.loads(Path("scores").read_text())["references"] == ["first", "second"]
    tuned = nmt("tune", "runs/tiny", "--dry-run", "--source", "test.en", "--length-penalties",
                "none", "--reference", "first", "--reference", "second")  # fmt: skip
    assert tuned.lines[-1].split()[-1] == "100.00"


def test_each_line_is_answered_before_the_next_is_written(in_trained: Path) -> None:
    words = [sys.executable, "-m", "nmt", "translate", "runs/tiny", "--line-buffered", "--scores"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in ("one two .", "", "five ."):
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            _, _, answer = process.stdout.readline().decode().split("\t")
            assert (answer == "\n") == (line == "")
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0


def test_line_buffering_gives_the_same_translations(nmt: Any, in_trained: Path) -> None:
    with_prefixes = ("translate", "runs/tiny", "test.en", "--prefixes", "test.de", "--json")
    expected = [json.loads(line)["translation"] for line in nmt(*with_prefixes).lines]
    outcome = nmt(*with_prefixes, "--line-buffered", "-o", "/dev/stdout")
    assert [json.loads(line)["translation"] for line in outcome.lines] == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "out"), "--line-buffered: has no effect with -o out, which is written at the end"),
        (
            ("--workers", "2"),
            "--workers: has no effect with --line-buffered; leave one of them out",
        ),
    ],
)
def test_line_buffering_is_refused_for_files_and_workers(
    words: tuple[str, ...], message: str, nmt: Any, in_trained: Path
) -> None:
    nmt("translate", "runs/tiny", "test.en", "--line-buffered", *words).assert_refused(message)
