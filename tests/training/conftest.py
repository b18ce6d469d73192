"""A training of a tiny model on batches that are made by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt.build.model import build_model
from nmt.build.tokenizers import Tokenizers
from nmt.config.experiment import Config
from nmt.config.model import ModelConfig
from nmt.core.batch import Batch, LocalUpdate, make_batch
from nmt.distributed.process_group import ProcessGroup
from nmt.evaluation.metric import Score
from nmt.runs.checkpoint import Checkpoint
from nmt.runs.run import RunDirectory
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.training.new_state import build_state
from nmt.training.prepare_data import PreparedData
from nmt.training.saved_state import restore_state
from nmt.training.signals import Interruption
from nmt.training.state import Counters, TrainingState
from nmt.training.validation import Sample, Validation, Validator

V = 12
CPU = torch.device("cpu")


class ListLoader:
    """Gives the same batches in every epoch."""

    def __init__(self, batches: list[Batch], accumulate: int = 1) -> None:
        self.batches = batches
        self.accumulate = accumulate
        self.is_at_work = False
        self.corpora = [SimpleNamespace(key="text")]

    def num_batches(self, epoch: int) -> int:
        return len(self.batches)

    def updates(self, number: int, start: int = 0) -> Iterator[LocalUpdate]:
        self.is_at_work = True
        try:
            for first in range(start, len(self.batches), self.accumulate):
                group = self.batches[first : first + self.accumulate]
                tokens = sum(batch.num_target_tokens for batch in group)
                is_last = first + len(group) == len(self.batches)
                yield LocalUpdate(group, len(group), tokens, is_last)
        finally:
            self.is_at_work = False


def after_each_update(state: TrainingState, action: Callable[[], object]) -> None:
    """Do something when an update has changed the weights, and before it is counted."""
    add = state.running_metrics.add

    def add_and_act(*given: Any) -> None:
        add(*given)
        action()

    state.running_metrics.add = add_and_act  # type: ignore[method-assign]


class ScriptedValidator(Validator):
    """Says what it is told to, and remembers what weights it was shown."""

    def __init__(self, values: list[float], losses: list[float] | None = None) -> None:
        self.values = values
        self.losses = [100.0 - value for value in values] if losses is None else losses
        self.seen: list[torch.Tensor] = []
        self.model: torch.nn.Module | None = None

    def __call__(self, interruption: Interruption) -> Validation:
        interruption.check()
        value, loss = self.values[len(self.seen)], self.losses[len(self.seen)]
        assert self.model is not None
        self.seen.append(next(iter(self.model.parameters())).detach().clone())
        samples = [Sample("source", "reference", f"translation {value:g}")]
        return Validation(loss, [Score("bleu", value, "")], samples)


TINY = {
    "embedding": {"size": 4, "dropout": 0.0},
    "encoder": {"hidden_size": 4, "dropout": 0.0},
    "decoder": {"hidden_size": 4, "dropout": 0.0, "output_dropout": 0.0},
}


def tiny_model(dropout: float = 0.0) -> Any:
    torch.manual_seed(1)
    options = {**TINY, "embedding": {"size": 4, "dropout": dropout}}
    return build_model(ModelConfig.model_validate(options), V, V)


def batches(count: int) -> list[Batch]:
    """Batches of two pairs, of different lengths."""
    return [
        make_batch([[4, 5 + n % 3], [6, 7, 8]], [[4] * (1 + n % 4), [9, 10, 11, 4][: 1 + n % 3]])
        for n in range(count)
    ]


MakeState = Callable[..., TrainingState]


@pytest.fixture
def make_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeState:
    """Build trainings in one folder, as `nmt train` does, on batches made by hand."""
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter([" ".join("abcdefgh")]))
    assert len(tokenizer) == V
    valid = tmp_path / "valid.tsv"
    valid.write_text("a\tb\n")
    corpora = {"train": {"tsv": "train.tsv"}, "valid": {"tsv": str(valid)}}

    def make(
        num_batches: int = 4,
        validator: ScriptedValidator | None = None,
        learning_rate: float = 0.1,
        group: ProcessGroup | None = None,
        checkpoint: Checkpoint | None = None,
        **options: Any,
    ) -> TrainingState:
        optimizer = {"name": "sgd", "learning_rate": learning_rate, "momentum": 0.5}
        training = {"max_epochs": None, "optimizer": optimizer, **options}
        facts = {"run": str(tmp_path), "data": corpora, "model": TINY, "training": training}
        config, run = Config.model_validate(facts), RunDirectory(tmp_path)
        loader: Any = ListLoader(batches(num_batches), config.training.accumulate)
        data = PreparedData(CPU, torch.float32, Tokenizers(tokenizer, tokenizer), loader, None)
        with monkeypatch.context() as patch:
            patch.setattr("nmt.training.new_state.build_validator", lambda *_: validator)
            torch.manual_seed(1)
            if checkpoint is None:
                state = build_state(config, run, data, group)
            else:
                counters = Counters(**checkpoint.metadata["counters"])
                metadata = {**checkpoint.metadata, "counters": counters}
                state = restore_state(
                    config, run, data, Checkpoint(checkpoint.tensors, metadata), group
                )
        if validator is not None:
            validator.model = state.model
        return state

    return make
