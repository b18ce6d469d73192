"""Options of the network."""

from math import gcd
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from nmt.config.messages import refuse, unknown
from nmt.config.registry import (
    ALIGNMENTS,
    BRIDGES,
    CELLS,
    DECODERS,
    SCORES,
    NumLayers,
    Options,
    PlugIn,
    Probability,
    Size,
)


def _check_residual(residual: bool, num_layers: int) -> None:
    if residual and num_layers == 1:
        refuse("residual", "connects layers, and there is one: set num_layers: 2 or more")


class EmbeddingConfig(Options):
    """Word vectors of both sides."""

    size: Size = 256
    """Size E of the word vectors."""
    dropout: Probability = 0.2
    """Dropout on the embedded words."""
    word_dropout: Probability = 0.0
    """Probability of zeroing a whole word vector in training (Sennrich 2016)."""
    tie: Literal["none", "target", "all"] = "target"
    """Tied weights: the output projection with the target embedding, or with both embeddings."""


class EncoderConfig(Options):
    """Recurrent encoder for text."""

    name: Literal["recurrent"] = "recurrent"
    """Name of the encoder; the options below are those of `recurrent`."""
    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    """Recurrent cell."""
    hidden_size: Size = 256
    """Hidden units of each layer and direction."""
    num_layers: NumLayers = 1
    """Number of layers."""
    bidirectional: bool = True
    """Read the sentence in both directions, and concatenate the states."""
    dropout: Probability = 0.2
    """Dropout on the output of each layer."""
    recurrent_dropout: Probability = 0.0
    """Dropout on the recurrent input of a cell, with the same mask at each step (Gal 2016)."""
    residual: bool = False
    """Add the input of each layer above the first to its output (Wu 2016)."""

    @property
    def output_size(self) -> int:
        """Return the size of an encoder state."""
        return self.hidden_size * (1 + self.bidirectional)

    def _check(self) -> None:
        _check_residual(self.residual, self.num_layers)


class GridEncoderConfig(Options):
    """Encoder for grids of numbers such as pictures (data.train.grids): one vector per cell."""

    name: Literal["grid"] = "grid"
    """Name of the encoder."""
    channels: Size
    """Number of channels of a cell."""
    hidden_size: Size = 256
    """Size of the vector of a cell."""
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Maximum number of rows of a grid."""
    max_columns: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Maximum number of columns of a grid."""
    dropout: Probability = 0.2
    """Dropout on the vectors of the cells."""

    @property
    def output_size(self) -> int:
        """Return the size of an encoder state."""
        return self.hidden_size


ENCODERS: Final[dict[str, type[EncoderConfig | GridEncoderConfig]]] = {
    "recurrent": EncoderConfig,
    "grid": GridEncoderConfig,
}


def read_encoder(given: Any) -> Any:
    """Return the options of the named encoder, by default `recurrent`.

    Raises:
        ValidationError: the name is unknown, or an option is invalid.
    """
    if isinstance(given, str):
        given = {"name": given}
    default = getattr(given, "name", "recurrent")
    name = str(given.get("name", default) if isinstance(given, dict) else default)
    if name not in ENCODERS:
        refuse("", unknown("encoder", name, list(ENCODERS)))
    return ENCODERS[name].model_validate(given)


