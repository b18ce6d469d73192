"""Gradients of several processes, added up before the step that all of them take alike."""

import torch
from torch import Tensor, nn

from nmt.process_group import ProcessGroup


def add_up(group: ProcessGroup, model: nn.Module, sums: Tensor) -> None:
    """Put the sums over all processes in the place of the gradients of a model, and of `sums`.

    All gradients are one vector on the way, in the order of the parameters, so that the same
    numbers are added in the same order whenever this is done again. Those of a process that had
    nothing to compute are zero.

    Args:
        group: the processes.
        model: whose parameters have been given gradients, each divided by what it is a mean of.
        sums: of each process.
    """
    if group.size == 1:
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    vector = torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in parameters]
    )
    group.add_up(vector)
    group.add_up(sums)
    parts = torch.split(vector, [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter).to(parameter.dtype)
