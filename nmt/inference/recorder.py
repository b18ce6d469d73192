"""Recording of all arrays of one sentence, by hooks on a copy of the model's modules.

The copy shares the weights. So the model itself stays as it is, and several threads may record at
once. An array is named by the path of its module and a word, such as `decoder.attention.context`.
Arrays of the decoder have a row for each target token, those of the cells of the encoder one for
each source token, in the order in which the cell reads them.
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nmt.core.batch import Tokens, make_source
from nmt.core.errors import RunError
from nmt.core.special_tokens import BOS
from nmt.nn.attention.alignments.alignment import Alignment
from nmt.nn.attention.attention import BaseAttention, Memory, Summary
from nmt.nn.attention.scores.score import Score
from nmt.nn.bridge import Bridge
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.encoders.encoder import Encoder
from nmt.nn.fused.fast_path import FastPath
from nmt.nn.model import Model
from nmt.nn.recurrent.cell import Cell

# What a call of a module gives: names of arrays without the batch, and whether they stay the same
# for all steps.
_Found: TypeAlias = Iterator[tuple[str, Tensor | None, bool]]
_Read: TypeAlias = Callable[[Any, tuple[Any, ...], Any], _Found]

_SOURCE_EMBEDDING: Final = "source_embedding"
_TARGET_EMBEDDING: Final = "target_embedding"


@dataclass(frozen=True)
class Recording:
    """The arrays of one sentence pair.

    Attributes:
        arrays: by their names.
        parameters: the path of each recorded module -> the names of the weights that it has, apart
            from those of recorded modules inside it.
        not_recorded: classes from outside the package that have weights, and that no hook knows.
    """

    arrays: dict[str, NDArray[Any]]
    parameters: dict[str, tuple[str, ...]]
    not_recorded: tuple[str, ...]


def copy_structure(model: Model) -> Model:
    """Return a copy of a model on the CPU; on the CPU, it shares all weights with the model.

    Raises:
        RunError: a module, such as one of a plug-in, cannot be copied.
    """
    tensors = [*model.parameters(), *model.buffers()]
    is_shared = all(tensor.device.type == "cpu" for tensor in tensors)
    memo = {id(tensor): tensor for tensor in tensors} if is_shared else {}
    try:
        copied = copy.deepcopy(model, memo).eval()
    except Exception as error:
        raise RunError(
            f"model: cannot be traced, as {_uncopied(model)} cannot be copied ({error}); give its "
            "class a __deepcopy__"
        ) from error
    return copied if is_shared else copied.cpu()


def _uncopied(model: nn.Module) -> str:
    """Return the class of the innermost module that cannot be copied."""
    for module in reversed(list(model.modules())):
        try:
            copy.deepcopy(module)
        except Exception:
            return type(module).__name__
    return type(model).__name__


def record(model: Model, source: Tokens, target: Sequence[int]) -> Recording:
    """Return the arrays of a sentence pair, computed step by step as in a search, in float32.

    Args:
        model: a copy by `copy_structure`; hooks are added to it, and its fast paths are dropped.
        source: tokens of the source, or the cells of a grid.
        target: tokens of the target; BOS before and EOS after it are added.
    """
    for module in model.modules():
        if isinstance(module, FastPath):
            module.drop_fast_path("recorded")
    recorder = _Recorder(model)
    with torch.inference_mode():
        state = model.start(model.encode(*make_source([source])))
        recorder.reads_source = False
        for token in (BOS, *target):
            log_probabilities, state = model.step(torch.tensor([token]), state)
            recorder.add("", "log_probabilities", log_probabilities[0], is_constant=False)
    return recorder.finish(model)


class _Recorder:
    """The hooks on a model, and what they have seen.

    Args:
        model: gets the hooks.

    Attributes:
        reads_source: whether the source is being read; then the steps of the decoder follow.
    """

    def __init__(self, model: Model) -> None:
        self.reads_source = True
        self._steps: dict[str, list[NDArray[Any]]] = defaultdict(list)
        self._constants: dict[str, NDArray[Any]] = {}
        self._paths: list[str] = []
        # An embedding of both sides has two names.
        for path, module in model.named_modules(remove_duplicate=False):
            read = _find_reader(path, module)
            if read is not None:
                self._paths.append(path)
                module.register_forward_hook(partial(self._look, path, read))

    def add(self, path: str, name: str, tensor: Tensor, *, is_constant: bool) -> None:
        """Add an array, or one row of it."""
        name = f"{path}.{name}" if path else name
        if is_constant and name in self._constants:
            return
        array = tensor.detach().cpu().numpy().copy()
        if is_constant:
            self._constants[name] = array
        else:
            self._steps[name].append(array)

    def _look(
        self, path: str, read: _Read, module: nn.Module, arguments: tuple[Any, ...], output: Any
    ) -> None:
        other = _TARGET_EMBEDDING if self.reads_source else _SOURCE_EMBEDDING
        if path == other:
            return
        for name, tensor, is_constant in read(module, arguments, output):
            if tensor is not None:
                self.add(path, name, tensor, is_constant=is_constant)

    def finish(self, model: Model) -> Recording:
        """Return all arrays, in the order of the modules."""
        arrays = {**self._constants, **{name: np.stack(rows) for name, rows in self._steps.items()}}
        owners: dict[str, list[str]] = defaultdict(list)
        for name, _ in model.named_parameters(remove_duplicate=False):
            inside = [path for path in self._paths if name.startswith(f"{path}.")]
            owners[max(inside, key=len, default="")].append(name)
        return Recording(
            arrays,
            {path: tuple(owners[path]) for path in self._paths if owners[path]},
            tuple(sorted({*_unknown_classes(model, self._paths)})),
        )


def _find_reader(path: str, module: nn.Module) -> _Read | None:
    """Return the function that reads the arrays of a module; None: it has none."""
    if path in _READERS_BY_PATH:
        return _READERS_BY_PATH[path]
    return next((read for kind, read in _READERS.items() if isinstance(module, kind)), None)


def _unknown_classes(model: Model, paths: Sequence[str]) -> Iterator[str]:
    """Yield the classes of outside modules with weights of their own, which are not recorded."""
    for path, module in model.named_modules():
        is_outside = type(module).__module__.partition(".")[0] not in ("nmt", "torch")
        if is_outside and path not in paths and any(True for _ in module.parameters(recurse=False)):
            yield type(module).__name__


def _read_embedding(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> _Found:
    yield "output", output[0], True


def _read_word(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> _Found:
    yield "output", output[0, 0], False


def _read_encoder(module: Encoder, arguments: tuple[Any, ...], output: Any) -> _Found:
    yield "states", output.states[0], True
    yield "final", output.final[0], True


def _read_bridge(module: Bridge, arguments: tuple[Any, ...], output: Tensor) -> _Found:
    yield "state", output[0], True


def _read_cell(module: Cell, arguments: tuple[Any, ...], output: Tensor) -> _Found:
    projected, before, *_ = arguments
    yield "input", projected[0], False
    yield "before", before[0], False
    yield "state", output[0], False
    if _has_own_step(type(module)):
        return
    for name, gate in zip(module.gate_names, module.gate_values(projected, before), strict=True):
        yield name, gate[0], False


def _has_own_step(kind: type[Cell]) -> bool:
    """Return whether a class from outside computes its step without the gates of its base."""
    step, gates = (
        next(base for base in kind.__mro__ if name in vars(base))
        for name in ("forward", "gate_values")
    )
    is_ours = step.__module__.partition(".")[0] == "nmt"
    return not is_ours and step is not gates and issubclass(step, gates)


def _read_score(module: Score, arguments: tuple[Any, ...], output: Tensor) -> _Found:
    query, keys, state = (*arguments, None)[:3]
    yield "query", query[0, 0], False
    yield "keys", keys[0], True
    yield "state", None if state is None else state[0], False
    yield "scores", output[0, 0], False


def _read_alignment(module: Alignment, arguments: tuple[Any, ...], output: Any) -> _Found:
    state = (*arguments, None)[3]
    yield "state", None if state is None else state[0], False
    yield "weights", output.weights[0, 0], False


def _read_attention(module: BaseAttention, arguments: tuple[Any, ...], output: Any) -> _Found:
    memory = arguments[1]
    if isinstance(memory, Memory):
        yield "values", memory.values[0], True
    if isinstance(memory, Summary):
        yield "vector", memory.vector[0], True
    else:
        yield "weights", output.weights[0, 0], False
    yield "context", output.context[0, 0], False


def _read_decoder(module: Decoder, arguments: tuple[Any, ...], output: Any) -> _Found:
    fed = arguments[1].input_feed
    yield "input_feed", None if fed is None else fed[0], False
    yield "vectors", output.vectors[0, 0], False


def _read_projection(module: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> _Found:
    yield "logits", output[0], False


_READERS_BY_PATH: Final[dict[str, _Read]] = {
    _SOURCE_EMBEDDING: _read_embedding,
    _TARGET_EMBEDDING: _read_word,
    "projection": _read_projection,
}
_READERS: Final[dict[type[nn.Module], _Read]] = {
    Encoder: _read_encoder,
    Bridge: _read_bridge,
    Cell: _read_cell,
    Score: _read_score,
    Alignment: _read_alignment,
    BaseAttention: _read_attention,
    Decoder: _read_decoder,
}
