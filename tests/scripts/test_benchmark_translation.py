import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import make_source
from nmt.core.special_tokens import BOS, EOS
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.storage import save_tokenizer
from nmt.text.tokenizer import Tokenizer

FILES = ["runs/one", "input", "reference"]


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("benchmark_translation")
    return module


@pytest.fixture(scope="module")
def table(script: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks.translation_table")


@pytest.fixture(scope="module")
def transformer(script: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks.ctranslate2_model")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=40)
    return trainer.train(lambda: iter(["ein Mann und eine Frau laufen über die alte Straße ."] * 9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pieces", "0"], "--pieces: must be 1 or more"),
        (["--ctranslate2"], "--ctranslate2: needs --pieces, as its weights are random"),
    ],
)
def test_wrong_options_are_refused(
    script: ModuleType, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main([*FILES, *options])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {message}\n")


def test_missing_ctranslate2_is_reported_in_one_line(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        script.main([*FILES, "--pieces", "15", "--ctranslate2"])
    message = "--ctranslate2: ctranslate2 is not installed; run `pip install ctranslate2`"
    assert ended.value.code == message


def test_an_exported_file_must_write_the_given_number_of_pieces(
    script: ModuleType, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(sources):
        return [[SimpleNamespace(tokens=(4,) * len(source))] for source in sources]

    class Exported:
        source_reader = tokenizer

        @classmethod
        def open(cls, path: str, num_threads: int) -> SimpleNamespace:
            return SimpleNamespace(source_reader=tokenizer, search=search)

    monkeypatch.setattr(script, "ExportedTranslator", Exported)
    lines = ["ein", "", "ein Mann"]
    short, long = (len(tokenizer.encode(line)) for line in (lines[0], lines[2]))
    script.require_pieces("nmt.onnx", lines[:2], short)
    with pytest.raises(SystemExit) as ended:
        script.require_pieces("nmt.onnx", lines, short)
    assert ended.value.code == (
        f"nmt.onnx: writes translations of {short}, {long} pieces, not {short}; export it with "
        f"--set min_length={short} --set max_length={short}"
    )


def list_ways(script: ModuleType, *options: str) -> list:
    arguments = script.make_parser().parse_args([*FILES, *options])
    return script.list_ways(arguments, Path("models"))


def test_commands_without_pieces(script: ModuleType) -> None:
    options = ["--exported", "a/x.onnx", "--shortlist", "--only", "5"]
    textbook, run, shortlist, exported = list_ways(script, *options)
    path = str(script.PROGRAMS / "textbook_search.py")
    assert textbook.command == [path, "--beam-size", "5", "runs/one"]
    translate = ["-m", "nmt", "translate", "--device", "cpu", "--beam-size", "5"]
    assert run.command == [*translate, "--precision", "float32", "runs/one"]
    assert shortlist.command == [*translate, "--precision", "float32", "--shortlist", "runs/one"]
    assert exported.command == [*translate, "a/x.onnx"]
    assert {way.family for way in (textbook, run, shortlist, exported)} == {None}


def test_commands_with_pieces(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"small": Path("models/small")}
    monkeypatch.setattr(script, "save_transformers", lambda arguments, folder: models)
    monkeypatch.setattr(script, "tokenizers", lambda run: (Path("source"), Path("target")))
    options = ["--pieces", "7", "--ctranslate2", "--only", "1", "--ways", "int8", "--threads", "3"]
    textbook, run, *transformers = list_ways(script, *options)
    assert textbook.command[1:] == ["--beam-size", "1", "--pieces", "7", "runs/one"]
    limits = ["--set", "min_length=7", "--set", "max_length=7"]
    assert run.command[3:] == [
        *("--device", "cpu", "--search", "greedy"),
        *limits,
        *("--precision", "int8", "runs/one"),
    ]
    assert [way.command for way in transformers] == [
        [
            str(script.PROGRAMS / "ctranslate2_model.py"),
            *("--beam-size", "1", "--pieces", "7", "--batch-tokens", str(batch), "--threads", "3"),
            *("models/small", "source", "target"),
        ]
        for batch in script.BATCHES
    ]
    assert {way.family for way in transformers} == {"small"}
    first, *_ = list_ways(script, *options, "--no-textbook")
    assert first.name == "nmt, int8"


def test_pieces_are_also_timed_on_the_first_line(
    script: ModuleType, table: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "input").write_text("\neins\nzwei\n")
    (tmp_path / "reference").write_text("\none\ntwo\n")
    read: list[str] = []

    def time_command(way, path, output, threads):
        read.append(Path(path).read_text())
        output.write_text("\none\ntwo\n")
        return float(len(read))

    monkeypatch.setattr(script, "time_command", time_command)
    ways = [table.Way("a", 5, [])]
    files = ["run", str(tmp_path / "input"), str(tmp_path / "reference"), "--rounds", "2"]
    arguments = script.make_parser().parse_args([*files, "--pieces", "1"])
    (result,) = script.measure(ways, arguments, tmp_path)
    assert read == ["\neins\nzwei\n", "eins\n"] * 2
    assert (result.seconds, result.startup, result.bleu) == ([1.0, 3.0], [2.0, 4.0], 0.0)
    (result,) = script.measure(ways, script.make_parser().parse_args(files), tmp_path)
    assert (result.seconds, result.startup) == ([5.0, 6.0], [])


def test_only_the_fastest_way_of_a_family_is_shown(table: ModuleType) -> None:
    ways = [
        table.Way("a", 5, []),
        table.Way("a", 5, []),
        *(table.Way(f"b, {batch}", beam, [], "b") for beam in (5, 1) for batch in (1, 2, 3)),
    ]
    seconds = [[9.0], [9.0], [3.0, 1.0, 4.0], [2.0, 2.0, 8.0], [2.5], [5.0], [4.0], [3.0]]
    results = [table.Measured(times) for times in seconds]
    shown = [(way.name, way.beam_size) for way, _ in table.fastest(ways, results)]
    assert shown == [("a", 5), ("a", 5), ("b, 2", 5), ("b, 3", 1)]


def test_the_table_with_bleu(table: ModuleType) -> None:
    rows = [
        (table.Way("textbook", 5, []), table.Measured([4.0, 2.0, 3.0], bleu=39.64)),
        (table.Way("nmt", 5, []), table.Measured([1.5, 1.0, 1.5], bleu=39.758)),
        (table.Way("textbook", 1, []), table.Measured([1.0], bleu=1.0)),
    ]
    assert table.bleu_table(rows, 300, "the textbook") == [
        "| beam | what | seconds, median (all) | lines/s | against the textbook | BLEU |",
        "|---|---|---|---|---|---|",
        "| 5 | textbook | 3.00 (2.0, 3.0, 4.0) | 100 | 1.00 | 39.64 |",
        "| 5 | nmt | 1.50 (1.0, 1.5, 1.5) | 200 | 2.00 | 39.76 |",
        "| 1 | textbook | 1.00 (1.0) | 300 | 1.00 | 1.00 |",
    ]


def test_the_table_with_pieces_has_no_bleu(table: ModuleType) -> None:
    # Without start-up: 3, 2 and 4 seconds, so 3; and 0.5, 1 and 1 seconds, so 1.
    first = table.Measured([4.0, 5.0, 6.0], [1.0, 3.0, 2.0])
    second = table.Measured([1.0, 2.0, 1.5], [0.5, 1.0, 0.5])
    rows = [(table.Way("one", 5, []), first), (table.Way("two", 5, []), second)]
    head, _, *lines = table.pieces_table(rows, 301, "the first")
    assert head == (
        "| beam | what | seconds, median (all) | lines/s | against the first | start-up, s "
        "| lines/s without start-up | against the first |"
    )
    assert lines == [
        "| 5 | one | 5.00 (4.0, 5.0, 6.0) | 60 | 1.00 | 2.00 | 100 | 1.00 |",
        "| 5 | two | 1.50 (1.0, 1.5, 2.0) | 201 | 3.33 | 0.50 | 300 | 3.00 |",
    ]


@pytest.mark.usefixtures("unchecked")
def test_the_textbook_writes_the_given_number_of_pieces(script: ModuleType) -> None:
    textbook = importlib.import_module("benchmarks.textbook_search")
    torch.manual_seed(3)
    config = {
        "embedding": {"size": 6},
        "encoder": {"hidden_size": 4},
        "bridge": "mean",
        "decoder": {"style": "bahdanau", "hidden_size": 8},
    }
    model = build_model(ModelConfig.model_validate(config), 12, 12).eval()
    with torch.inference_mode():
        model.projection.bias[EOS] = 9.0  # without --pieces, translations are empty
        sources = [[4, 5, 6], [7]]
        assert textbook.search(model, sources, 3) == [[], []]
        found = textbook.search(model, sources, 3, 5)
        assert [len(tokens) for tokens in found] == [5, 5]
        assert min(map(min, found)) > EOS
        assert textbook.search(model, sources, 1, 5) == [
            by_hand(textbook, model, s) for s in sources
        ]


def by_hand(textbook: ModuleType, model, source: list[int]) -> list[int]:
    """Return 5 tokens, each the most probable text token after those before it."""
    encoded = model.encode(*make_source([source]))
    keys = model.decoder.attention.score.key_projection(encoded.states)
    hidden, tokens = model.bridge(encoded)[:, 0], [BOS]
    for _ in range(5):
        last = torch.tensor(tokens[-1:])
        memory = encoded.states, keys, encoded.mask
        values, hidden = textbook.textbook_step(model, last, hidden, *memory)
        tokens.append(int(values[0, EOS + 1 :].argmax()) + EOS + 1)
    return tokens[1:]


@pytest.fixture
def sizes(transformer: ModuleType):
    pytest.importorskip("ctranslate2")
    return transformer.TransformerSizes(feed_forward=32, width=16, num_layers=2, num_heads=2)


@pytest.mark.parametrize("is_shared", [True, False])
def test_parameters_of_the_transformer_by_hand(
    transformer: ModuleType, sizes, is_shared: bool, tmp_path: Path
) -> None:
    source = ["<pad>", "<unk>", "<s>", "</s>", "a", "b"]
    target = source if is_shared else [*source, "c"]
    embeddings = len(target) * 16 + len(target) + (0 if is_shared else len(source) * 16)
    attention = 4 * (16 * 16 + 16) + 2 * 16  # with layer normalization
    feed_forward = 2 * 16 * 32 + 32 + 16 + 2 * 16
    layers = 2 * (attention + feed_forward) + 2 * (2 * attention + feed_forward)
    count = transformer.save_model(tmp_path / "model", sizes, source, target)
    assert count == embeddings + layers + 2 * 2 * 16


def test_ctranslate2_writes_the_given_number_of_pieces(
    transformer: ModuleType,
    sizes,
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pieces = transformer.pieces_of(tokenizer)
    transformer.save_model(tmp_path / "model", sizes, pieces, pieces)
    save_tokenizer(tokenizer, tmp_path / "tokenizer")
    (tmp_path / "input").write_text("ein Mann\n\neine alte Straße\n")
    folders = [str(tmp_path / name) for name in ("model", "tokenizer", "tokenizer", "input")]
    written: list[int] = []
    decode = type(tokenizer).decode

    def count(self, ids):
        written.append(len(ids))
        assert min(ids) > EOS
        return decode(self, ids)

    monkeypatch.setattr(type(tokenizer), "decode", count)
    options = ["--beam-size", "3", "--pieces", "6", "--batch-tokens", "50", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["ctranslate2_model.py", *options, *folders])
    assert transformer.main() == 0
    assert written == [6, 6]
    assert [bool(line) for line in capsys.readouterr().out.splitlines()] == [True, False, True]


def test_another_number_of_pieces_is_an_error(transformer: ModuleType) -> None:
    result = SimpleNamespace(hypotheses=[["a"]])
    translator = SimpleNamespace(translate_batch=lambda sentences, **options: [result])
    options = SimpleNamespace(beam_size=1, batch_tokens=9, pieces=2)
    with pytest.raises(SystemExit, match="CTranslate2: a translation does not have 2 pieces"):
        transformer.translate(translator, [["a"]], options)
