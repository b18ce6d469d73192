"""`nmt export`, and translating with what it has written."""

import gzip
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, call

import numpy as np
import onnx
import pytest

from nmt.config.decoding import DecodingConfig
from nmt.core.errors import RunError
from nmt.export.exported_translator import ExportedTranslator, read_hypotheses
from nmt.export.exporter import _EXPORTED, _write
from nmt.export.onnx_file import METADATA_KEY, ExportMetadata
from nmt.search.hypothesis import Hypothesis
from tests.inference.test_forking import in_forked_child
from tests.integration.conftest import Command

LINES = ["one two three .", "", "nine .", "four four zero ."]
INPUT = "".join(f"{line}\n" for line in LINES).encode()

ALONE = """
import json, sys
import numpy as np, onnxruntime
sys.modules["nmt"] = sys.modules["torch"] = None
session = onnxruntime.InferenceSession(sys.argv[1])
told = json.loads(session.get_modelmeta().custom_metadata_map["nmt"])
scores, _, lengths, tokens = session.run(None, {
    "source": np.array(json.loads(sys.argv[2])), "source_lengths": np.array([4, 2]),
    "beam_size": np.array(told["beam_size"]), "n_best": np.array(1)})
print(json.dumps([row[0, :n[0]].tolist() for row, n in zip(tokens, lengths)]))
"""


@pytest.mark.parametrize(
    "extra",
    [("--n-best", 3), ("--search", "greedy"), ("--beam-size", 2, "--batch-tokens", 5)],
    ids=["n-best", "greedy", "small"],
)
def test_it_translates_as_the_run_does(
    nmt: Command, in_trained: Path, exported: Path, extra: tuple[str | int, ...]
) -> None:
    ours = nmt("translate", "runs/tiny", "--precision", "float32", "--json", *extra, "test.en")
    theirs = nmt("translate", exported, "--json", *extra, "test.en")
    assert (theirs.code, theirs.err) == (0, "")
    for mine, yours in zip(ours.lines, theirs.lines, strict=True):
        for one, other in zip(
            json.loads(mine)["hypotheses"], json.loads(yours)["hypotheses"], strict=True
        ):
            assert one["tokens"] == other["tokens"]
            assert one["translation"] == other["translation"]
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
            assert one["log_probability"] == pytest.approx(other["log_probability"], abs=1e-4)


def test_inputs_and_outputs_of_the_graph(
    nmt: Command, in_trained: Path, exported: Path, tmp_path: Path
) -> None:
    expected = nmt("translate", "runs/tiny", stdin=INPUT).lines
    assert expected[1] == ""
    assert nmt("translate", exported, stdin=INPUT).lines == expected
    packed, output = tmp_path / "in.gz", tmp_path / "out.gz"
    packed.write_bytes(gzip.compress(INPUT))
    assert nmt("translate", exported, packed, "-o", output).code == 0
    assert gzip.decompress(output.read_bytes()).decode().splitlines() == expected
    told = [json.loads(line) for line in nmt("translate", exported, "--json", stdin=INPUT).lines]
    assert [item["translation"] for item in told] == expected
    assert [item["source"] for item in told] == LINES
    assert "alignment" not in told[0]
    warned = nmt("translate", exported, stdin=b"zzz one .\n").err
    assert "line 1: 1 of 3 tokens is unknown to the model" in warned


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_translates_as_its_parent_does(in_trained: Path, exported: Path) -> None:
    translator = ExportedTranslator.open(exported, batch_tokens=20, num_threads=2)
    lines = Path("test.en").read_text().splitlines()

    def work() -> list[str]:
        return [translation.text for translation in translator.translate(lines)]

    expected = repr(work())
    assert in_forked_child(work) == expected


def test_reader_that_stops_early_is_not_an_error(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one two three .\n" * 9000)  # more than a pipe holds
    command = [sys.executable, "-m", "nmt", "translate", str(exported), str(tmp_path / "in")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"drei zwei eins .\n"
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="writes to /dev/full")
@pytest.mark.parametrize("way", ["stdout", "-o"])
def test_full_disk_is_one_line(exported: Path, way: str) -> None:
    command = [sys.executable, "-m", "nmt", "translate", str(exported)]
    command += ["-o", "/dev/full"] if way == "-o" else []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            command, input=INPUT, stdout=full, stderr=subprocess.PIPE, env=environment
        )
    place = "stdout" if way == "stdout" else "/dev/full"
    told = f"nmt: error: {place}: No space left on device; free disk space\n"
    assert (ended.returncode, ended.stderr.decode()) == (2, told)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_progress_is_reported_with_each_batch(exported: Path, num_threads: int) -> None:
    told: list[int] = []
    translator = ExportedTranslator.open(exported, batch_tokens=5, num_threads=num_threads)
    (_,) = translator.translate_windows([*LINES, "", *LINES], report=told.append)
    assert told == [1, 1, 1, 1, 1, 1, 3], "the last are the lines without text"


