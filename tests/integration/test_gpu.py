"""What a GPU must compute as a CPU does; without a GPU, the same tests run on the CPU.

The reference is a CPU, in float64 where it can be.
"""

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.core.batch import make_batch
from nmt.distributed.process_group import ProcessGroup, init_process_group
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.inference.translator import Translator
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.model import Model
from nmt.nn.recurrent.table import CELLS
from nmt.search.hypothesis import NBest
from nmt.search.table import SEARCHES
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.training.objective.objective import Objective
from nmt.training.optim.optimizer import all_reduce_gradients, apply_gradients
from nmt.training.optim.rules import SGD
from tests.integration.conftest import Command, write_corpus
from tests.integration.test_ranks import TORCHRUN

ROOT = Path(__file__).parents[2]
SIZE = 12
SOURCES = [[4, 5, 6, 7], [8, 9], [10, 4, 11]]
TARGETS = [[5, 6], [7, 8, 9, 4], [10]]
LINES = ["one two three .", "nine nine .", "five four ."]
RIGHT = ["drei zwei eins .", "neun neun .", "vier fünf ."]
KINDS: list[dict[str, Any]] = [
    *({"attention": {"score": name}} for name in SCORES),
    *({"attention": {"alignment": name}} for name in ALIGNMENTS),
    {"attention": {"num_heads": 2}},
    *(
        {"decoder": {"style": name}, "attention": {} if decoder.uses_attention else None}
        for name, decoder in DECODERS.items()
    ),
    *({"decoder": {"cell": name}, "encoder": {"cell": name}} for name in CELLS),
]


def make_model(options: dict[str, Any], scale: float = 1.0) -> Model:
    """A model of 8 units on both sides; `scale` is a factor on the projection's weights."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 8, **options.get("decoder", {})}
    encoder = {"hidden_size": 4, **options.get("encoder", {})}
    tree = {"embedding": {"size": 8}, **options, "encoder": encoder, "decoder": sizes}
    model = build_model(tree, SIZE, SIZE)
    with torch.no_grad():
        model.projection.weight.mul_(scale)
    return model.eval()


@pytest.fixture
def exact(place: torch.device) -> Iterator[torch.device]:
    """The device, with convolutions in full float32, as other products have it."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield place


