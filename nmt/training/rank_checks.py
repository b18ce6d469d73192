"""Checks that the processes of a training run match, and the run's mark in torchrun's store."""

import hashlib
import platform
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from nmt.config.experiment import Config
from nmt.config.tree import diff
from nmt.core.errors import ConfigError, RunError
from nmt.core.version import __version__
from nmt.distributed.process_group import ProcessGroup, torchrun_store
from nmt.system.device import resolve_device, resolve_precision
from nmt.system.plugins import sources
from nmt.training.resume_checks import DataIdentity

_PACKAGES: Final = ("torch", "numpy", "sentencepiece")  # packages that can affect results
_REMEDY: Final = "give all machines the same files, options and versions"
_WEIGHTS: Final = "SHA-256 of the weights"
_TIMEOUT: Final = timedelta(minutes=1)


def require_same_config(group: ProcessGroup, config: Config) -> None:
    """Refuse processes with different options, or versions of packages that affect results.

    Raises:
        RunError: names what differs, and where.
        ConfigError: this machine lacks the device or the precision.
    """
    if group.size == 1:
        return
    device = resolve_device(config.device)
    found = {
        "kind of device": device.type,
        "kind of precision": str(resolve_precision(config.precision, device)),
        "version of": _versions(),
        "SHA-256 of": {source.name: source.sha256 for source in sources()},
    }
    _require_equal(group, {**config.model_dump(mode="json"), **found})
    if device.type == "cuda":
        require_distinct_gpus(group, str(torch.cuda.get_device_properties(device).uuid))


def require_distinct_gpus(group: ProcessGroup, gpu: str) -> None:
    """Refuse two processes on one GPU, which NCCL does not support.

    Args:
        group: the processes.
        gpu: identifier of this process's GPU, unique among all machines.

    Raises:
        ConfigError: names two ranks that share a GPU.
    """
    gpus = group.all_gather(gpu)
    for rank, other in enumerate(gpus):
        if other in gpus[:rank]:
            raise ConfigError(
                f"device: ranks {gpus.index(other)} and {rank} of torchrun have the same GPU; "
                "start one process per GPU (--nproc-per-node), with device: cuda"
            )


def require_same_start(
    group: ProcessGroup, data: DataIdentity, batch_tokens: int | None, update: int, model: nn.Module
) -> None:
    """Refuse processes that would start or resume with different data or weights.

    Raises:
        RunError: names what differs, and where.
    """
    if group.size > 1:
        facts = {
            "data": data,
            "training.batch_tokens": batch_tokens,
            "update of the checkpoint": update,
            _WEIGHTS: _digest(model),
        }
        _require_equal(group, facts)


def require_same_weights(group: ProcessGroup, model: nn.Module) -> None:
    """Refuse to continue if the weights of the processes differ.

    All processes apply the same updates. A difference therefore indicates processors that round
    differently, a hardware fault or a bug.

    Raises:
        RunError: the weights are not bitwise equal.
    """
    if group.size > 1:
        remedy = "resume from the last checkpoint (--resume), on machines of one kind"
        _require_equal(group, {_WEIGHTS: _digest(model)}, remedy)


def _require_equal(group: ProcessGroup, facts: dict[str, Any], remedy: str = _REMEDY) -> None:
    all_facts = group.all_gather(facts)
    for rank, other in enumerate(all_facts):
        if found := diff(all_facts[0], other):
            differences = ", ".join(f"{key} ({change})" for key, change in found.items())
            raise RunError(f"rank {rank} of torchrun differs from rank 0: {differences}; {remedy}")


def _versions() -> dict[str, str]:
    python = ".".join(platform.python_version_tuple()[:2])
    return {"nmt": __version__, "python": python, **{name: version(name) for name in _PACKAGES}}


def _digest(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def mark_run_started(run: Path) -> None:
    """Record the run in torchrun's store, so that restarted processes resume it."""
    store = torchrun_store(_TIMEOUT)
    if store is not None:
        store.set(_key(run), "begun")


def is_run_started(run: Path) -> bool:
    """Return whether this torchrun has already started the run."""
    store = torchrun_store(_TIMEOUT)
    return store is not None and bool(store.check([_key(run)]))


def _key(run: Path) -> str:
    return f"nmt/{run.absolute()}"
