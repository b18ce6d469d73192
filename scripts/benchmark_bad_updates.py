"""Milliseconds per update with different ways to skip an update that is not finite.

    python scripts/benchmark_bad_updates.py [--device cuda] [--optimizers adam sgd radam]
           [--rounds 5] [--updates 20] [--threads 2] [--precision float32] [--small]

The ways:

- check: `apply_gradients`, which reads whether the norm is finite, and so waits for the device.
- where: the device chooses between copies of parameters and momenta from before the step, and the
  new ones. It is only right for optimizers whose state exists and is on the device.
- found_inf: a flag on the device that the fused kernels of torch read; a private attribute.

The model is that of `benchmark_training.py`; --small takes one of the size of `configs/toy.yaml`.
All ways make the same updates in turn. Medians are printed as a Markdown table.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from benchmarks.ways import CLIP_NORM, SMOOTHING, Sizes, draw_batches, make_model
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from nmt.core.batch import Batch
from nmt.training.objective.objective import Objective
from nmt.training.objective.output_loss import LabelSmoothing
from nmt.training.optim.optimizer import Optimizer, apply_gradients
from nmt.training.optim.table import OPTIMIZERS

SMALL = Sizes(vocabulary=1000, embedding=64, hidden=128, length=8)
FUSED = ("adam", "adamw", "sgd")

Step = Callable[[Optimizer, Tensor], None]


def check(optimizer: Optimizer, loss: Tensor) -> None:
    """Make one step if the norm is finite."""
    apply_gradients(optimizer, loss, CLIP_NORM)


def clip(optimizer: Optimizer, loss: Tensor) -> Tensor:
    """Clip the gradients, and return whether they and the loss are finite, as a flag."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
    norm = norm + torch.where(torch.isfinite(loss), 0.0, torch.nan)
    clip_grads_with_norm_(parameters, CLIP_NORM, norm)
    return torch.isfinite(norm)


def where(optimizer: Optimizer, loss: Tensor) -> None:
    """Make one step, and take it back on the device if the norm is not finite."""
    is_good = clip(optimizer, loss)
    parameters = [p.detach() for group in optimizer.param_groups for p in group["params"]]
    states = [value for entries in optimizer.state.values() for value in entries.values()]
    tensors = [*parameters, *(value for value in states if isinstance(value, Tensor))]
    before = [tensor.clone() for tensor in tensors]
    optimizer.step()
    for tensor, old in zip(tensors, before, strict=True):
        torch.where(is_good, tensor, old, out=tensor)
    optimizer.zero_grad(set_to_none=True)


def found_inf(optimizer: Optimizer, loss: Tensor) -> None:
    """Make one step, whose kernels skip themselves if the norm is not finite."""
    optimizer.found_inf = (~clip(optimizer, loss)).float()  # type: ignore[attr-defined]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


STEPS: dict[str, Step] = {"check": check, "where": where, "found_inf": found_inf}


class Training:
    """A model that is trained in one way; each call makes the updates of some batches."""

    def __init__(
        self, sizes: Sizes, name: str, step: Step, device: torch.device, precision: torch.dtype
    ) -> None:
        self.model = make_model(sizes).to(device).train()
        self.optimizer: Optimizer = OPTIMIZERS[name](self.model)  # type: ignore[arg-type]
        self.objective = Objective((LabelSmoothing(weight=SMOOTHING),), precision)
        self.step = step
        self.device = device

    def __call__(self, batches: list[Batch]) -> float:
        """Return the seconds of an update."""
        self._wait()
        began = time.perf_counter()
        for batch in batches:
            losses = self.objective(self.model, batch.to(self.device))
            (losses.objective / batch.num_target_tokens).backward()
            self.step(self.optimizer, losses.objective.detach())
        self._wait()
        return (time.perf_counter() - began) / len(batches)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def measure(
    sizes: Sizes, name: str, device: torch.device, precision: torch.dtype, given: argparse.Namespace
) -> dict[str, list[float]]:
    """Return the seconds of an update in each round, by way, after a round of warm-up."""
    batches = draw_batches(sizes, given.updates)
    ways = {way: step for way, step in STEPS.items() if way == "check" or name in FUSED}
    trainings = {way: Training(sizes, name, step, device, precision) for way, step in ways.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(given.rounds + 1):
        for way, training in trainings.items():
            found = training(batches)
            if number > 0:
                seconds[way].append(found)
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", default="cpu", help="default: cpu")
    add("--optimizers", nargs="+", default=["adam", "sgd", "radam"], choices=list(OPTIMIZERS))
    add("--rounds", type=int, default=5, metavar="N", help="default: 5")
    add("--updates", type=int, default=20, metavar="N", help="updates of a round (default: 20)")
    add("--threads", type=int, default=2, metavar="N", help="default: 2")
    add("--precision", default="float32", choices=["float32", "bfloat16"])
    add("--small", action="store_true", help="take a small model")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    device, precision = torch.device(given.device), getattr(torch, given.precision)
    print("| optimizer | way | ms per update, median (all) | compared with check |")
    print("|---|---|---|---|")
    for name in given.optimizers:
        seconds = measure(SMALL if given.small else Sizes(), name, device, precision, given)
        first = statistics.median(seconds["check"])
        for way, values in seconds.items():
            median, every = statistics.median(values), sorted(1000 * value for value in values)
            times = ", ".join(f"{value:.1f}" for value in every)
            print(f"| {name} | {way} | {1000 * median:.1f} ({times}) | {median / first:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
