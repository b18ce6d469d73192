"""The one place that knows both the configuration and the parts: from options to objects."""

from functools import partial

from nmt.config import (
    ALIGNMENTS,
    BRIDGES,
    CELLS,
    DECODERS,
    SCORES,
    ModelConfig,
)
from nmt.nn.attention.attention import Attention
from nmt.nn.embedding import WordEmbedding
from nmt.nn.encoder import RecurrentEncoder
from nmt.nn.model import Model
from nmt.nn.recurrent import Cell
from nmt.registry import PlugIn


def build_model(config: ModelConfig, source_size: int, target_size: int) -> Model:
    """A model with fresh parameters (drawn from torch's global generator).

    Args:
        config: the network.
        source_size: V of the source.
        target_size: V of the target.
    """
    embed = partial(
        WordEmbedding,
        size=config.embedding.size,
        dropout=config.embedding.dropout,
        word_dropout=config.embedding.word_dropout,
    )
    target_embedding = embed(target_size)
    source_embedding = target_embedding if config.embedding.tie == "all" else embed(source_size)
    encoder = RecurrentEncoder(
        partial(_make_cell, config.encoder.cell, config.encoder.hidden_size),
        config.embedding.size,
        num_layers=config.encoder.num_layers,
        bidirectional=config.encoder.bidirectional,
        dropout=config.encoder.dropout,
    )
    attention = Attention(
        SCORES.create(
            config.attention.score, config.decoder.hidden_size, encoder.output_size
        ),
        ALIGNMENTS.create(config.attention.alignment),
    )
    output_size = config.embedding.size
    decoder = DECODERS.create(
        config.decoder.style,
        partial(_make_cell, config.decoder.cell, config.decoder.hidden_size),
        attention,
        config.embedding.size,
        encoder.output_size,
        output_size,
        config.decoder.num_layers,
        config.decoder.dropout,
    )
    bridge = BRIDGES.create(
        config.bridge, encoder.output_size, decoder.state_size, config.decoder.num_layers
    )
    return Model(
        source_embedding,
        target_embedding,
        encoder,
        bridge,
        decoder,
        output_size,
        output_dropout=config.decoder.output_dropout,
        tie_projection=config.embedding.tie != "none",
    )


def _make_cell(plugin: PlugIn, hidden_size: int, input_size: int) -> Cell:
    cell: Cell = CELLS.create(plugin, input_size, hidden_size)
    return cell
