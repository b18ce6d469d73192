"""A device that exists in name only: it finds mixed devices and waits of the host without a GPU.

Two ways to use it, both in a process of their own (`errors_of`), as the name changes torch for the
whole process:

- `fake_device`: fake tensors of PyTorch, which have shapes and a device but no values.
- `tagged_device` (in `tagged_device.py`): real tensors of the CPU that carry a tag.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

try:
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
except ImportError:
    MISSING = "this torch cannot name a device (_setup_privateuseone_for_python_backend)"
else:
    MISSING = ""

NAME = "made_up"
ROOT = Path(__file__).parents[1]
MOST = 400  # characters of a message
Cases = Mapping[str, Callable[[], object]]

aten = torch.ops.aten
INDEXING = (aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default)
COPIES = (aten._to_copy.default, aten.copy_.default)


class HostWait(Exception):
    """The host waits for the device where it must not."""


def device() -> torch.device:
    """The made-up device; only in a process that has named it."""
    return torch.device(NAME, 0)


def is_made_up(tensor: Tensor) -> bool:
    # Torch's own attribute of a fake tensor is faster than `device`.
    found: torch.device = getattr(tensor, "fake_device", None) or tensor.device
    return found.type == NAME


class Waits:
    """The waits of the host, counted.

    None is allowed before `allow` is called.

    Attributes:
        places: what each wait was for.
    """

    def __init__(self) -> None:
        self.allow(0)

    def allow(self, most: int, through: Callable[..., object] | None = None) -> None:
        """Count from 0 again; allow so many waits, all of them in calls of `through` if given."""
        self.most, self.through = most, through
        self.places: list[str] = []

    def add(self, what: str) -> None:
        """Count a wait.

        Raises:
            HostWait: it is not allowed.
        """
        if self.through is not None and not _is_called(self.through.__code__):
            raise HostWait(f"{what}, outside of {self.through.__name__}")
        self.places.append(what)
        if len(self.places) > self.most:
            raise HostWait(f"{what}: wait {len(self.places)}, but at most {self.most} are allowed")


def _is_called(code: CodeType) -> bool:
    frame = sys._getframe()
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


class _WatchedFakes(FakeTensorMode):
    """Count operations that wait; fake tensors themselves refuse those of unknown shape."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self._waits = waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.prim.device.default:  # half of all calls
            return args[0].fake_device
        kwargs = kwargs or {}
        if func is aten._local_scalar_dense.default and is_made_up(args[0]):
            self._waits.add("a value is read")
            return 1.0 if args[0].is_floating_point() else 1
        if func is aten._fused_sgd_.default:  # fake tensors lack it
            assert all(map(is_made_up, (*args[0], *args[1], *args[2])))
            return None
        if func in COPIES:
            self._watch_copy(func, args, kwargs)
        elif func in INDEXING and is_made_up(args[0]):
            self._watch_index(func, args)
        return super().__torch_dispatch__(func, types, args, kwargs)

    def _watch_index(self, func: Any, args: Any) -> None:
        if any(index is not None and not is_made_up(index) for index in args[1]):
            raise HostWait("an index of the CPU is copied to the device")
        # One value is filled in without knowing the places.
        if func is not aten.index.Tensor and has_boolean_index(args[1]) and args[2].numel() != 1:
            raise HostWait("values are assigned to a boolean index")

    def _watch_copy(self, func: Any, args: Any, kwargs: Any) -> None:
        if func is aten.copy_.default:
            target, source, *rest = args
            goes_there, non_blocking = is_made_up(target), bool(rest and rest[0])
        elif kwargs.get("device") is None:
            return
        else:
            source, goes_there = args[0], kwargs["device"].type == NAME
            non_blocking = bool(kwargs.get("non_blocking"))
        if is_made_up(source) == goes_there:
            return
        if not goes_there:
            self._waits.add("a copy to the host")
        elif not non_blocking:
            raise HostWait("a blocking copy to the device")


def has_boolean_index(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def _readers(waits: Waits) -> dict[str, Callable[[Tensor], Any]]:
    """Return methods of fake tensors that read values: zeros, and 1 or true for a scalar."""

    def numpy(tensor: Tensor) -> Any:
        if is_made_up(tensor):
            raise TypeError("can't convert a tensor of this device to numpy")
        return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def tolist(tensor: Tensor) -> Any:
        if tensor.ndim == 0:
            return tensor.item()
        if is_made_up(tensor):
            waits.add("values are read")
        return np.zeros(tuple(tensor.shape), np.int64).tolist()

    return {"numpy": numpy, "tolist": tolist}


@contextmanager
def fake_device() -> Iterator[Waits]:
    """Make all tensors fake, and watch those on the made-up device, inside the `with`.

    `nn.Module.to` is replaced, because torch's cannot move fake tensors.
    """
    waits = Waits()
    with ExitStack() as stack:
        stack.enter_context(_WatchedFakes(waits))
        for name, read in _readers(waits).items():
            stack.enter_context(mock.patch.object(FakeTensor, name, read, create=True))
        stack.enter_context(mock.patch.object(nn.Module, "to", _move))
        yield waits


def _move(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module to the device; tied weights stay tied."""
    moved: dict[Tensor, Tensor] = {}
    for part in module.modules():
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None and tensor not in moved:
                    copy: Tensor = tensor.detach().to(device, non_blocking=True)
                    is_weight = isinstance(tensor, nn.Parameter)
                    moved[tensor] = nn.Parameter(copy, tensor.requires_grad) if is_weight else copy
                table[name] = None if tensor is None else moved[tensor]  # type: ignore[assignment]
    return module


def cases_fixture(module: str) -> Any:
    """Return a fixture with the error of each case of a test module that is to be run."""

    @pytest.fixture(scope="module")
    def errors(request: pytest.FixtureRequest) -> dict[str, str]:
        if MISSING:
            pytest.skip(MISSING)
        chosen = [
            item.callspec.params["case"]
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and item.module.__name__ == request.module.__name__
            and hasattr(item, "callspec")
        ]
        return errors_of(module, chosen)

    return errors


def errors_of(module: str, names: Sequence[str]) -> dict[str, str]:
    """Run cases of a module's table `CASES` in another process; return the traceback of each."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.made_up_device", module],
        input=json.dumps(list(names)),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout.splitlines()[-1])
    return found


def main(module: str) -> None:
    """Run the cases whose names are in stdin, and print their errors; no error is empty."""
    _setup_privateuseone_for_python_backend(NAME)
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]
    torch.set_num_threads(1)
    cases: Cases = import_module(module).CASES
    errors = {}
    for name in json.load(sys.stdin):
        try:
            cases[name]()
        except Exception as error:
            message = f"{type(error).__name__}: {str(error)[:MOST]}"  # torch lists all its devices
            errors[name] = "".join([*traceback.format_tb(error.__traceback__), message])
        else:
            errors[name] = ""
    print(json.dumps(errors))


if __name__ == "__main__":
    main(sys.argv[1])
