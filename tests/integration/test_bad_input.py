"""What people get wrong: one clear line that says where and what to do, exit code 2, no loss."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def train(nmt: Any, in_copy: Path) -> Callable[..., Any]:
    """`nmt train tiny.yaml run=runs/new`, on text that the test has spoilt before."""

    def run(*arguments: str) -> Any:
        return nmt("train", "tiny.yaml", "run=runs/new", *arguments)

    return run


def spoil(path: str, change: Callable[[bytes], bytes]) -> None:
    Path(path).write_bytes(change(Path(path).read_bytes()))


# The corpora: each is refused before a run is begun, so that there is none in the way afterwards.


def test_a_missing_corpus(train: Any) -> None:
    train("data.train.source=nowhere.en").assert_refused(
        "data.train.source: nowhere.en: no such file"
    )
    train("data.valid.target=nowhere.de").assert_refused(
        "data.valid.target: nowhere.de: no such file"
    )
    assert not Path("runs/new").exists()


def test_a_folder_in_the_place_of_a_corpus(train: Any) -> None:
    train("data.train.source=runs").assert_refused("runs: is a folder; give a file")


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_corpus_without_permission(split: str, train: Any, forbid: Any) -> None:
    forbid(f"{split}.en")
    train().assert_refused(f"{split}.en: no permission to read it; change the permissions")
    assert not Path("runs/new").exists()


def test_line_counts_that_differ(train: Any) -> None:
    spoil("train.de", lambda text: text + b"noch eins .\n")
    train().assert_refused("train.en has 400 lines", "train.de has 401")
    assert not Path("runs/new").exists()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_corpus_that_is_not_utf_8(split: str, train: Any) -> None:
    spoil(f"{split}.de", lambda text: b"eins .\ngr\xfc\xdfe .\n" + text[2:])
    train().assert_refused(f"{split}.de, line 2, byte 9", "0xfc is not UTF-8")


def test_utf_16(train: Any) -> None:
    spoil("train.de", lambda text: text.decode().encode("utf-16"))
    train().assert_refused("train.de, line 1, byte 0", "UTF-16", "convert the file to UTF-8")


def test_nul_bytes(train: Any) -> None:
    spoil("train.en", lambda text: text.replace(b"one", b"o\0ne", 1))
    train().assert_refused("train.en, line ", "byte ", "NUL byte")


def test_an_empty_corpus(train: Any) -> None:
    spoil("train.en", lambda text: b"")
    spoil("train.de", lambda text: b"")
    train().assert_refused("train.en and train.de: must not be empty")


def test_only_blank_lines(train: Any) -> None:
    spoil("train.en", lambda text: b"  \n" * 400)
    train().assert_refused("train.en and train.de", "no pair of 400 has text on both sides")


def test_a_corpus_that_the_filters_leave_empty(train: Any) -> None:
    outcome = train("data.filters.max_length=1")
    outcome.assert_refused("no pair passes the filters", "0 of 400 pairs kept (400 too long)")
    assert not Path("runs/new").exists()


def test_a_vocabulary_larger_than_the_text_gives(train: Any) -> None:
    outcome = train("tokenizer={name: sentencepiece, vocabulary_size: 30000, shared: true}")
    outcome.assert_refused("tokenizer.vocabulary_size", "30000")
    assert not Path("runs/new").exists()


def test_tsv_line_without_a_tab_is_refused(train: Any) -> None:
    Path("pairs.tsv").write_text("one .\teins .\ntwo . zwei .\n")
    train("data.train=[{tsv: pairs.tsv}]").assert_refused("pairs.tsv, line 2: must have one tab")


def test_training_with_int8_is_refused(
    nmt: Any, in_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda: True)
    reason = "precision: 'int8' is only supported for translation"
    nmt("train", "tiny.yaml", "run=runs/new", "precision=int8").assert_refused(reason)
    assert not Path("runs/new").exists()
    outcome = nmt("check", "tiny.yaml", "precision=int8")
    assert outcome.code == 2 and reason in outcome.err
    outcome = nmt("translate", "runs/tiny", "--precision", "int8", stdin=b"one two .\n")
    assert (outcome.code, len(outcome.lines)) == (0, 1)


def test_compressed_text_that_is_cut_short(train: Any) -> None:
    Path("train.en").write_bytes(gzip.compress(Path("train.en").read_bytes())[:-20])
    train().assert_refused("train.en: the gzip data is corrupted or truncated")


@pytest.mark.parametrize("command", ["train", "check"])
def test_a_schedule_without_room_is_refused_before_a_corpus_is_looked_for(
    command: str, nmt: Any, in_copy: Path
) -> None:
    limits = ("training.schedule={name: cosine, warmup: 9}", "training.max_updates=9")
    outcome = nmt(command, "tiny.yaml", "run=runs/new", "data.train.source=nowhere.en", *limits)
    outcome.assert_refused("training.schedule.warmup: must be less than the 9 updates")


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("data.train.weight=0.00001", "give a corpus a larger weight"),
        ("decoding={search: greedy, beam_size: 3, n_best: 2}", "n_best"),
        ("training.schedule={name: cosine, warmup: 1000000}", "warmup"),
    ],
)
def test_check_refuses_the_same_configurations_as_train(
    override: str, part: str, nmt: Any, in_trained: Path
) -> None:
    outcome = nmt("check", "tiny.yaml", override)
    assert outcome.code == 2, outcome.err
    assert part in outcome.err.splitlines()[-1]


def test_check_refuses_the_same(nmt: Any, in_copy: Path) -> None:
    Path("valid.de").unlink()
    outcome = nmt("check", "tiny.yaml")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err == (
        "nmt: error: data.valid.target: valid.de: no such file "
        f"(relative paths start from the working directory {in_copy})\n"
    )


# What is no error: it is read as it is meant.


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.removesuffix(b"\n"),
        gzip.compress,
    ],
    ids=["BOM", "CRLF", "no last line feed", "gzip"],
)
def test_forms_of_the_same_text_make_the_same_vocabulary(
    change: Callable[[bytes], bytes], train: Any
) -> None:
    spoil("train.en", change)
    spoil("train.de", change)
    assert (
        train(
            "training.max_updates=1",
            "training.validation.metrics=[]",
            "training.validation.best=loss",
            "training.early_stopping=null",
        ).code
        == 0
    )
    for side in ("source", "target"):
        for name in os.listdir(f"runs/tiny/tokenizer/{side}"):
            old, new = (Path(f"runs/{run}/tokenizer/{side}/{name}") for run in ("tiny", "new"))
            assert old.read_bytes() == new.read_bytes()


def test_a_line_of_100_000_words_is_left_out_and_counted(train: Any) -> None:
    spoil("train.en", lambda text: b"one " * 100_000 + b"\n" + text)
    spoil("train.de", lambda text: b"eins\n" + text)
    outcome = train(
        "training.max_updates=1",
        "training.validation.metrics=[]",
        "training.validation.best=loss",
        "training.early_stopping=null",
    )
    assert outcome.code == 0, outcome.err
    assert "400 of 401 pairs kept (1 too long)" in outcome.err


# The run.


def test_existing_run_is_not_overwritten(nmt: Any, in_copy: Path, snapshot: Any) -> None:
    before = snapshot(in_copy)
    nmt("train", "tiny.yaml").assert_refused(
        "runs/tiny: already holds a run", "--resume", "--overwrite"
    )
    assert snapshot(in_copy) == before


@pytest.mark.parametrize(
    "mistake",
    [
        "data.train.source=nowhere.en",
        "device=cuda:99",
        "data.filters.max_length=1",
        "tokenizer={name: sentencepiece, vocabulary_size: 30000, shared: true}",
    ],
)
def test_overwrite_deletes_nothing_before_the_data_is_valid(
    mistake: str, nmt: Any, in_copy: Path, snapshot: Any
) -> None:
    before = snapshot(in_copy)
    assert nmt("train", "tiny.yaml", "--overwrite", mistake).code == 2
    assert snapshot(in_copy) == before


def test_overwrite_keeps_a_folder_that_is_not_a_run(nmt: Any, in_copy: Path, snapshot: Any) -> None:
    Path("mine").mkdir()
    Path("mine/config.yaml").write_text("somebody: else\n")
    before = snapshot(in_copy)
    nmt("train", "tiny.yaml", "run=mine", "--overwrite").assert_refused("mine", "config.yaml")
    assert snapshot(in_copy) == before


def test_resume_without_a_run_is_refused(nmt: Any, in_copy: Path) -> None:
    nmt("train", "tiny.yaml", "run=runs/new", "--resume").assert_refused(
        "runs/new", "leave --resume out to start a run"
    )


def test_resume_with_another_model(nmt: Any, in_copy: Path) -> None:
    nmt("train", "tiny.yaml", "--resume", "model.decoder.hidden_size=64").assert_refused(
        "model.decoder.hidden_size (32 -> 64)"
    )


def test_file_at_the_path_of_the_run_is_refused(nmt: Any, in_copy: Path) -> None:
    Path("taken").write_text("precious\n")
    for flags in ([], ["--overwrite"]):
        nmt("train", "tiny.yaml", "run=taken", *flags).assert_refused(
            "taken: a file has this name; choose another"
        )
    assert Path("taken").read_text() == "precious\n"


@pytest.mark.parametrize("command", ["translate", "evaluate"])
def test_missing_run_is_reported(command: str, nmt: Any, in_trained: Path) -> None:
    nmt(command, "runs/none").assert_refused("runs/none: no such folder")
    problem = "neither a run nor" if command == "translate" else "is not a folder"
    nmt(command, "tiny.yaml").assert_refused(f"tiny.yaml: {problem}")
    nmt(command, "runs").assert_refused("runs: has no config.yaml")


def test_a_run_of_another_version(nmt: Any, in_copy: Path) -> None:
    spoil("runs/tiny/config.yaml", lambda text: text.replace(b"version: 2", b"version: 3"))
    nmt("translate", "runs/tiny").assert_refused("version 3 is not supported")


def test_a_config_of_another_version(nmt: Any, in_copy: Path) -> None:
    spoil("tiny.yaml", lambda text: b"version: 7\n" + text)
    nmt("train", "tiny.yaml", "run=runs/new").assert_refused(
        "tiny.yaml", "version 7 is not supported, only up to 2; use"
    )


def checkpoint_files(suffix: str) -> list[Path]:
    return sorted(Path("runs/tiny/checkpoints/best").glob(f"*{suffix}"))


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        lambda content: b"",
    ],
    ids=["cut short", "changed byte", "empty"],
)
def test_a_damaged_checkpoint(
    suffix: str, change: Callable[[bytes], bytes], nmt: Any, in_copy: Path
) -> None:
    for path in checkpoint_files(suffix):
        shutil.copy(path, "kept")
        spoil(str(path), change)
        nmt("translate", "runs/tiny").assert_refused(f"runs/tiny/checkpoints/best/{path.name}")
        shutil.copy("kept", path)
    assert nmt("translate", "runs/tiny", stdin=b"one .\n").lines == ["eins ."]


@pytest.mark.parametrize("output", [[], ["-o", "out"]], ids=["stdout", "file"])
def test_a_checkpoint_that_cannot_be_read(
    output: list[str], nmt: Any, in_copy: Path, forbid: Callable[..., None]
) -> None:
    manifest = "runs/tiny/checkpoints/best/manifest.json"
    spoil(manifest, lambda content: b"\xff\xfe" + content)
    nmt("translate", "runs/tiny", *output).assert_refused(f"{manifest}: corrupted")
    forbid(manifest)
    nmt("translate", "runs/tiny", *output).assert_refused(manifest, "ermission")


def test_missing_checkpoint_is_reported(nmt: Any, in_copy: Path) -> None:
    outcome = nmt("translate", "runs/tiny", "--checkpoint", "step-77")
    outcome.assert_refused("checkpoints/step-77: no such checkpoint; available: best, last, step-")
    for path in checkpoint_files(".safetensors"):
        path.unlink()
    nmt("translate", "runs/tiny").assert_refused("runs/tiny/checkpoints/best/model.safetensors")


def test_a_damaged_checkpoint_to_resume_from(nmt: Any, in_copy: Path, snapshot: Any) -> None:
    path = "runs/tiny/checkpoints/last/model.safetensors"
    spoil(path, lambda content: content[:100])
    before = snapshot(Path("runs/tiny/checkpoints"))
    nmt("train", "tiny.yaml", "--resume", "training.max_epochs=20").assert_refused(path)
    assert snapshot(Path("runs/tiny/checkpoints")) == before


def test_a_run_without_its_tokenizer(nmt: Any, in_copy: Path) -> None:
    shutil.rmtree("runs/tiny/tokenizer/target")
    nmt("translate", "runs/tiny").assert_refused("runs/tiny/tokenizer", "missing")
    shutil.rmtree("runs/tiny/tokenizer")
    nmt("translate", "runs/tiny").assert_refused("runs/tiny/tokenizer", "missing")


def test_a_damaged_tokenizer(nmt: Any, in_copy: Path) -> None:
    for path in sorted(Path("runs/tiny/tokenizer/source").iterdir()):
        kept = path.read_bytes()
        path.write_bytes(kept[: len(kept) // 2])
        nmt("translate", "runs/tiny").assert_refused("runs/tiny/tokenizer/source/", path.name)
        path.write_bytes(kept)


# Permissions.


def test_a_configuration_without_permission(nmt: Any, in_trained: Path, forbid: Any) -> None:
    forbid("tiny.yaml")
    for command in ("train", "check"):
        nmt(command, "tiny.yaml").assert_refused("tiny.yaml: cannot be read: Permission denied")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("runs", "runs/tiny: Permission denied"),
        ("runs/tiny", "runs/tiny: Permission denied"),
        ("runs/tiny/config.yaml", "runs/tiny/config.yaml: Permission denied"),
        ("runs/tiny/tokenizer", "runs/tiny/tokenizer/shared: Permission denied"),
        ("runs/tiny/tokenizer/source", "runs/tiny/tokenizer/source/tokenizer.json: "),
        ("runs/tiny/checkpoints", "runs/tiny/checkpoints/best: Permission denied"),
        ("runs/tiny/checkpoints/best", "checkpoints/best/manifest.json: Permission denied"),
        ("runs/tiny/checkpoints/best/model.safetensors", "best/model.safetensors"),
    ],
)
def test_a_run_without_permission(
    path: str, message: str, nmt: Any, in_trained: Path, forbid: Any
) -> None:
    forbid(path)
    for command in ("translate", "evaluate"):
        nmt(command, "runs/tiny").assert_refused(message)


@pytest.mark.parametrize("flag", [None, "--resume", "--overwrite"])
@pytest.mark.parametrize("path", ["runs", "runs/tiny", "runs/tiny/config.yaml"])
def test_training_in_a_run_without_permission(
    path: str, flag: str | None, nmt: Any, in_copy: Path, forbid: Any
) -> None:
    forbid(path)
    arguments = [] if flag is None else [flag]
    nmt("train", "tiny.yaml", *arguments).assert_refused("runs/tiny", "Permission denied")


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        ("runs", ["run=runs/new"]),
        ("runs", ["--overwrite"]),
        ("runs/tiny", ["--overwrite"]),
        ("runs/tiny", ["--resume", "training.max_epochs=20"]),
    ],
)
def test_training_in_a_folder_that_cannot_be_written(
    folder: str, arguments: list[str], nmt: Any, in_copy: Path, forbid: Any, snapshot: Any
) -> None:
    before = snapshot(in_copy)
    forbid(folder, "write")
    nmt("train", "tiny.yaml", *arguments).assert_refused("runs", "ermission")
    assert snapshot(in_copy) == before


# The arguments.


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "gpu"])
def test_an_unknown_device(device: str, nmt: Any, in_copy: Path) -> None:
    nmt("translate", "runs/tiny", "--device", device).assert_refused("device", device)
    nmt("train", "tiny.yaml", "run=runs/new", f"device={device}").assert_refused("device", device)
    assert not Path("runs/new").exists()


def test_a_device_is_looked_for_before_the_corpora_are_read(nmt: Any, in_copy: Path) -> None:
    spoil("train.de", lambda text: b"\xff")
    for command in ("check", "train"):
        nmt(command, "tiny.yaml", "device=cuda:99").assert_refused("device: 'cuda:99' not found on")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--beam-size", "0"], ["error: argument --beam-size: must be a whole number from 1"]),
        (["--beam-size", "many"], ["error: argument --beam-size: ", "not 'many'"]),
        (["--n-best", "9"], ["error: --n-best 9: ", "beam_size (5)"]),
        (["--length-penalty", "googol"], ["error: --length-penalty googol: ", "average"]),
        (["--length-penalty", "-1"], ["error: --length-penalty -1: "]),
        (["--batch-tokens", "-1"], ["error: argument --batch-tokens: ", "not '-1'"]),
        (["--length-penalty", "["], ["error: --length-penalty [: ", "not YAML"]),
        (["--precision", "int3"], ["error: --precision int3: ", "bfloat16"]),
        (["nowhere.en"], ["nowhere.en: no such file"]),
        (["--beam-sise", "3"], ["--beam-sise 3 (did you mean --beam-size?) (see `nmt translate "]),
        (["runs"], ["runs: is a folder"]),
        (["-o", "no/out.de"], ["no/out.de: its folder does not exist"]),
        (["--alignments", "runs"], ["runs: is a folder"]),
        (
            ["-o", "x", "--alignments", "./x"],
            ["--alignments x: is also -o; choose another output file"],
        ),
        (
            ["test.en", "-o", "./test.en"],
            ["-o test.en: is also an input; choose another output file"],
        ),
        (["--prefixes", "x", "--alignments", "x", "-o", "y"], ["--alignments x: is also an input"]),
        (["--beem", "3"], ["--beem", "nmt translate --help"]),
    ],
)
def test_arguments_of_translate(
    arguments: list[str], parts: list[str], nmt: Any, in_trained: Path
) -> None:
    nmt("translate", "runs/tiny", *arguments).assert_refused(*parts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["translate", "--search", "greedy", "--beam-size", "3"],
         "--beam-size 3: has no effect, as greedy search has no beam; leave it out"),
        (["translate", "--set", "mbr_candidates=3"], "--set mbr_candidates=3: has no effect"),
        (["translate", "--set", "n_best=3"], "--set n_best=3: has no effect here; give --n-best"),
        (["translate", "--json", "--scores"], "--scores: has no effect with --json, which incl"),
        (["translate", "--average", "log"], "--average log: has no effect without --ensemble RUN"),
        (["translate", "--beam-size", "3", "--set", "beam_size=4"],
         "decoding.beam_size: given twice (--beam-size 3 and --set beam_size=4); give it once"),
        (["translate", "--set", "search.groups=3", "--set", "search=beam"],
         "--set search.groups=3: has no effect, as the later --set search=beam replaces"),
        (["rescore", "--source", "test.en", "--n-best", "x", "--set", "beam_size=3"],
         "--set beam_size=3: has no effect, as beam_size is only used in search"),
        (["tune", "--search", "greedy"], "penalties do not affect a search with one hypothesis"),
        (["tune", "--beam-size", "1"], "penalties do not affect a search with one hypothesis"),
        (["evaluate", "--search", "sampling", "--beam-size", "3"], "sampling search has no beam"),
        (["export", "--search", "greedy", "--beam-size", "3", "-o", "x"], "greedy search has no"),
    ],
)  # fmt: skip
def test_arguments_without_effect_are_refused(
    words: list[str], message: str, nmt: Any, in_trained: Path
) -> None:
    nmt(words[0], "runs/tiny", *words[1:]).assert_refused(message)


def test_an_output_file_survives_a_run_that_cannot_be_loaded(nmt: Any, in_copy: Path) -> None:
    Path("out.de").write_text("precious\n")
    spoil(str(checkpoint_files(".safetensors")[0]), lambda content: content[:50])
    nmt("translate", "runs/tiny", "test.en", "-o", "out.de").assert_refused("best")
    assert Path("out.de").read_text() == "precious\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["--metrics", "blue"],
            ["--metrics blue: unknown metric 'blue' (did you mean 'bleu'?); allowed: bleu, "],
        ),
        (
            ["--metrics", ","],
            ["--metrics ,: a metric is missing before a comma; write them as in "],
        ),
        (["--metrics", "bleu,,ter"], ["--metrics bleu,,ter: a metric is missing before a comma"]),
        (["--source", "test.en"], ["--source and --reference: only one is given; give both"]),
        (["--source", "test.en", "--reference", "train.de"], ["has 20 lines", "has 400"]),
        (["--source", "nowhere", "--reference", "test.de"], ["nowhere: no such file"]),
        (["--source", "", "--reference", ""], ["--source: must not be empty; give a file name"]),
        (["--source", "test.en", "--reference", ""], ["--reference: must not be empty"]),
        (["--json", "x", "-o", "x"], ["--json x: is also -o; choose another output file"]),
        (["-o", "test.de"], ["-o test.de: is also an input; choose another output file"]),
    ],
)
def test_arguments_of_evaluate(
    arguments: list[str], parts: list[str], nmt: Any, in_trained: Path
) -> None:
    nmt("evaluate", "runs/tiny", *arguments).assert_refused(*parts)


def test_references_must_correspond_to_the_sources(nmt: Any, in_trained: Path) -> None:
    given = ("--source", "test.en", "--reference", "test.de", "--reference")
    nmt("evaluate", "runs/tiny", *given, "train.de").assert_refused(
        "train.de: has 400 lines, but there are 20 sources; it needs one line for each"
    )
    nmt("tune", "runs/tiny", *given, "").assert_refused("--reference: must not be empty")
    nmt("evaluate", "runs/tiny", *given, "none").assert_refused("none: no such file")


def test_a_run_without_a_test_set(nmt: Any, in_copy: Path) -> None:
    lines = Path("runs/tiny/config.yaml").read_text().splitlines(keepends=True)
    start = lines.index("  test:\n")
    end = next(n for n in range(start + 1, len(lines)) if not lines[n].startswith("    "))
    Path("runs/tiny/config.yaml").write_text("".join(lines[:start] + lines[end:]))
    nmt("evaluate", "runs/tiny").assert_refused("data.test", "give --source and --reference")


def test_a_run_whose_test_set_is_not_here(nmt: Any, in_copy: Path) -> None:
    Path("test.de").unlink()
    nmt("evaluate", "runs/tiny").assert_refused(
        "runs/tiny: cannot read its test set: data.test.target: test.de: ",
        "give --source and --reference",
    )


@pytest.mark.parametrize("command", ["score", "align"])
def test_pairs_that_do_not_correspond(command: str, nmt: Any, in_trained: Path) -> None:
    outcome = nmt(command, "runs/tiny", "--source", "test.en", "--target", "train.de")
    assert outcome.code == 2
    assert "test.en has 20 lines, but train.de has 400" in outcome.err


def test_evaluate_opens_its_files_before_it_translates(
    nmt: Any, in_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def translate(*arguments: object) -> None:
        raise AssertionError("too early")

    monkeypatch.setattr("nmt.inference.translator.Translator.translate", translate)
    for argument in ("-o", "--json"):
        nmt("evaluate", "runs/tiny", argument, "no/out").assert_refused(
            "no/out: its folder does not exist"
        )


def test_pictures_that_cannot_be_drawn(
    nmt: Any, in_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: object, **options: object) -> None:
        raise AssertionError("too early")

    monkeypatch.setattr("nmt.inference.translator.Translator.from_run", load)
    nmt(
        "align", "runs/tiny", "--source", "test.en", "--target", "test.de", "--plot", "tiny.yaml"
    ).assert_refused("tiny.yaml: is not a folder; choose another one")


def test_invalid_gold_alignments_are_refused(nmt: Any, in_copy: Path) -> None:
    arguments = ("align", "runs/tiny", "--source", "test.en", "--target", "test.de", "-o", "out")
    nmt(*arguments, "--gold", "none").assert_refused("none: no such file")
    spoil("test.align", lambda text: b"0-0 1_1\n" + text)
    nmt(*arguments, "--gold", "test.align").assert_refused("test.align, line 1: ", "1_1")
    spoil("test.align", lambda text: text.replace(b"1_1", b"1-99"))
    nmt(*arguments, "--gold", "test.align").assert_refused("test.align, line 1: ", "1-99")


# The configuration.


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.attention.score=dott", ["model.attention.score", "'dott'", "dot"]),
        ("model.decoder.hiden_size=3", ["hiden_size", "hidden_size"]),
        ("training.learning_rate=1", ["(did you mean training.optimizer.learning_rate?); allowed"]),
        (
            "training.weight_decay=0.01",
            ["(did you mean training.optimizer.weight_decay?); allowed"],
        ),
        ("training.max_epochs=soon", ["training.max_epochs", "soon"]),
        ("seed", ["seed", "key=value"]),
    ],
)
def test_invalid_options_are_refused(
    override: str, parts: list[str], nmt: Any, in_trained: Path
) -> None:
    nmt("train", "tiny.yaml", "run=runs/new", override).assert_refused(*parts)
    nmt("check", "tiny.yaml", override).assert_refused(*parts)


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("missing.yaml", None, ["missing.yaml: no such file"]),
        ("list.yaml", b"- a\n- b\n", ["list.yaml"]),
        ("glued.yaml", b"run:runs/x\n", ["not a string (a space is missing after ':')"]),
        ("broken.yaml", b"run: [\n", ["broken.yaml"]),
        ("latin.yaml", b"run: \xfc\n", ["latin.yaml: not UTF-8"]),
        ("empty.yaml", b"", ["empty.yaml", "run"]),
    ],
)
def test_invalid_configurations_are_refused(
    name: str, content: bytes | None, parts: list[str], nmt: Any, in_copy: Path
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    nmt("train", name).assert_refused(*parts)


@pytest.mark.parametrize("words", [("test.en", "runs/tiny"), ("test.en", "test.de", "runs/tiny")])
def test_run_given_after_its_input_is_refused(
    words: tuple[str, ...], nmt: Any, in_trained: Path
) -> None:
    nmt("translate", *words).assert_refused(
        "runs/tiny: is a run, which must come first; write `nmt translate runs/tiny test.en`"
    )


def test_a_run_in_the_place_of_a_configuration(nmt: Any, in_trained: Path) -> None:
    nmt("train", "runs/tiny", "--resume").assert_refused(
        "runs/tiny: is a folder, not a YAML file; did you mean runs/tiny/config.yaml?"
    )
    nmt("train", "runs").assert_refused("runs: is a folder, not a YAML file")


def test_impossible_constraints_are_refused(nmt: Any, in_trained: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    asked.write_text("one\n")

    def refused(*arguments: object) -> Any:
        return nmt("translate", "runs/tiny", "test.en", *arguments)

    refused("--prefixes", asked).assert_refused("asked: has 1 lines; give one for each input line")
    refused("--constraints", "nowhere").assert_refused("nowhere: no such file")
    refused("--constraints", asked, "--search", "greedy").assert_refused(
        "--constraints: required phrases are only supported with beam search; set"
    )
    refused("--set", "forbiden=[x]").assert_refused(
        "--set forbiden=[x]: unknown option 'forbiden'", "did you mean 'forbidden'?"
    )
    refused("--set", "search.temperature=1").assert_refused(
        "--set search.temperature=1: unknown option 'temperature' of search 'beam'"
    )
    groups = ("--set", "search.groups=5")
    refused("--search", "diverse_beam", "--beam-size", "7", *groups).assert_refused(
        "decoding.beam_size: 7 is not a multiple of the 5 groups"
    )
    refused("--ensemble", "nowhere").assert_refused("nowhere: no such folder")


@pytest.mark.parametrize(
    ("argument", "bad", "warning"),
    [
        ("--prefixes", b"null " * 300, "line 2: the prefix has 300 tokens, above decoding"),
        ("--prefixes", b"ne\xffun", "asked, line 2, byte 12: 0xff is not UTF-8; read as an empty"),
        ("--constraints", b"\xff", "asked, line 2, byte 10: 0xff is not UTF-8; read as an empty"),
    ],
)
def test_bad_constraint_line_does_not_affect_other_lines(
    argument: str, bad: bytes, warning: str, nmt: Any, in_trained: Path, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    words = ("translate", "runs/tiny", argument, asked)
    source = b"two .\none four .\nthree .\n"
    asked.write_bytes(b"neun neun\n\nacht acht\n")
    expected = nmt(*words, stdin=source).lines
    asked.write_bytes(b"neun neun\n" + bad + b"\nacht acht\n")
    outcome = nmt(*words, stdin=source)
    assert outcome.code == 0, outcome.err
    assert warning in outcome.err
    assert outcome.err.count("line 2") == 1
    assert outcome.lines == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
@pytest.mark.parametrize("words", [("-o",), ("-o", "out", "--alignments"), ("-o", "x.gz")])
def test_a_full_disk(nmt: Any, in_copy: Path, words: tuple[str, ...]) -> None:
    Path("x.gz").symlink_to("/dev/full")
    words = words if "x.gz" in words else (*words, "/dev/full")
    nmt("translate", "runs/tiny", "test.en", *words).assert_refused(
        f"{words[-1]}: No space left on device; free disk space"
    )


def test_a_malformed_dictionary(nmt: Any, in_copy: Path) -> None:
    Path("words.tsv").write_text("one\teins\ntwo zwei\n")
    options = ("--set", "replace_unknown=true", "--set", "dictionary=words.tsv")
    nmt("translate", "runs/tiny", "test.en", "-o", "out", *options).assert_refused(
        "words.tsv, line 2: must be a word, a tab and its"
    )
    assert not Path("out").exists() and not Path("out.partial").exists()
    nmt("translate", "runs/tiny", *options[:2], "--set", "dictionary=none.tsv").assert_refused(
        "none.tsv"
    )