def test_progress_bar_follows_the_batches(
    nmt: Command, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = Mock()
    monkeypatch.setattr("nmt.cli.inputs.progress_bar", lambda *_, **__: nullcontext(bar))
    (tmp_path / "in").write_bytes(INPUT)
    words = ("translate", exported, tmp_path / "in", "-o", tmp_path / "out")
    assert nmt(*words, "--batch-tokens", 5).code == 0
    assert bar.update.mock_calls == [call(1)] * 4


def test_it_runs_without_this_package(exported: Path) -> None:
    translator = ExportedTranslator.open(exported, num_threads=1)
    ids = [translator.source_reader.encode(line) for line in ("one two three", "nine")]
    source = [[*ids[0], 3], [*ids[1], 3, 0, 0]]
    command = [sys.executable, "-c", ALONE, str(exported), json.dumps(source)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [translator.target_tokenizer.decode(tokens) for tokens in json.loads(ended.stdout)]
    assert found == [item.text for item in translator.translate(["one two three", "nine"])]


def test_exported_model_translates_in_python(exported: Path) -> None:
    translator = ExportedTranslator.open(exported, beam_size=4, n_best=2)
    first, nothing = translator.translate(["one two .", " "])
    assert len(first.texts) == 2 and first.hypotheses[0].score >= first.hypotheses[1].score
    assert nothing.text == "" and nothing.hypotheses[0].tokens == ()
    whole = [item.texts for item in translator.translate(LINES)]
    for num_threads in (1, 3):
        alone = ExportedTranslator.open(
            exported, beam_size=4, n_best=2, batch_tokens=1, num_threads=num_threads
        )
        assert [item.texts for item in alone.translate(LINES)] == whole
    with pytest.raises(TypeError, match=r"write translate\(\[line\]\)"):
        translator.translate("one")
    for line, kind in ((None, "None"), (3, "int"), (b"one", "bytes")):
        with pytest.raises(
            TypeError, match=f"^translate: line 2 is {kind}; each line must be str$"
        ):
            translator.translate(["one", line])  # type: ignore[list-item]


def test_ten_lines_that_are_cut_are_named(exported: Path, caplog: pytest.LogCaptureFixture) -> None:
    translator = ExportedTranslator.open(exported)
    short = replace(translator.description, max_source_length=2)
    with caplog.at_level("WARNING"):
        assert len(replace(translator, description=short).translate(["one two ."] * 30)) == 30
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == "further lines that are too long are not reported"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--resume",), ("--resume", "translate with the run")),
        (("--alignments", "x"), ("--alignments", "translate with the run")),
        (("--shortlist",), ("--shortlist", "fixed when the model was exported")),
        (("--precision", "int8"), ("--precision", "--precision: fixed to float32; leave it out")),
        (("--device", "cuda"), ("--device", "must be cpu for an exported model")),
        (("--ensemble", "runs/tiny"), ("--ensemble", "translate with the run")),
        (("--set", "max_length=3"), ("--set", "fixed when the model was exported")),
        (
            ("--search", "sampling"),
            ("--search sampling: not supported here; use beam or greedy",),
        ),
        (
            ("--search", "greedy", "--beam-size", "3"),
            ("--beam-size 3: not used by greedy; leave it out",),
        ),
        (("--beam-size", "0"), ("--beam-size: must be a whole number from 1 to 10,000, not '0'",)),
        (("--beam-size", "3", "--n-best", "4"), ("n_best: must be 1 to 3 for this model, not 4",)),
        (("--beam-size", "1000"), ("beam_size: must be 1 to ", "not 1000")),
    ],
)
def test_unsupported_arguments_of_an_exported_model_are_refused(
    nmt: Command, exported: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    nmt("translate", exported, *arguments, stdin=b"one\n").assert_refused(*parts)


def test_no_pytorch_is_loaded(exported: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from nmt.cli.main import main; "
        f"sys.exit(main(['translate', {str(exported)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", program], input=INPUT, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert len(ended.stdout.splitlines()) == len(LINES)


def test_single_process(
    nmt: Command, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nmt("translate", exported, "-o", exported, stdin=INPUT).assert_refused("is also an input")
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "x",
        "MASTER_PORT": "1",
        "TORCHELASTIC_RUN_ID": "x",
        "LOCAL_RANK": "0",
    }.items():
        monkeypatch.setenv(name, value)
    nmt("translate", exported, stdin=INPUT).assert_refused(
        "torchrun: not supported by an exported model; start nmt without it"
    )


def test_without_onnx_runtime(
    nmt: Command, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    nmt("translate", exported, stdin=INPUT).assert_refused("pip install onnxruntime")


def test_nan_scores_are_refused() -> None:
    scores = np.array([[-1.0, -np.inf], [np.nan, np.nan]], np.float32)
    ones, tokens = np.ones((2, 2), np.int64), np.full((2, 2, 3), 7)
    (first,) = read_hypotheses([scores[:1], scores[:1], ones[:1], tokens[:1]])
    assert first == [Hypothesis((7,), -1.0, -1.0)]
    with pytest.raises(RunError, match="exported model: computes NaN; export another"):
        read_hypotheses([scores, scores, ones, tokens])


@pytest.mark.slow
def test_int8_with_a_shortlist(nmt: Command, in_copy: Path) -> None:
    assert nmt("lexicon", "runs/tiny").code == 0
    command = [sys.executable, "-m", "nmt", "export", "runs/tiny", "-o", "listed.onnx"]
    options = ["--precision", "int8", "--shortlist", "--checkpoint", "last", "--search", "greedy"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    listed = ("--shortlist", "--precision", "int8", "--checkpoint", "last", "--search", "greedy")
    ours = nmt("translate", "runs/tiny", *listed, "test.en").lines
    assert nmt("translate", "listed.onnx", "test.en").lines == ours
    too_wide = subprocess.run(
        [*command, "--shortlist", "--set", "shortlist.frequent=2", "--beam-size", "4"],
        capture_output=True,
        text=True,
    )
    assert too_wide.returncode == 2 and "must be at most 2 for a vocabulary" in too_wide.stderr


def test_every_option_of_decoding_is_known() -> None:
    assert set(_EXPORTED) <= DecodingConfig.model_fields.keys()


def test_too_large_model_is_not_written(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(exported)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    metadata = ExportMetadata.from_json(texts[METADATA_KEY], exported)
    monkeypatch.setattr("nmt.export.exporter.MAX_BYTES", 1000)
    with pytest.raises(RunError, match=r"^export: 0\.\d GB, above 2 GB; use a smaller model$"):
        _write(model, metadata, tmp_path / "out.onnx")
    assert os.listdir(tmp_path) == []


def test_invalid_files_are_refused(nmt: Command, exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_text("no model")
    nmt("translate", other, stdin=b"one\n").assert_refused(
        f"{other}: neither a run nor a valid exported model", "export it again"
    )
    model = onnx.load(exported)
    onnx.helper.set_model_props(model, {})
    onnx.save(model, other)
    nmt("translate", other, stdin=b"one\n").assert_refused(
        "not written by `nmt export`; give a run, or a file that it wrote"
    )
    model = onnx.load(exported)
    told = json.loads(model.metadata_props[0].value)
    broken = told | {"source": told["source"] | {"model_sha256": "0"}}
    unknown = told | {"source": told["source"] | {"name": "magic"}}
    for changed, reason in (
        (told | {"format": 9}, "format 9"),
        ({"format": 1}, "'target'"),
        (3, "not an object"),
        (broken, "tokenizer is corrupted"),
    ):
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(changed)})
        onnx.save(model, other)
        nmt("translate", other, stdin=b"one\n").assert_refused("export it again", reason)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(unknown)})
    onnx.save(model, other)
    nmt("translate", other, stdin=b"one\n").assert_refused("tokenizer 'magic' is not supported")


def test_a_file_never_imports_a_plugin_by_itself(
    nmt: Command, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("open('mark', 'w').close()\nclass Mine: ...\n")
    model = onnx.load(exported)
    fields = json.loads(model.metadata_props[0].value)
    fields["source"]["plugin"] = "mine.py:Mine"
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(fields)})
    onnx.save(model, "mine.onnx")
    translate = ("translate", "mine.onnx")
    nmt(*translate, stdin=b"one\n").assert_refused("mine.onnx: 'mine.py:Mine'", "add --plugin mine")
    assert not (tmp_path / "mark").exists()
    nmt(*translate, "--plugin", "mine.py", stdin=b"one\n").assert_refused(
        "mine.onnx: 'mine.py:Mine' is not a complete Tokenizer; extend nmt.text.tokenizer.Tokenizer"
    )
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"max_source_length": -3},
        {"max_source_length": "9"},
        {"beam_size": 0},
        {"beam_size": True},
        {"beam_size": 10**9, "max_beam_size": 10**9},
        {"batch_tokens": 1e300},
        {"precision": ["float32"]},
        {"source": []},
        {"target": 3},
        {"more": 1},
    ],
)
def test_a_description_of_other_types_is_refused(
    changes: dict[str, object], nmt: Command, exported: Path, tmp_path: Path
) -> None:
    model = onnx.load(exported)
    told = json.loads(model.metadata_props[0].value)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(told | changes)})
    other = tmp_path / "other.onnx"
    onnx.save(model, other)
    nmt("translate", other, stdin=b"one\n").assert_refused(
        f"{other}: its metadata cannot be read", "export it again"
    )


