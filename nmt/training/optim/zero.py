"""The state of an optimizer in shares, one for each process (ZeRO-1: Rajbhandari 2020)."""

from inspect import signature
from typing import Any

import torch
from torch.distributed.optim import ZeroRedundancyOptimizer

from nmt.distributed.process_group import ProcessGroup, guarded
from nmt.training.optim.optimizer import Optimizer, start_momenta


class ShardedOptimizer(Optimizer, ZeroRedundancyOptimizer):
    """Steps as another would; each process does for its share of the weights, and tells the others.

    What all call on one, they must call together.

    Args:
        whole: as it would be for one process; it is not used any more.
        group: the processes.
    """

    def __init__(self, whole: Optimizer, group: ProcessGroup) -> None:
        kind = next(
            base for base in type(whole).mro() if base.__module__.startswith("torch.optim.")
        )
        options = signature(kind).parameters
        given = {key: value for key, value in whole.defaults.items() if key in options}
        groups = [
            {key: each[key] for key in ("params", "weight_decay")} for each in whole.param_groups
        ]
        ZeroRedundancyOptimizer.__init__(self, groups, kind, **given)
        self._is_first = group.is_first
        start_momenta(self.optim)

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step, which is skipped where `found_inf` says so."""
        self.optim.found_inf = self.found_inf
        ZeroRedundancyOptimizer.step(self)

    def _sync_params(self) -> None:
        """Send the share of this process, and receive the others; called by torch in a step."""
        guarded(super()._sync_params)  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """That of the whole, for the first process; the others give their share to it."""
        guarded(lambda: self.consolidate_state_dict(to=0))
        if self._is_first:
            whole: dict[str, Any] = ZeroRedundancyOptimizer.state_dict(self)
            # Torch would keep the whole state till the next time.
            self._all_state_dicts.clear()  # type: ignore[attr-defined]
            return whole
        return {**torch.optim.Optimizer.state_dict(self), "state": {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take this process's share of the state of the whole."""
        ZeroRedundancyOptimizer.load_state_dict(self, state_dict)
        self.state.clear()  # a second copy of it, which nothing reads
        for parameter, entries in self.optim.state.items():
            for key, value in entries.items():  # counts too, which torch has put on the CPU:
                entries[key] = value.to(parameter.device)  # fused kernels read them where they are
