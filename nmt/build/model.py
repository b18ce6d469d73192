"""Construction of models from options: with fresh parameters, or trained."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError
from torch import nn

from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.config.layers import Layer, explain_first
from nmt.config.model import AttentionConfig, ModelConfig
from nmt.config.registry import ALIGNMENTS, BRIDGES, CELLS, DECODERS, ENCODERS, SCORES
from nmt.core.errors import ConfigError, RunError
from nmt.nn.attention.attention import Attention, BaseAttention, FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.interface import DecoderParts, LayerOptions
from nmt.nn.encoders.encoder import Encoder
from nmt.nn.layers import WithoutNormal, WordEmbedding
from nmt.nn.model import Model
from nmt.runs.checkpoint import (
    Checkpoint,
    find_misfit,
    find_not_finite,
    is_checkpoint,
    load_checkpoint,
)
from nmt.runs.run import BEST, Run
from nmt.system.memory import free_memory
from nmt.system.plugins import allow

_HEADER_BYTES: Final = 2**22  # limit for a safetensors header: about 100 per tensor
_LARGEST_WEIGHT: Final = 1e12  # sums of products of two such weights fit in float32


def build_model(
    config: Config | ModelConfig | Mapping[str, Any] | str | Path,
    source_size: int | None = None,
    target_size: int | None = None,
    *,
    plugins: Sequence[str | Path | type] = (),
) -> Model:
    """Build a model with fresh parameters, drawn from torch's global generator.

    Args:
        config: an experiment or its file; or only the options of its `model`, where a class may
            stand for a name.
        source_size: V of the source, ignored for grids; None: `tokenizer.vocabulary_size` of the
            experiment.
        target_size: V of the target; None: the same.
        plugins: files and modules of plug-ins from outside the package (see `allow`).

    Raises:
        ConfigError: an option is not valid, or a size is missing.
    """
    if isinstance(config, str | Path):
        config = load_config(config, plugins=plugins)
    if isinstance(config, Config):
        size = config.tokenizer.options.get("vocabulary_size")
        source_size, target_size = source_size or size, target_size or size
        config = config.model
    if isinstance(config, Mapping):
        allow(plugins)
        config = _check_options(dict(config))
    if source_size is None or target_size is None:
        raise ConfigError(
            "build_model: no size of the vocabularies; give source_size and target_size"
        )
    return _assemble(config, source_size, target_size)


def _check_options(tree: dict[str, Any]) -> ModelConfig:
    try:
        return ModelConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(explain_first(error, tree, [Layer("model", tree)])) from None


def _assemble(config: ModelConfig, source_size: int, target_size: int) -> Model:
    """Build the parts of a model; this order determines the fresh parameters."""
    options, size = config.embedding, config.embedding.size
    embed = partial(
        WordEmbedding, size=size, dropout=options.dropout, word_dropout=options.word_dropout
    )
    target_embedding = embed(target_size)
    kind: type[Encoder] = ENCODERS.find(config.encoder.name)
    if kind.reads == "grids":
        source_embedding = kind.embedding(config.encoder.options)
    else:
        source_embedding = target_embedding if options.is_shared else embed(source_size)
    encoder: Encoder = ENCODERS.create(config.encoder, size)
    value_size = config.encoder_size
    decoder = _build_decoder(config, value_size)
    bridge = BRIDGES.create(
        config.bridge, value_size, decoder.state_size, config.decoder.num_layers
    )
    return Model(
        source_embedding,
        target_embedding,
        encoder,
        bridge,
        decoder,
        config.output_size,
        output_dropout=config.decoder.output_dropout,
        tie_projection=options.ties_projection,
    )


def _build_decoder(config: ModelConfig, value_size: int) -> Decoder:
    """Build a decoder that reads a memory of vectors of `value_size`."""
    options = config.decoder
    make_cell = CELLS.bind(options.cell)
    parts = DecoderParts(
        make_cell=lambda input_size: make_cell(input_size, options.hidden_size),
        attention=_build_attention(config.attention, options.hidden_size, value_size),
        input_size=config.embedding.size,
        value_size=value_size,
        output_size=config.output_size,
        layers=LayerOptions(
            options.num_layers, options.dropout, options.recurrent_dropout, options.residual
        ),
    )
    decoder: Decoder = DECODERS.create(options.style, parts)
    return decoder


def _build_attention(
    config: AttentionConfig | None, query_size: int, value_size: int
) -> BaseAttention:
    if config is None:
        return FixedContext()

    def make_head(query_size: int, value_size: int) -> Attention:
        score = SCORES.create(config.score, query_size, value_size)
        return Attention(score, ALIGNMENTS.create(config.alignment, query_size))

    if config.num_heads == 1:
        return make_head(query_size, value_size)
    return MultiHeadAttention(make_head, config.num_heads, query_size, value_size)


def build_without_memory(config: ModelConfig, source_size: int, target_size: int) -> Model:
    """Return a model on the "meta" device: its weights have shapes and dtypes, but no memory.

    Raises:
        RuntimeError: a size overflows.
    """
    with torch.device("meta"), WithoutNormal():
        return build_model(config, source_size, target_size)


def require_memory(
    config: ModelConfig, source_size: int, target_size: int, device: torch.device, copies: int
) -> None:
    """Refuse a model that exceeds the free memory of a device, before building it.

    Args:
        config: the options of the network.
        source_size: V of the source.
        target_size: V of the target.
        device: the device of the model.
        copies: minimum number of copies of the weights, including gradients and averages.

    Raises:
        ConfigError: the model does not fit.
    """
    free = free_memory(device)
    try:
        parameters = build_without_memory(config, source_size, target_size).parameters()
        size = sum(parameter.numel() for parameter in parameters)
    except RuntimeError:  # a size overflows
        size = sys.maxsize
    needed = copies * size * torch.float32.itemsize
    if needed > free:
        raise ConfigError(
            f"model: {size:,} parameters need at least {needed / 2**30:,.1f} GiB in training, of "
            f"{free / 2**30:,.1f} GiB free on {device}; lower the hidden_size or num_layers of "
            "model.encoder and model.decoder, model.embedding.size, or the vocabulary"
        )


def build_empty(run: Run, source_size: int, target_size: int) -> Model:
    """Return the model of a run without memory; see `build_without_memory`.

    Args:
        run: the run, whose configuration describes the model.
        source_size: V of the run's source tokenizer.
        target_size: V of the run's target tokenizer.

    Raises:
        RunError: a size overflows.
    """
    try:
        return build_without_memory(run.config.model, source_size, target_size)
    except RuntimeError as error:
        raise RunError(f"{run.folder.config}: the model is too large: {error}") from None


def load_weights(run: Run, checkpoint: str, parts: Sequence[str], model: Model) -> Checkpoint:
    """Read parts of a checkpoint of a run; files too large for the model are refused.

    Args:
        run: the run.
        checkpoint: best, last or step-N.
        parts: names of the parts to read, including "model".
        model: the model of the run, from `build_empty`.

    Raises:
        RunError: the checkpoint is missing or corrupted, belongs to another configuration or other
            tokenizers, or holds weights that are NaN, infinite, or above 10^12.
    """
    folder, needed = run.folder.checkpoint(checkpoint), model.state_dict()
    # Optimizer states are at most twice as large as the weights.
    most = 2 * sum(tensor.nbytes for tensor in needed.values()) + _HEADER_BYTES
    loaded = load_checkpoint(folder, parts, max_bytes=most)
    weights = loaded.tensors["model"]
    if (misfit := find_misfit(weights, needed)) is not None:
        raise RunError(
            f"{folder}: does not match {run.folder.config} and the run's tokenizers ({misfit}); "
            "restore the checkpoint, configuration or tokenizer of this run"
        )
    for part in parts:
        if (name := find_not_finite(loaded.tensors[part])) is not None:
            raise RunError(
                f"{folder}: tensor {name!r} of {part} has NaN or infinite values; use another "
                "checkpoint, or train again with a lower learning rate"
            )
    for name, tensor in weights.items():
        if bool((tensor.abs() > _LARGEST_WEIGHT).any()):
            raise RunError(
                f"{folder}: tensor {name!r} of model has values above {_LARGEST_WEIGHT:g}, so "
                "that products overflow; use another checkpoint, or train again with a lower "
                "learning rate"
            )
    return loaded


def load_model(run: Run, checkpoint: str, device: torch.device, sizes: tuple[int, int]) -> Model:
    """Return the model of a trained run, in evaluation mode.

    Args:
        run: the run.
        checkpoint: best, last or step-N.
        device: the device of the model.
        sizes: V of the run's source and target tokenizers.

    Raises:
        RunError: see `load_weights`.
    """
    best = run.folder.checkpoint(BEST)
    if checkpoint == BEST and not best.exists() and not is_checkpoint(best):
        raise RunError(
            f"{run.folder.path}: has no best checkpoint before its first validation; resume it "
            "(`nmt train CONFIG --resume`), or use the checkpoint `last`, if any"
        )
    model = build_empty(run, *sizes)
    weights = load_weights(run, checkpoint, ["model"], model).tensors["model"]
    allocate(model, device)
    model.load_state_dict(weights)
    return model.eval()


def allocate(model: Model, device: torch.device) -> None:
    """Allocate the weights of a model that is on the "meta" device; tied weights stay tied."""
    allocated: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight not in allocated:
                allocated[weight] = nn.Parameter(
                    torch.empty(weight.shape, dtype=weight.dtype, device=device)
                )
            setattr(module, name, allocated[weight])
