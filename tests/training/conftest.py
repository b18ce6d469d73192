"""A training of a tiny model on batches that are made by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.batch import Batch, Portion
from nmt.build_model import build_model
from nmt.config import DecoderConfig, EmbeddingConfig, EncoderConfig, ModelConfig, TrainingConfig
from nmt.data.loader import make_batch
from nmt.metrics import Score
from nmt.process_group import Alone, ProcessGroup
from nmt.run import RunDirectory
from nmt.training.early_stopping import Progress
from nmt.training.ema import ExponentialAverage
from nmt.training.engine import Engine
from nmt.training.objective import Objective
from nmt.training.optimization import SGD
from nmt.training.reporting import Reporter, SilentReporter
from nmt.training.schedule import Constant
from nmt.training.signals import Interruption
from nmt.training.snapshots import Snapshots
from nmt.training.tally import Tally
from nmt.training.validation import Sample, Validation, Validator

V = 12
CPU = torch.device("cpu")


class ListLoader:
    """Gives the same batches in every epoch."""

    def __init__(self, batches: list[Batch], accumulate: int = 1) -> None:
        self.batches = batches
        self.accumulate = accumulate
        self.is_at_work = False

    def updates(self, number: int, start: int = 0) -> Iterator[Portion]:
        self.is_at_work = True
        for first in range(start, len(self.batches), self.accumulate):
            group = self.batches[first : first + self.accumulate]
            tokens = sum(batch.num_target_tokens for batch in group)
            is_last = first + len(group) == len(self.batches)
            yield Portion(group, len(group), tokens, is_last)

    def close(self) -> None:
        self.is_at_work = False


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


def tiny_model(dropout: float = 0.0) -> Any:
    torch.manual_seed(1)
    config = ModelConfig(
        embedding=EmbeddingConfig(size=4, dropout=dropout),
        encoder=EncoderConfig(hidden_size=4, dropout=0.0),
        decoder=DecoderConfig(hidden_size=4, dropout=0.0, output_dropout=0.0),
    )
    return build_model(config, V, V)


def batches(count: int) -> list[Batch]:
    """Batches of two pairs, of different lengths."""
    return [
        make_batch([[4, 5 + n % 3], [6, 7, 8]], [[4] * (1 + n % 4), [9, 10, 11, 4][: 1 + n % 3]])
        for n in range(count)
    ]


MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    def make(
        num_batches: int = 4,
        validator: ScriptedValidator | None = None,
        learning_rate: float = 0.1,
        metrics_end: int = 0,
        group: ProcessGroup | None = None,
        **options: Any,
    ) -> Engine:
        group = group or Alone()
        config = TrainingConfig.model_validate({"max_epochs": None, **options})
        run = RunDirectory(tmp_path)
        model = tiny_model()
        if validator is not None:
            validator.model = model
        early = config.early_stopping
        return Engine(
            config=config,
            group=group,
            seed=1,
            run=run,
            device=CPU,
            precision=torch.float32,
            model=model,
            loader=ListLoader(batches(num_batches), config.accumulate),
            optimizer=SGD(model, learning_rate=learning_rate, momentum=0.5),
            base_learning_rate=learning_rate,
            schedule=Constant(None),
            objective=Objective(config.label_smoothing, r_drop=config.r_drop),
            ema=None if config.ema_decay is None else ExponentialAverage(model, config.ema_decay),
            validator=validator,
            best=Progress("bleu", higher_is_better=True, perfect=100.0),
            stopping=(
                None
                if early is None or validator is None
                else Progress(early.metric, higher_is_better=early.metric != "loss")
            ),
            tally=Tally(CPU),
            snapshots=Snapshots(
                run, max(config.checkpoints.keep_last, config.checkpoints.average_last)
            ),
            reporter=(Reporter if group.is_first else SilentReporter)(
                metrics=run.metrics,
                metrics_end=metrics_end,
                curves=run.plots / "curves.png",
                tensorboard=None,
                total_updates=config.max_updates,
                first_update=0,
            ),
            data={"tokenizers": ["source", "target"], "corpora": ["text"]},
        )

    return make