def outputs_and_gradients(model: Model, place: torch.device) -> list[Tensor]:
    """Logits, weights, and the gradients of a function of both; on the CPU, in float64."""
    batch = make_batch(SOURCES, TARGETS).to(place)
    output = model(batch)
    real = batch.label_mask.unsqueeze(-1)
    loss = (output.logits.log_softmax(-1)[..., 5:6] * real).sum()
    loss = loss + (output.weights.square() * real).sum()
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    found = [output.logits * real, output.weights * real, *(g for g in gradients if g is not None)]
    return [tensor.detach().cpu().double() for tensor in found]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_models_compute_the_same(options: dict[str, Any], exact: torch.device) -> None:
    model = make_model(options)
    reference = copy.deepcopy(model).double()
    torch.testing.assert_close(
        outputs_and_gradients(model.to(exact), exact),
        outputs_and_gradients(reference, torch.device("cpu")),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("style", ["bahdanau", "luong"])
def test_searches_find_the_same(name: str, style: str, exact: torch.device) -> None:
    several = {} if name == "greedy" else {"n_best": 3}
    options = DecodingConfig.model_validate({"search": name, "max_length": 12, **several})
    words = WordTrainer(Normalizer()).train(lambda: iter([" ".join("abcdefgh")]))
    search = build_search(options, words)

    def find(model: Model, place: torch.device) -> NBest:
        return BatchRunner(model, search, place, torch.float32, 100).run_search(SOURCES)

    model = make_model({"decoder": {"style": style}}, scale=4.0)
    reference = find(copy.deepcopy(model).double(), torch.device("cpu"))
    for ours, theirs in zip(find(model.to(exact), exact), reference, strict=True):
        assert [each.tokens for each in ours] == [each.tokens for each in theirs]
        scores = [each.score for each in theirs]
        assert [each.score for each in ours] == pytest.approx(scores, rel=1e-3)


def test_a_run_translates_scores_and_aligns(trained: Path, exact: torch.device) -> None:
    run, pairs = trained / "runs/tiny", list(zip(LINES, RIGHT, strict=True))
    translator = Translator.from_run(run, device=exact, precision="float32")
    assert translator.runner.device.type == exact.type
    assert [found.text for found in translator.translate(LINES)] == RIGHT
    reference = Translator.from_run(run, device="cpu", precision="float32")
    reference.runner.model.double()
    scores = [each.log_probability for each in reference.score(pairs)]
    assert [each.log_probability for each in translator.score(pairs)] == pytest.approx(
        scores, rel=1e-3, abs=1e-5
    )
    for ours, theirs in zip(translator.align(pairs), reference.align(pairs), strict=True):
        assert ours.links == theirs.links
        assert ours.weights == pytest.approx(theirs.weights, abs=1e-4)


def test_the_command_translates(trained: Path, nmt: Command, place: torch.device) -> None:
    given = "\n".join(LINES).encode()
    outcome = nmt("translate", trained / "runs/tiny", "--device", place.type, stdin=given)
    assert (outcome.code, outcome.lines) == (0, RIGHT)


def test_a_resumed_training_is_the_unbroken_one(
    tmp_path: Path, nmt: Command, monkeypatch: pytest.MonkeyPatch, place: torch.device
) -> None:
    """With random numbers of the device; to the last bit on a CPU."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    options = [f"device={place.type}", "training.early_stopping=null", "training.log_every=1"]
    options += ["model.embedding.dropout=0.2", "training.ema_decay=0.9"]

    def train(name: str, num_updates: int, *more: str) -> None:
        given = [*options, f"training.max_updates={num_updates}", f"run={name}"]
        outcome = nmt("train", "tiny.yaml", *given, *more)
        assert outcome.code == 0, outcome.err

    train("unbroken", 8)
    train("resumed", 4)
    before = load_file("resumed/checkpoints/last/model.safetensors")
    train("resumed", 8, "--resume")
    weights = [load_file(f"{name}/checkpoints/last/model.safetensors") for name in NAMES]
    assert any(not torch.equal(before[name], weights[1][name]) for name in before)
    tolerance = {"rtol": 0.0, "atol": 0.0} if place.type == "cpu" else {"rtol": 1e-3, "atol": 1e-5}
    torch.testing.assert_close(*weights, **tolerance)


NAMES = ("unbroken", "resumed")


def train_on_shard(group: ProcessGroup, place: torch.device) -> Tensor:
    """Make updates on this process's share of the pairs; return all weights."""
    model = make_model({}).to(place)
    optimizer, num_tokens = SGD(model, learning_rate=0.5, momentum=0.5), 10
    share = slice(group.rank, None, group.size)
    batch = make_batch(SOURCES[share], TARGETS[share]).to(place)
    for _ in range(3):
        losses = Objective()(model, batch)
        (losses.objective / num_tokens).backward()  # type: ignore[no-untyped-call]
        sums = torch.stack((losses.objective.detach(), losses.negative_log_likelihood))
        if group.size > 1:
            all_reduce_gradients(group, model, sums)
        apply_gradients(optimizer, sums[0], 1.0)
    return parameters_to_vector(model.parameters()).detach().cpu()


def test_two_processes_on_one_device_train_as_one(tmp_path: Path, place: torch.device) -> None:
    """Over gloo, because NCCL refuses two processes on one GPU."""
    command = [*TORCHRUN, "2", "-m", "tests.integration.test_gpu", place.type, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=280, env=environment, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    alone = train_on_shard(ProcessGroup(), place)
    for rank in range(2):
        found = torch.load(tmp_path / str(rank), weights_only=True)
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    device, folder = sys.argv[1:]
    with init_process_group() as together:
        assert together.size == 2
        torch.save(
            train_on_shard(together, torch.device(device)), Path(folder) / str(together.rank)
        )