def test_another_graph_is_refused(nmt: Command, exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    numbers = [onnx.helper.make_tensor_value_info(name, 1, ["N"]) for name in ("source", "scores")]
    node = onnx.helper.make_node("Identity", ["source"], ["scores"])
    graph = onnx.helper.make_graph([node], "other", numbers[:1], numbers[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = onnx.load(exported, load_external_data=False).ir_version
    onnx.save(model, other)
    nmt("translate", other, stdin=b"one\n").assert_refused(
        f"{other}: not an exported model of this version, as its inputs or outputs"
    )


def test_an_exported_file_is_regular_and_not_too_large(nmt: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    with other.open("wb") as file:
        file.truncate(20 * 10**9)
    nmt("translate", other, stdin=b"one\n").assert_refused(f"{other}: cannot be read: larger than")
    other.unlink()
    os.mkfifo(other)
    nmt("translate", other, stdin=b"one\n").assert_refused(f"{other}: is not a folder")
    with pytest.raises(RunError, match="cannot be read: not a regular file"):
        ExportedTranslator.open(other)


def test_a_file_that_was_damaged_on_its_way(nmt: Command, exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    content = bytearray(exported.read_bytes())
    constants = (bytes(tensor.raw_data) for tensor in onnx.load(exported).graph.initializer)
    weights = max(constants, key=len)
    content[content.find(weights) + len(weights) // 2] ^= 1
    other.write_bytes(content)
    nmt("translate", other, stdin=b"one\n").assert_refused(
        "other.onnx: corrupted: SHA-256 mismatch", "export it again"
    )


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--set", "no_repeat_ngram_size=2"), ("no_repeat_ngram_size", "leave it out")),
        (("--set", "coverage_penalty=gnmt"), ("coverage_penalty", "leave it out")),
        (
            ("--search", "sampling"),
            ("decoding.search: 'sampling' cannot be exported; use beam or greedy",),
        ),
        (
            ("--set", "search={name: beam, stopping: first}"),
            ("decoding.search.stopping: cannot be exported; set it to exact",),
        ),
        (("--shortlist",), ("has no lexicon, which a shortlist needs",)),
        (("--checkpoint", "step-1"), ("step-1",)),
    ],
)
def test_unsupported_options_are_not_exported(
    nmt: Command, in_trained: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    path = in_trained.parent / "none.onnx"
    nmt("export", "runs/tiny", "-o", path, *arguments).assert_refused(*parts)
    assert not path.exists()


def test_export_names_a_missing_folder_run_or_package(
    nmt: Command, in_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nmt("export", "runs/tiny", "-o", "none/x.onnx").assert_refused("its folder does not exist")
    nmt("export", "runs/none", "-o", "x.onnx").assert_refused("runs/none")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    nmt("export", "runs/tiny", "-o", "x.onnx").assert_refused("pip install onnx onnxscript")
