"""From the options of the network to the model, fresh or trained."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import torch
from torch import nn

from nmt.config.model import AttentionConfig, EncoderConfig, GridEncoderConfig, ModelConfig
from nmt.config.registry import ALIGNMENTS, BRIDGES, CELLS, DECODERS, SCORES, PlugIn
from nmt.core.errors import ConfigError, RunError
from nmt.nn.attention.attention import Attention, BaseAttention, FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.interface import DecoderParts, LayerOptions
from nmt.nn.encoders.encoder import Encoder
from nmt.nn.encoders.grid import GridEmbedding, GridEncoder
from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.layers import WithoutNormal, WordEmbedding
from nmt.nn.model import Model
from nmt.nn.recurrent.cell import Cell
from nmt.runs.checkpoint import (
    Checkpoint,
    find_misfit,
    find_not_finite,
    is_checkpoint,
    load_checkpoint,
)
from nmt.runs.run import BEST, Run
from nmt.system.memory import free_memory

_HEADER_BYTES: Final = 2**22  # of a safetensors file: about 100 for each tensor
_LARGEST_WEIGHT: Final = 1e12  # the product of two, summed over all units, fits in float32


def build_model(config: ModelConfig, source_size: int, target_size: int) -> Model:
    """A model with fresh parameters (drawn from torch's global generator).

    Args:
        config: the network.
        source_size: V of the source; ignored where that is grids.
        target_size: V of the target.
    """
    options, size = config.embedding, config.embedding.size
    embed = partial(
        WordEmbedding, size=size, dropout=options.dropout, word_dropout=options.word_dropout
    )
    target_embedding = embed(target_size)
    source_embedding: WordEmbedding | GridEmbedding
    encoder: Encoder
    if isinstance(config.encoder, GridEncoderConfig):
        source_embedding, encoder = _build_grid_encoder(config.encoder)
    else:
        source_embedding = target_embedding if options.tie == "all" else embed(source_size)
        encoder = _build_recurrent_encoder(config.encoder, size)
    decoder = _build_decoder(config, size, encoder.output_size)
    bridge = BRIDGES.create(
        config.bridge, encoder.output_size, decoder.state_size, config.decoder.num_layers
    )
    return Model(
        source_embedding,
        target_embedding,
        encoder,
        bridge,
        decoder,
        size,
        output_dropout=config.decoder.output_dropout,
        tie_projection=options.tie != "none",
    )


def _build_recurrent_encoder(options: EncoderConfig, size: int) -> RecurrentEncoder:
    return RecurrentEncoder(
        _cell_maker(options.cell, options.hidden_size),
        size,
        num_layers=options.num_layers,
        bidirectional=options.bidirectional,
        dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout,
        residual=options.residual,
    )


def _build_grid_encoder(options: GridEncoderConfig) -> tuple[GridEmbedding, GridEncoder]:
    embedding = GridEmbedding(
        options.channels,
        options.hidden_size,
        max_rows=options.max_rows,
        max_columns=options.max_columns,
    )
    return embedding, GridEncoder(options.hidden_size, dropout=options.dropout)


def _build_decoder(config: ModelConfig, size: int, value_size: int) -> Decoder:
    """A decoder with words and output vectors of `size`, over a memory of `value_size`."""
    options = config.decoder
    parts = DecoderParts(
        make_cell=_cell_maker(options.cell, options.hidden_size),
        attention=_build_attention(config.attention, options.hidden_size, value_size),
        input_size=size,
        value_size=value_size,
        output_size=size,
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


def _cell_maker(plugin: PlugIn, hidden_size: int) -> Callable[[int], Cell]:
    """Return what makes a cell from its input size."""
    return partial(CELLS.classes[plugin.name], hidden_size=hidden_size, **plugin.options)


def build_without_memory(config: ModelConfig, source_size: int, target_size: int) -> Model:
    """Return a model on the device "meta": its weights have shape and dtype, but no memory.

    Raises:
        RuntimeError: a size overflows.
    """
    with torch.device("meta"), WithoutNormal():
        return build_model(config, source_size, target_size)


def require_memory(
    config: ModelConfig, source_size: int, target_size: int, device: torch.device, copies: int
) -> None:
    """Refuse a model that is larger than the memory of a device, before it is built.

    Args:
        config: the network.
        source_size: V of the source.
        target_size: V of the target.
        device: where it would be.
        copies: of the weights that are needed at least, with gradients and averages.

    Raises:
        ConfigError: it does not fit.
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
            f"model: {size:,} parameters take at least {needed / 2**30:,.1f} GiB in training, and "
            f"{free / 2**30:,.1f} GiB are free on {device}; lower the hidden_size or num_layers of "
            "model.encoder and model.decoder, model.embedding.size, or the vocabulary"
        )


