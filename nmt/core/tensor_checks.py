"""Checks of tensors that were read from a file against those that are needed."""

from collections.abc import Mapping

import torch
from torch import Tensor


def find_misfit(found: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> str | None:
    """Say which tensor is missing, superfluous, or has another shape or dtype; None: all fit.

    Args:
        found: by name.
        needed: by name; the values do not matter, so that they may be on the device "meta".
    """
    for name in needed:
        if name not in found:
            return f"tensor {name!r} is missing"
    for name, tensor in found.items():
        if name not in needed:
            return f"tensor {name!r} is not part of it"
        if tensor.shape != needed[name].shape:
            wanted = list(needed[name].shape)
            return f"tensor {name!r} has the shape {list(tensor.shape)}, not {wanted}"
        if tensor.dtype != needed[name].dtype:
            dtypes = [
                str(dtype).removeprefix("torch.") for dtype in (tensor.dtype, needed[name].dtype)
            ]
            return f"tensor {name!r} is {dtypes[0]}, not {dtypes[1]}"
    return None


def find_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name the first tensor with a NaN or an infinite number; None: there is none."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            return name
    return None


def find_above(tensors: Mapping[str, Tensor], most: float) -> str | None:
    """Name the first tensor with a number whose size is above `most`; None: there is none."""
    for name, tensor in tensors.items():
        if bool((tensor.abs() > most).any()):
            return name
    return None


def count_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Add up the sizes of tensors; those that share memory count each."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
