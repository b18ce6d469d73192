"""A class in one file outside the package: checked, trained and used, by each kind of part."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from nmt.config.file import load_config
from nmt.config.registry import LENGTH_PENALTIES, SCORES, PlugIn
from nmt.core.errors import ConfigError
from nmt.inference.translator import Translator
from nmt.search.length_penalty import GNMTPenalty
from nmt.training.train import train
from tests.integration.conftest import Command, write_corpus
from tests.integration.outside.length_penalty import PowerPenalty
from tests.integration.outside.score import Distance

OUTSIDE = Path(__file__).parent / "outside"

# Each file of `outside`, and the options with which a configuration uses its class.
PARTS = {
    "score": ["model.attention.score={name: score.py:Distance, power: 1.5}"],
    "alignment": ["model.attention.alignment={name: alignment.py:Softplus, sharpness: 2}"],
    "cell": [
        "model.encoder.cell={name: cell.py:Elman, gain: 0.5}",
        "model.decoder.cell=cell.py:Elman",
    ],
    "encoder": ["model.encoder={name: encoder.py:ConvolutionalEncoder, reach: 2}"],
    "decoder": ["model.decoder.style={name: decoder.py:GatedContext, bias: false}"],
    "tokenizer": ["tokenizer.name=tokenizer.py:PairTrainer", "tokenizer.vocabulary_size=50"],
    "search": ["decoding.search={name: search.py:Runner, rank: 3}"],
    "length_penalty": ["decoding.length_penalty={name: length_penalty.py:PowerPenalty, power: 1}"],
    "metric": [
        "training.validation.metrics=[{name: metric.py:LengthMatch, tolerance: 1}]",
        "training.validation.best=LengthMatch",
        "training.early_stopping=null",
    ],
    "loss_term": ["training.losses=[{name: loss_term.py:PeakedAttention, weight: 0.5}]"],
    "optimizer": ["training.optimizer={name: optimizer.py:Lion, learning_rate: 1e-3}"],
    "schedule": ["training.schedule={name: schedule.py:Halving, every: 1}"],
    "corpus": [
        "data.train={name: corpus.py:Csv, file: train.csv, source_column: en, target_column: de}",
        "data.valid={name: corpus.py:Csv, file: valid.csv, source_column: en, target_column: de}",
    ],
}


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory has a corpus and tiny.yaml; measurements of speed take no time."""
    monkeypatch.setattr("nmt.cli.check._LONGEST_MEASUREMENT", 0.0)
    write_corpus(tmp_path)
    for split in ("train", "valid"):
        sides = [(tmp_path / f"{split}.{side}").read_text().splitlines() for side in ("en", "de")]
        rows = [("en", "de"), *zip(*sides, strict=True)]
        (tmp_path / f"{split}.csv").write_text("".join(f"{en},{de}\n" for en, de in rows))
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.mark.parametrize("part", PARTS)
def test_a_class_in_one_file_is_checked_trained_and_used(
    part: str, nmt: Command, corpus: Path
) -> None:
    file = f"{part}.py"
    shutil.copy(OUTSIDE / file, corpus)
    options = [*PARTS[part], "training.max_updates=2", "--plugin", file]
    outcome = nmt("check", "tiny.yaml", *options)
    assert outcome.code == 0, outcome.err
    outcome = nmt("train", "tiny.yaml", *options)
    assert outcome.code == 0, outcome.err
    name = next(option for option in options if f"{file}:" in option)
    reference = name[name.index(file) :].split(",")[0].rstrip("}")
    assert reference in (corpus / "runs/tiny/config.yaml").read_text()
    outcome = nmt("translate", "runs/tiny", "--plugin", file, stdin=b"one two .\n\nsix .\n")
    assert outcome.code == 0, outcome.err
    assert len(outcome.lines) == 3
    files = ["--source", "test.en", "--reference", "test.de"]
    outcome = nmt("evaluate", "runs/tiny", *files, "--plugin", file)
    assert outcome.code == 0, outcome.err
    assert ("LengthMatch" in outcome.out) == (part == "metric")
    assert not (corpus / "__pycache__").exists()
    (copy,) = (corpus / "runs/tiny/plugin_copies").iterdir()
    assert copy.read_bytes() == (OUTSIDE / file).read_bytes()