def build_empty(run: Run, source_size: int, target_size: int) -> Model:
    """Return the model of a run without memory, as `build_without_memory` does.

    Args:
        run: whose configuration says what the model is.
        source_size: tokens of the run's source tokenizer.
        target_size: tokens of the run's target tokenizer.

    Raises:
        RunError: a size overflows.
    """
    try:
        return build_without_memory(run.config.model, source_size, target_size)
    except RuntimeError as error:
        raise RunError(f"{run.folder.config}: the model is too large: {error}") from None


def load_weights(run: Run, checkpoint: str, parts: Sequence[str], model: Model) -> Checkpoint:
    """Read parts of a checkpoint of a run; no file is read that is too large for its model.

    Args:
        run: whose checkpoint it is.
        checkpoint: best, last or step-N.
        parts: which ones; "model" is one of them.
        model: of the run, as `build_empty` makes it.

    Raises:
        RunError: the checkpoint is missing, damaged, of another configuration or of other
            tokenizers, or holds weights that are NaN, infinite, or above 10^12.
    """
    folder, needed = run.folder.checkpoint(checkpoint), model.state_dict()
    # The states of optimizers are at most twice as large.
    most = 2 * sum(tensor.nbytes for tensor in needed.values()) + _HEADER_BYTES
    loaded = load_checkpoint(folder, parts, max_bytes=most)
    weights = loaded.tensors["model"]
    if (misfit := find_misfit(weights, needed)) is not None:
        raise RunError(
            f"{folder}: not a model of {run.folder.config} and the run's tokenizers ({misfit}): "
            "one of them comes from another run; bring back the one that belongs here"
        )
    for part in parts:
        if (name := find_not_finite(loaded.tensors[part])) is not None:
            raise RunError(
                f"{folder}: tensor {name!r} of {part} holds NaN or infinite numbers; use another "
                "checkpoint, or train again with a lower learning rate"
            )
    for name, tensor in weights.items():
        if bool((tensor.abs() > _LARGEST_WEIGHT).any()):
            raise RunError(
                f"{folder}: tensor {name!r} of model holds numbers above {_LARGEST_WEIGHT:g}, "
                "whose products are infinite; use another checkpoint, or train again with a lower "
                "learning rate"
            )
    return loaded


def load_model(
    run: Run, checkpoint: str, device: torch.device, source_size: int, target_size: int
) -> Model:
    """Return the model of a trained run, in evaluation mode.

    Args:
        run: whose checkpoint it is.
        checkpoint: best, last or step-N.
        device: where to put it.
        source_size: tokens of the run's source tokenizer.
        target_size: tokens of the run's target tokenizer.

    Raises:
        RunError: see `load_weights`.
    """
    best = run.folder.checkpoint(BEST)
    if checkpoint == BEST and not best.exists() and not is_checkpoint(best):
        raise RunError(
            f"{run.folder.path}: there is no best checkpoint, as the run was not validated yet: "
            "`nmt train CONFIG --resume` resumes it, or use the checkpoint `last`, if any"
        )
    model = build_empty(run, source_size, target_size)
    weights = load_weights(run, checkpoint, ["model"], model).tensors["model"]
    allocate(model, device)
    model.load_state_dict(weights)
    return model.eval()


def allocate(model: Model, device: torch.device) -> None:
    """Give a model on the device "meta" memory for its weights; what is tied stays tied."""
    allocated: dict[nn.Parameter, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            if weight not in allocated:
                allocated[weight] = nn.Parameter(
                    torch.empty(weight.shape, dtype=weight.dtype, device=device)
                )
            setattr(module, name, allocated[weight])
