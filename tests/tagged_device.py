"""Real tensors of the CPU that carry the tag of a made-up device.

A search steers by values, which fake tensors do not have. Here all values are real. A storage gets
the tag when a tensor is moved (`to`) or made on the device (`device=`), and results inherit it. An
operation on two devices is refused, as on a GPU: only a scalar of the CPU may be used there.
Whatever makes the host wait for a GPU is counted.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_iter

from tests.made_up_device import INDEXING, NAME, Waits, device, has_boolean_index

aten = torch.ops.aten
CPU = torch.device("cpu")
GET_DEVICE = Tensor.device.__get__  # type: ignore[attr-defined]

# Operations whose result, or its shape, a GPU must have computed before the host can continue.
WAITING = {
    aten.equal.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten.repeat_interleave.Tensor,
    aten.unique_dim.default,
    aten._unique2.default,
    aten.bincount.default,
}
# Functions that read values; torch reads those of the CPU without an operation that it dispatches.
READING = {
    Tensor.__bool__,
    Tensor.__complex__,
    Tensor.__float__,
    Tensor.__index__,
    Tensor.__int__,
    Tensor.item,
    Tensor.numpy,
    Tensor.tolist,
}


class MixedDevicesError(Exception):
    """An operation has tensors on two devices."""


class Tags:
    """The storages that are on the device; a weak reference keeps its address from being reused."""

    def __init__(self) -> None:
        self._known: dict[int, StorageWeakRef] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        return StorageWeakRef(tensor.untyped_storage()).cdata in self._known

    def add(self, tensor: Tensor) -> None:
        reference = StorageWeakRef(tensor.untyped_storage())
        self._known[reference.cdata] = reference


class _Operations(TorchDispatchMode):
    """Refuse mixed devices, count waits, and tag results."""

    def __init__(self, tags: Tags, waits: Waits) -> None:
        super().__init__()
        self._tags, self._waits = tags, waits

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = list(_tensors(args, kwargs))
        there = [tensor for tensor in given if tensor in self._tags]
        if func is aten.copy_.default and len(there) == 1:
            if there[0] is args[1]:
                self._waits.add("a copy to the host")
            return func(*args, **kwargs)
        self._check(func, args, given, there)
        result = func(*args, **kwargs)
        if there:
            for tensor in _tensors(result):
                self._tags.add(tensor)
        return result

    def _check(self, func: Any, args: Any, given: list[Tensor], there: list[Tensor]) -> None:
        if not there:
            return
        if any(tensor.ndim > 0 and tensor not in self._tags for tensor in given):
            raise MixedDevicesError(f"{func}: tensors on {NAME} and on the CPU")
        if func in WAITING:
            self._waits.add(str(func))
            return
        # One value is filled in without knowing the places.
        is_filled = func is not aten.index.Tensor and func in INDEXING and args[2].numel() == 1
        if func in INDEXING and has_boolean_index(args[1]) and not is_filled:
            self._waits.add(f"{func} with a boolean index")


def _tensors(*tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_iter(tree) if isinstance(leaf, Tensor))


class _Functions(TorchFunctionMode):
    """Answer for `device`, and tag what is moved to the device or made on it."""

    def __init__(self, tags: Tags, waits: Waits) -> None:
        super().__init__()
        self._tags, self._waits = tags, waits

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == GET_DEVICE:
            return device() if args[0] in self._tags else CPU
        if func in READING:
            self._read(func, args[0])
        if func is Tensor.cpu:
            return self._move(args[0], CPU, {})
        if func is Tensor.to:
            place, dtype, _, _ = torch._C._nn._parse_to(*args[1:], **kwargs)
            if len(args) > 1 and isinstance(args[1], Tensor):  # like another tensor
                place = device() if args[1] in self._tags else CPU
            if place is not None:
                return self._move(args[0], place, {} if dtype is None else {"dtype": dtype})
        made_at = kwargs.pop("device", None)
        if made_at is not None and torch.device(made_at).type != NAME:
            kwargs["device"] = made_at
        result = func(*args, **kwargs)
        if made_at is not None and torch.device(made_at).type == NAME:
            self._tags.add(result)
        return result

    def _read(self, func: Callable[..., Any], tensor: Tensor) -> None:
        if tensor in self._tags:
            if func == Tensor.numpy:
                raise TypeError("can't convert a tensor of this device to numpy")
            self._waits.add(f"values are read by {func.__name__}")

    def _move(self, tensor: Tensor, place: torch.device, options: dict[str, Any]) -> Tensor:
        is_there = tensor in self._tags
        if (place.type == NAME) == is_there:
            return tensor.to(**options) if options else tensor
        if is_there:
            self._waits.add("a copy to the host")
        with _disable_current_modes():
            moved = tensor.detach().clone()
            moved = moved.to(**options) if options else moved
        if not is_there:
            self._tags.add(moved)
        return moved


class TaggedDevice:
    """What a test does with the tagged device.

    Attributes:
        waits: the waits so far.
    """

    def __init__(self, tags: Tags, waits: Waits) -> None:
        self._tags, self.waits = tags, waits

    def move(self, module: nn.Module) -> None:
        """Move a module to the device in place."""
        for tensor in (*module.parameters(), *module.buffers()):
            self._tags.add(tensor)

    def has(self, tensors: Iterable[Tensor]) -> bool:
        """Return whether all of these tensors are on the device."""
        return all(tensor in self._tags for tensor in tensors)


@contextmanager
def tagged_device() -> Iterator[TaggedDevice]:
    """Give tensors the tags of their devices inside the `with`; the process must have named it."""
    tags, waits = Tags(), Waits()
    with _Operations(tags, waits), _Functions(tags, waits):
        yield TaggedDevice(tags, waits)