def assert_resumes_bit_for_bit(
    nmt: Command, corpus: Path, options: list[str], *, total: int = 4
) -> None:
    """Train `total` updates at once, and 2 and the rest; the weights must be equal."""
    for run, updates in (("runs/once", total), ("runs/twice", 2), ("runs/twice", total)):
        resume = ["--resume"] if (corpus / run).exists() else []
        last = f"training.max_updates={updates}"
        outcome = nmt("train", "tiny.yaml", f"run={run}", last, *options, *resume)
        assert outcome.code == 0, outcome.err
    once, twice = (
        (corpus / run / "checkpoints/last/model.safetensors").read_bytes()
        for run in ("runs/once", "runs/twice")
    )
    assert once == twice


def test_a_resumed_run_continues_bit_for_bit(nmt: Command, corpus: Path) -> None:
    options = ["training.checkpoints.every=2"]
    for part in ("schedule", "score", "loss_term", "optimizer"):
        shutil.copy(OUTSIDE / f"{part}.py", corpus)
        options += [*PARTS[part], "--plugin", f"{part}.py"]
    assert_resumes_bit_for_bit(nmt, corpus, options)


SIGNED = """
import math

from nmt.training.optim.schedule import Schedule


class Signed(Schedule):
    lowest = math.inf
    sign = -1.0

    def after_warmup(self, update):
        self.sign = -self.sign
        return 1.0 + 0.5 * self.sign

    def state(self):
        return {"lowest": self.lowest, "sign": self.sign}

    def restore(self, state, update):
        self.lowest, self.sign = state["lowest"], state["sign"]
"""


def test_the_state_of_a_schedule_may_be_negative_or_infinite(nmt: Command, corpus: Path) -> None:
    (corpus / "signed.py").write_text(SIGNED)
    options = ["training.schedule=signed.py:Signed", "training.checkpoints.every=1"]
    options += ["--plugin", "signed.py"]
    assert_resumes_bit_for_bit(nmt, corpus, options, total=5)


def test_an_optimizer_of_torch_resumes_bit_for_bit(nmt: Command, corpus: Path) -> None:
    optimizer = "{name: torch.optim:NAdam, learning_rate: 1e-3, betas: [0.8, 0.9]}"
    options = [f"training.optimizer={optimizer}", "--plugin", "torch.optim"]
    assert_resumes_bit_for_bit(nmt, corpus, options)
    options[0] = "training.optimizer=torch.optim:LBFGS"
    nmt("train", "tiny.yaml", "run=runs/other", *options).assert_refused(
        "training.optimizer: LBFGS computes the loss several times in a step; choose another"
    )


