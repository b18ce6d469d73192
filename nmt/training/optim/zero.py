"""Optimizer state sharded over processes (ZeRO-1: Rajbhandari 2020)."""

from inspect import signature, unwrap
from typing import Any

import torch
from torch.distributed.optim import ZeroRedundancyOptimizer

from nmt.core.errors import ConfigError
from nmt.distributed.process_group import ProcessGroup, guarded
from nmt.training.optim.optimizer import Optimizer
from nmt.training.optim.rules import start_momenta


class ShardedOptimizer(Optimizer, ZeroRedundancyOptimizer):
    """Sharded version of an optimizer: each process updates its share of the weights.

    The processes then exchange the updated weights. All processes must call its methods together.

    Args:
        whole: the optimizer for one process; it must not be used afterwards.
        group: the processes.

    Raises:
        ConfigError: the steps of the optimizer are not those of one in `torch.optim`.
    """

    def __init__(self, whole: Optimizer, group: ProcessGroup) -> None:
        kind: Any = next(
            base for base in type(whole).mro() if base.__module__.startswith("torch.optim.")
        )
        if kind is torch.optim.Optimizer or unwrap(type(whole).step) is not unwrap(kind.step):
            raise ConfigError(
                f"training.ranks.shard_optimizer: {type(whole).__name__} has its own `step`, "
                "which cannot be sharded; set it to false"
            )
        options = signature(kind).parameters
        given = {key: value for key, value in whole.defaults.items() if key in options}
        groups = [
            {key: each[key] for key in ("params", "weight_decay")} for each in whole.param_groups
        ]
        ZeroRedundancyOptimizer.__init__(self, groups, kind, **given)
        self.state_keys = whole.state_keys
        self._is_first = group.is_first
        start_momenta(self.optim)

    def _sync_params(self) -> None:
        """Exchange the updated shares of all processes; called by torch in a step."""
        guarded(super()._sync_params)  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state in the first process, to which the others send their shares."""
        guarded(lambda: self.consolidate_state_dict(to=0))
        if self._is_first:
            whole: dict[str, Any] = ZeroRedundancyOptimizer.state_dict(self)
            # Otherwise, torch would keep the whole state until the next call.
            self._all_state_dicts.clear()  # type: ignore[attr-defined]
            return whole
        return {**torch.optim.Optimizer.state_dict(self), "state": {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load this process's share of the whole state."""
        ZeroRedundancyOptimizer.load_state_dict(self, state_dict)
        self.state.clear()  # an unused second copy
        for parameter, entries in self.optim.state.items():
            for key, value in entries.items():  # torch puts step counts on the CPU, but
                entries[key] = value.to(parameter.device)  # fused kernels need them on the device
