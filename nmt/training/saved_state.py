"""The checkpoint `last`: saved during training, and loaded and validated for a resume."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, NotRequired

from annotated_types import Ge
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor
from typing_extensions import TypedDict

from nmt.build.model import build_empty, load_weights
from nmt.build.tokenizers import load_tokenizers
from nmt.config.experiment import Config
from nmt.core.errors import RunError
from nmt.distributed.process_group import ProcessGroup
from nmt.runs.checkpoint import Checkpoint, find_misfit, save_checkpoint
from nmt.runs.manifest import METADATA
from nmt.runs.run import LAST, Run, RunDirectory
from nmt.training.new_state import build_state
from nmt.training.optim.optimizer import optimizer_shapes, optimizer_tensors, restore_optimizer
from nmt.training.prepare_data import PreparedData
from nmt.training.resume_checks import require_same_data
from nmt.training.state import Counters, TrainingState

_Count = Annotated[int, Ge(0)]
_Value = Annotated[float, Field(ge=-math.inf, allow_inf_nan=True)]  # a loss may be infinite


class _MetricTracker(TypedDict):
    best: _Value | None
    best_loss: NotRequired[_Value | None]
    best_update: _Count
    without_best: _Count


class _Divergence(TypedDict):
    sums: Annotated[list[float], Field(min_length=2, max_length=2)]
    best: float | None
    feed_own: Annotated[float, Ge(0.0)]


class _Data(TypedDict):
    tokenizers: list[str]
    corpora: list[str]
    valid: NotRequired[list[str]]
    decoding: NotRequired[dict[str, Any]]


class _Metadata(TypedDict):
    """The metadata fields that are used; other fields are ignored."""

    __pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False)  # type: ignore[misc]

    counters: Counters
    schedule: dict[str, _Value]
    best: _MetricTracker
    stopping: _MetricTracker | None
    divergence: NotRequired[_Divergence]
    metrics_end: _Count
    data: _Data


def save_state(state: TrainingState) -> None:
    """Save the checkpoint `last`, with everything that an exact resume needs.

    All processes must call it together, because each may hold a share of the optimizer's state.
    Only the first process writes.
    """
    optimizer = optimizer_tensors(state.optimizer)
    if not state.group.is_first:
        return
    tensors: dict[str, dict[str, Tensor]] = {
        "model": state.model.state_dict(),
        "optimizer": optimizer,
        "tally": state.running_metrics.tensors(),
    }
    if state.ema is not None:
        tensors["ema"] = state.ema.tensors()
    metadata: dict[str, Any] = {
        "counters": asdict(state.counters),
        "schedule": state.schedule.state(),
        "best": state.best.state(),
        "stopping": None if state.stopping is None else state.stopping.state(),
        "divergence": {"sums": state.running_metrics.window(), **state.divergence.state()},
        "metrics_end": state.reporter.metrics.end,
        "data": state.data_identity,
    }
    save_checkpoint(state.run.checkpoint(LAST), tensors, metadata)


def load_state(config: Config, run: RunDirectory) -> Checkpoint:
    """Load the checkpoint that a resume starts from; its metadata contain `Counters`.

    Args:
        config: the configuration of the run.
        run: the folder of the run.

    Raises:
        RunError: the checkpoint is missing, corrupted, or does not belong to this run.
    """
    trained = Run.open(run.path)
    parts = ["model", "optimizer", "tally"]
    if config.training.ema_decay is not None:
        parts.append("ema")
    model = build_empty(trained, *load_tokenizers(trained).sizes)
    checkpoint = load_weights(trained, LAST, parts, model)
    for name, tensor in checkpoint.tensors["optimizer"].items():
        # Step counts and means of squares cannot be negative.
        is_count = name.endswith((".step", ".exp_avg_sq", ".square_avg", ".acc_delta"))
        if is_count and bool((tensor < 0).any()):
            raise _misfit(run.checkpoint(LAST), f"optimizer: tensor {name!r} is negative")
    path = run.checkpoint(LAST) / METADATA
    try:
        metadata = TypeAdapter(_Metadata).validate_json(json.dumps(checkpoint.metadata))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "unexpected_keyword_argument":
            raise RunError(
                f"{path}: {place} is from a later version of nmt; use that version"
            ) from None
        raise _misfit(path, f"{place}: {first['msg']}") from None
    is_own = ":" not in config.training.schedule.name
    if is_own and not all(0.0 <= value < math.inf for value in metadata["schedule"].values()):
        raise _misfit(path, "schedule: a value is negative or infinite")
    if config.training.early_stopping is not None and metadata["stopping"] is None:
        raise _misfit(path, "stopping: is missing")
    if len(metadata["data"]["corpora"]) != len(config.data.train):
        raise _misfit(path, "data.corpora: number differs from the run's configuration")
    return replace(checkpoint, metadata=dict(metadata))


def restore_state(
    config: Config,
    run: RunDirectory,
    data: PreparedData,
    checkpoint: Checkpoint,
    group: ProcessGroup | None = None,
) -> TrainingState:
    """Build the parts of a training, and restore the state that `save_state` saved.

    Args:
        config: the experiment.
        run: its folder.
        data: tokenizers and batches.
        checkpoint: from `load_state`.
        group: the processes that train together; None: only this one.

    Raises:
        RunError: a part of the checkpoint does not fit this training; the run is not changed.
        ConfigError: the schedule cannot be continued with these options.
    """
    tensors, metadata = checkpoint.tensors, checkpoint.metadata
    end = metadata["metrics_end"]
    state = build_state(config, run, data, group, counters=metadata["counters"], metrics_end=end)
    require_same_data(config, run, metadata["data"], state.data_identity)
    _require_same_tensors(run, "tally", tensors["tally"], state.running_metrics.tensors())
    needed = optimizer_shapes(state.optimizer, tensors["optimizer"])
    _require_same_tensors(run, "optimizer", tensors["optimizer"], needed)
    # Values that the earliest checkpoints lack keep their defaults.
    schedule = {**state.schedule.state(), **metadata["schedule"]}
    if more := schedule.keys() - state.schedule.state().keys():
        raise _misfit(run.checkpoint(LAST) / METADATA, f"schedule: {', '.join(more)}")
    state.model.load_state_dict(tensors["model"])
    restore_optimizer(state.optimizer, tensors["optimizer"])
    state.running_metrics.restore(tensors["tally"])
    if state.ema is not None:
        _require_same_tensors(run, "ema", tensors["ema"], state.ema.tensors())
        state.ema.restore(tensors["ema"])
    state.schedule.restore(schedule, state.counters.update)
    state.best.restore(metadata["best"])
    if "divergence" in metadata:  # missing in checkpoints of earlier versions
        state.running_metrics.start_window(metadata["divergence"]["sums"])
        state.divergence.restore(metadata["divergence"])
    if state.stopping is not None:
        state.stopping.restore(metadata["stopping"])
    return state


def _require_same_tensors(
    run: RunDirectory, part: str, found: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> None:
    """Refuse tensors of the checkpoint `last` that do not match those of the training."""
    if (misfit := find_misfit(found, needed)) is not None:
        raise _misfit(run.checkpoint(LAST), f"{part}: {misfit}")


def _misfit(path: Path, reason: str) -> RunError:
    return RunError(
        f"{path}: does not belong to this training ({reason}); restore {LAST} from a copy, or "
        "start another run with run=PATH"
    )