def test_workers_import_the_files_of_the_command(
    nmt: Command, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.encode_blocks._FEW_BLOCKS", 1)
    parts = ("tokenizer", "score", "corpus")
    for part in parts:
        shutil.copy(OUTSIDE / f"{part}.py", corpus)
    options = [option for part in parts for option in PARTS[part]]
    allowed = [word for part in parts for word in ("--plugin", f"{part}.py")]
    processes = "data.encoding_processes=2"
    outcome = nmt("train", "tiny.yaml", *options, *allowed, processes, "training.max_updates=2")
    assert outcome.code == 0, outcome.err
    lines = (corpus / "test.en").read_bytes()
    one = nmt("translate", "runs/tiny", *allowed, stdin=lines)
    two = nmt("translate", "runs/tiny", *allowed, "--workers", 2, stdin=lines)
    assert two.code == 0, two.err
    assert one.out == two.out
    assert len(one.lines) == 20


def test_a_module_is_named_with_dots(
    nmt: Command, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = corpus / "library" / "my_parts_of_test"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(OUTSIDE / "score.py", package / "scores.py")
    monkeypatch.syspath_prepend(corpus / "library")
    option = "model.attention.score=my_parts_of_test.scores:Distance"
    last = "training.max_updates=1"
    outcome = nmt("train", "tiny.yaml", option, last, "--plugin", "my_parts_of_test")
    assert outcome.code == 0, outcome.err
    for given in ("my_parts_of_test", "my_parts_of_test.scores"):
        outcome = nmt("translate", "runs/tiny", "--plugin", given, stdin=b"one .\n")
        assert outcome.code == 0, outcome.err
    refused = nmt("translate", "runs/tiny", "--plugin", "my_parts", stdin=b"one .\n")
    refused.assert_refused("add --plugin my_parts_of_test.scores")


def test_a_run_opens_from_another_folder(nmt: Command, corpus: Path) -> None:
    (corpus / "there").mkdir()
    shutil.copy(OUTSIDE / "score.py", corpus / "there")
    option = "model.attention.score=there/score.py:Distance"
    given = ["--plugin", "there/score.py"]
    outcome = nmt("train", "tiny.yaml", option, "training.max_updates=1", *given)
    assert outcome.code == 0, outcome.err
    (corpus / "elsewhere").mkdir()
    shutil.move(corpus / "there/score.py", corpus / "elsewhere")
    with contextlib.chdir(corpus / "elsewhere"):
        run = corpus / "runs/tiny"
        outcome = nmt("translate", run, "--plugin", "score.py", stdin=b"one .\n")
    assert outcome.code == 0, outcome.err


def export(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the export in a process of its own, as the checks of shapes cannot be traced."""
    command = [sys.executable, "-m", "nmt", "export", "runs/tiny", "-o", "tiny.onnx", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_export_translates_with_a_score_from_outside(nmt: Command, corpus: Path) -> None:
    shutil.copy(OUTSIDE / "score.py", corpus)
    given = [*PARTS["score"], "training.max_updates=2", "--plugin", "score.py"]
    assert nmt("train", "tiny.yaml", *given).code == 0
    ended = export(corpus, "--plugin", "score.py")
    assert ended.returncode == 0, ended.stderr
    lines = (corpus / "test.en").read_bytes()
    exported = nmt("translate", "tiny.onnx", stdin=lines)
    assert exported.out == nmt("translate", "runs/tiny", "--plugin", "score.py", stdin=lines).out


def test_export_names_the_plug_in_that_it_cannot_trace(nmt: Command, corpus: Path) -> None:
    text = (OUTSIDE / "score.py").read_text()
    branch = "        if bool(query.sum() > 0.0):\n            query = -query\n"
    method = text.index("    def forward(")
    body = text.index('"""\n', text.index('"""', method) + 3) + 4
    (corpus / "score.py").write_text(text[:body] + branch + text[body:])
    given = [*PARTS["score"], "training.max_updates=2", "--plugin", "score.py"]
    assert nmt("train", "tiny.yaml", *given).code == 0
    ended = export(corpus, "--plugin", "score.py")
    assert ended.returncode == 2
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("nmt: error: runs/tiny: PyTorch ")
    assert "make the plug-in traceable for torch.export: score.py" in line


def test_a_class_may_stand_for_a_name_in_python(corpus: Path) -> None:
    options = {
        "model": {"attention": {"score": partial(Distance, power=1.5)}},
        "training": {"max_updates": 1},
    }
    config = load_config("tiny.yaml", options=options)
    assert config.model.attention is not None
    assert config.model.attention.score.options == {"power": 1.5}
    reference = "tests.integration.outside.score:Distance"
    assert config.model.attention.score.name == reference
    train(config)
    translator = Translator.from_run("runs/tiny", plugins=[Distance], device="cpu")
    assert len(translator.translate(["one ."])) == 1
    plain = load_config("tiny.yaml", ["model.attention.score=dot", "model.decoder.hidden_size=32"])
    changed = load_config("tiny.yaml", options={"model": {"attention": {"score": Distance}}})
    assert plain.model.attention is not None and changed.model.attention is not None
    assert changed.model.attention.score.options == {"power": 2.0}


def test_an_object_may_stand_where_nothing_is_given(in_trained: Path) -> None:
    translator = Translator.from_run(
        "runs/tiny", device="cpu", decoding={"length_penalty": PowerPenalty(power=1.0)}
    )
    length = translator.runner.search.scoring.length
    assert isinstance(length, PowerPenalty)
    assert length.power == 1.0
    with pytest.raises(ConfigError, match="a Distance object is not supported; give a"):
        load_config("tiny.yaml", options={"model": {"attention": {"score": Distance(2, 3)}}})


def test_a_class_of_the_package_gets_its_name_in_the_table() -> None:
    assert LENGTH_PENALTIES._check(PlugIn.model_validate(GNMTPenalty(alpha=0.5))) == PlugIn(
        name="gnmt", alpha=0.5
    )


def test_an_outside_score_keeps_the_fast_path_only_if_it_changes_no_scores() -> None:
    source = """
from nmt.nn.attention.scores.additive import AdditiveScore

class Twice(AdditiveScore):
    def keys(self, inputs):
        return 2 * super().keys(inputs)

class Halved(AdditiveScore):
    def forward(self, query, keys, state=None):
        return 0.5 * super().forward(query, keys, state)
"""
    names: dict[str, type[torch.nn.Module]] = {}
    exec(source, names)
    assert names["Twice"].fast_path is not None
    assert names["Halved"].fast_path is None
    assert SCORES.base in names["Twice"].__mro__
