"""Gradients of several processes, added up before the step that all of them take alike."""

from typing import Final

import torch
from torch import Tensor, nn

from nmt.distributed.process_group import ProcessGroup

GRADIENT_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Names of the precisions that gradients may have on the way; float16 has not their range."""


def all_reduce_gradients(
    group: ProcessGroup, model: nn.Module, sums: Tensor, dtype: torch.dtype = torch.float32
) -> None:
    """Put the sums over all processes in the place of the gradients of a model, and of `sums`.

    All gradients are one vector on the way, in the order of the parameters, so that the same
    numbers are added in the same order whenever this is done again. Those of a process that had
    nothing to compute are zero.

    Args:
        group: the processes.
        model: whose parameters have been given gradients, each divided by what it is a mean of.
        sums: of each process.
        dtype: precision of the gradients on the way.
    """
    if group.size == 1:
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    vector = torch.cat([gradient.flatten() for gradient in gradients]).to(dtype)
    group.all_reduce(vector)
    group.all_reduce(sums)
    parts = torch.split(vector.float(), [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)
