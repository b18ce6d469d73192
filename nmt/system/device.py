"""Device, precision and threads of the computation; resolves `auto`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor

from nmt.core.errors import ConfigError
from nmt.system.process import local_rank

AUTO: Final = "auto"
_DTYPES: Final = (torch.float32, torch.bfloat16, torch.int8)
_PRECISIONS: Final = {str(dtype).removeprefix("torch."): dtype for dtype in _DTYPES}


def resolve_device(name: str | torch.device) -> torch.device:
    """Return the device of this name; `auto` is the first GPU, or the CPU without a GPU.

    Under torchrun, each process on a machine has a different first GPU.

    Args:
        name: auto, cpu, cuda (the first GPU) or cuda:N, as a name or a `torch.device`.

    Raises:
        ConfigError: this machine has no such device.
    """
    name = str(name)
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    present = ["cpu", *(f"cuda:{index}" for index in range(num_gpus))]
    own_gpu = f"cuda:{local_rank() % max(num_gpus, 1)}"
    if name == AUTO:
        return torch.device(own_gpu if num_gpus else "cpu")
    wanted = own_gpu if name == "cuda" else name
    if wanted not in present:
        raise ConfigError(
            f"device: {name!r} not found on this machine; available: {', '.join(present)}"
        )
    return torch.device(wanted)


def resolve_precision(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype of the computation.

    Args:
        name: float32, bfloat16 (with weights in float32), int8 (only for translation), or auto:
            bfloat16 if the hardware supports it, else float32; as a name or a `torch.dtype`.
        device: device of the computation.

    Raises:
        ConfigError: the name is unknown, the device only emulates bfloat16 or int8, or int8 is
            asked for on a GPU.
    """
    name = str(name).removeprefix("torch.")
    if name == AUTO:
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if name not in _PRECISIONS:
        allowed = ", ".join([AUTO, *_PRECISIONS])
        raise ConfigError(f"precision: unknown precision {name!r}; allowed: {allowed}")
    if name == "bfloat16" and not has_bfloat16(device):
        raise ConfigError(
            f"precision: 'bfloat16' is not supported on this {device.type}; use float32 or auto"
        )
    if name == "int8" and device.type != "cpu":
        raise ConfigError(
            f"precision: 'int8' is only supported on the CPU, not on {device}; use bfloat16 or auto"
        )
    if name == "int8" and not has_int8():
        raise ConfigError(
            "precision: 'int8' is not supported on this CPU, which lacks AVX-512 VNNI; use "
            "float32 or auto"
        )
    return _PRECISIONS[name]


def to_host(tensor: Tensor) -> Any:
    """Return the values of a tensor as Python numbers (see `Tensor.tolist`).

    Waits until the device has computed them. Training reads values through this function only, so
    that every wait of an update can be found and counted.
    """
    return tensor.tolist()


def has_int8() -> bool:
    """Return whether the CPU has instructions for fast int8 products (AVX-512 VNNI)."""
    return bool(torch.cpu._is_vnni_supported())


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device has bfloat16 products (emulation is slower than float32)."""
    if device.type == "cuda":
        # Since Ampere (compute capability 8.0); torch.cuda.is_bf16_supported counts emulation.
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Make torch compute in the calling thread only, which fixes the order of its sums.

    Args:
        device: of the computation; does nothing on a GPU.
    """
    before = torch.get_num_threads()
    if device.type != "cpu" or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def use_one_thread_after_forks() -> None:
    """Make every child process that is forked from now on compute in one thread.

    A fork only copies the current thread. If the parent has used OpenMP, the child would wait
    forever for the parent's other threads.
    """
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
