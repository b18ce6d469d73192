"""The checkpoint `last`, read for a resume: all of it is checked before any of it is used."""

import math
from collections.abc import Mapping
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
from nmt.runs.checkpoint import Checkpoint, find_misfit
from nmt.runs.manifest import METADATA
from nmt.runs.run import LAST, Run, RunDirectory

_Count = Annotated[int, Ge(0)]


class _Counters(TypedDict):
    update: _Count
    epoch: Annotated[int, Ge(1)]
    batch: _Count
    num_tokens: _Count
    seconds: Annotated[float, Ge(0.0)]
    logged_tokens: _Count
    logged_seconds: Annotated[float, Ge(0.0)]
    validated_at: Annotated[int, Ge(-1)]
    first_epoch_batches: Annotated[int, Ge(1)] | None
    num_split: NotRequired[_Count]
    is_finished: NotRequired[bool]


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
    """What is used of the metadata; other fields are ignored."""

    __pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False)  # type: ignore[misc]

    counters: _Counters
    schedule: dict[str, Annotated[float, Ge(0.0)]]
    best: _MetricTracker
    stopping: _MetricTracker | None
    divergence: NotRequired[_Divergence]
    metrics_end: _Count
    data: _Data


def load_state(config: Config, run: RunDirectory) -> Checkpoint:
    """Read the checkpoint that a resume starts from.

    Args:
        config: of the run.
        run: where it is.

    Raises:
        RunError: it is missing, damaged, or does not belong to this run.
    """
    trained = Run.open(run.path)
    parts = ["model", "optimizer", "tally"]
    if config.training.ema_decay is not None:
        parts.append("ema")
    model = build_empty(trained, *load_tokenizers(trained).sizes)
    checkpoint = load_weights(trained, LAST, parts, model)
    for name, tensor in checkpoint.tensors["optimizer"].items():
        # Counts, and means of squares.
        if name.endswith((".step", ".exp_avg_sq")) and bool((tensor < 0).any()):
            raise _misfit(run.checkpoint(LAST), f"optimizer: tensor {name!r} is negative")
    path = run.checkpoint(LAST) / METADATA
    try:
        metadata = TypeAdapter(_Metadata).validate_python(checkpoint.metadata)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise _misfit(path, f"{place}: {first['msg']}") from None
    if config.training.early_stopping is not None and metadata["stopping"] is None:
        raise _misfit(path, "stopping: is missing")
    if len(metadata["data"]["corpora"]) != len(config.data.train):
        raise _misfit(path, "data.corpora: not as many as in the run's configuration")
    return checkpoint


def require_same_tensors(
    run: RunDirectory, part: str, found: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> None:
    """Refuse tensors of the checkpoint `last` that are not those that the training needs.

    Raises:
        RunError: names the first that is not.
    """
    if (misfit := find_misfit(found, needed)) is not None:
        raise _misfit(run.checkpoint(LAST), f"{part}: {misfit}")


def require_same_schedule(
    run: RunDirectory, found: Mapping[str, float], needed: Mapping[str, float]
) -> None:
    """Refuse the state of another schedule in the checkpoint `last`.

    Raises:
        RunError: names what the schedule does not have.
    """
    if not found.keys() <= needed.keys():
        reason = f"schedule: {', '.join(found.keys() - needed.keys())}"
        raise _misfit(run.checkpoint(LAST) / METADATA, reason)


def _misfit(path: Path, reason: str) -> RunError:
    return RunError(
        f"{path}: not the state of this training ({reason}); put back a copy of {LAST}, or start "
        "another run with run=PATH"
    )