class AttentionConfig(Options):
    """Attention of the decoder to the source."""

    score: Annotated[PlugIn, SCORES] = PlugIn(name="additive")
    """Score function of decoder state and source position."""
    alignment: Annotated[PlugIn, ALIGNMENTS] = PlugIn(name="softmax")
    """How scores become attention weights."""
    num_heads: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Number of attention heads; each gets a slice of the query and of the source states (Vaswani
    2017)."""

    def _check(self) -> None:
        score, alignment = self.score.name, self.alignment.name
        if not SCORES.find(score).is_constant:
            return
        if self.num_heads > 1:
            sentence = f"heads of the score {score!r} would all look alike; set it to 1"
            refuse("num_heads", sentence)
        if ALIGNMENTS.find(alignment).needs_distinct_scores:
            sentence = (
                f"{alignment!r} picks a position by its score, and {score!r} scores all alike; the "
                "nearest that works is softmax"
            )
            refuse("alignment", sentence)


class DecoderConfig(Options):
    """Decoder of the target; `style` picks the wiring."""

    style: Annotated[PlugIn, DECODERS] = PlugIn(name="bahdanau")
    """Wiring of cell, attention and output."""
    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    """Recurrent cell."""
    hidden_size: Size = 512
    """Hidden units of each layer."""
    num_layers: NumLayers = 1
    """Number of layers."""
    dropout: Probability = 0.2
    """Dropout on the states between layers."""
    recurrent_dropout: Probability = 0.0
    """Dropout on the recurrent input of a cell, with the same mask at each step (Gal 2016)."""
    residual: bool = False
    """Add the input of each layer above the first to its output (Wu 2016)."""
    output_dropout: Probability = 0.2
    """Dropout on the input of the output projection."""

    def _check(self) -> None:
        _check_residual(self.residual, self.num_layers)


class ModelConfig(Options):
    """The network."""

    embedding: EmbeddingConfig = Field(default_factory=EmbeddingConfig)
    """Word embeddings."""
    encoder: Annotated[EncoderConfig | GridEncoderConfig, BeforeValidator(read_encoder)] = Field(
        default_factory=EncoderConfig
    )
    """Encoder of the source."""
    bridge: Annotated[PlugIn, BRIDGES] = PlugIn(name="final")
    """How the encoder states initialize the decoder state."""
    attention: AttentionConfig | None = Field(default_factory=AttentionConfig)
    """Attention of the decoder; null: none, the source is one fixed vector (Cho 2014)."""
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)
    """Decoder of the target."""

    @property
    def has_dropout(self) -> bool:
        """Return whether any dropout makes two training passes over a batch differ.

        `encoder.dropout` acts on the states of all positions, on the input of the next layer and on
        the vectors of grids. It does not act on the final states of a single recurrent layer.
        """
        embedding, encoder, decoder = self.embedding, self.encoder, self.decoder
        rates = [embedding.dropout, embedding.word_dropout]
        rates += [decoder.recurrent_dropout, decoder.output_dropout]
        if decoder.num_layers > 1:
            rates.append(decoder.dropout)
        reads_states = self.attention is not None or BRIDGES.find(self.bridge.name).reads_states
        if isinstance(encoder, EncoderConfig):
            rates.append(encoder.recurrent_dropout)
            reads_states = reads_states or encoder.num_layers > 1
        if reads_states or isinstance(encoder, GridEncoderConfig):
            rates.append(encoder.dropout)
        return any(rates)

    def _check(self) -> None:
        self._check_style()
        self._check_heads()
        self._check_dot_product()

    def _check_style(self) -> None:
        """Refuse attention, or a bridge without source, for a decoder style without attention."""
        style, bridge = self.decoder.style.name, self.bridge.name
        if DECODERS.find(style).uses_attention:
            return
        if self.attention is not None:
            sentence = (
                f"{style!r} is the decoder without attention: set model.attention: null, or take "
                "another style"
            )
            refuse("decoder.style", sentence)
        if not BRIDGES.find(bridge).reads_source:
            sentence = (
                f"{bridge!r} keeps the source from {style!r}, which only knows it by its first "
                "state; the nearest that works is final"
            )
            refuse("bridge", sentence)

    def _check_dot_product(self) -> None:
        """Refuse dot-product scores of vectors of unequal sizes."""
        query, value = self.decoder.hidden_size, self.encoder.output_size
        if self.attention is None or query == value:
            return
        name, heads = self.attention.score.name, self.attention.num_heads
        if SCORES.find(name).needs_equal_sizes:
            each = f" ({query // heads} and {value // heads} for each head)" if heads > 1 else ""
            sentence = (
                f"{name!r} needs decoder and encoder states of one size, not {query} and {value}"
                f"{each}; set model.decoder.hidden_size: {value}, or model.attention.score: "
                "general (what earlier versions trained under this name)"
            )
            refuse("attention.score", sentence)

    def _check_heads(self) -> None:
        heads = 1 if self.attention is None else self.attention.num_heads
        query, value = self.decoder.hidden_size, self.encoder.output_size
        names = {"model.decoder.hidden_size": query, "the size of the encoder's states": value}
        for name, size in names.items():
            if size % heads:
                nearest = max(n for n in range(1, heads) if gcd(query, value) % n == 0)
                sentence = (
                    f"must divide {name} ({size}), which {heads} does not; the nearest that works "
                    f"is {nearest}"
                )
                refuse("attention.num_heads", sentence)
