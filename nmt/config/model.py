"""The options of the network."""

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
    """E, the size of one vector."""
    dropout: Probability = 0.2
    """Dropout on the embedded words."""
    word_dropout: Probability = 0.0
    """Chance that a whole word is blanked out in training (Sennrich 2016)."""
    tie: Literal["none", "target", "all"] = "target"
    """Share the output projection with the target embedding, or with source and target."""


class EncoderConfig(Options):
    """Reads text with recurrent layers."""

    name: Literal["recurrent"] = "recurrent"
    """Which encoder; the options below are those of `recurrent`."""
    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    """Recurrent cell."""
    hidden_size: Size = 256
    """Units in one direction of one layer."""
    num_layers: NumLayers = 1
    """L."""
    bidirectional: bool = True
    """Read from both ends; the states are concatenated."""
    dropout: Probability = 0.2
    """Dropout on the states that leave each layer."""
    recurrent_dropout: Probability = 0.0
    """Dropout on what a cell reads of its own state, the same numbers at each step (Gal 2016)."""
    residual: bool = False
    """Add what goes into a layer, above the first, to what comes out (Wu 2016)."""

    @property
    def output_size(self) -> int:
        """Numbers in one of its states."""
        return self.hidden_size * (1 + self.bidirectional)

    def _check(self) -> None:
        _check_residual(self.residual, self.num_layers)


class GridEncoderConfig(Options):
    """Reads grids of numbers (data.train.grids), as pictures: a vector for each cell."""

    name: Literal["grid"] = "grid"
    """Which encoder."""
    channels: Size
    """Numbers in a cell."""
    hidden_size: Size = 256
    """H, of a cell's vector."""
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Most rows of a grid."""
    max_columns: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Most columns of a grid."""
    dropout: Probability = 0.2
    """Dropout on the vectors of the cells."""

    @property
    def output_size(self) -> int:
        """Numbers in one of its states."""
        return self.hidden_size


ENCODERS: Final[dict[str, type[EncoderConfig | GridEncoderConfig]]] = {
    "recurrent": EncoderConfig,
    "grid": GridEncoderConfig,
}


def read_encoder(given: Any) -> Any:
    """Return the options of the encoder that is named; of `recurrent` where none is.

    Raises:
        ValidationError: there is no encoder of that name, or an option is wrong.
    """
    if isinstance(given, str):
        given = {"name": given}
    default = getattr(given, "name", "recurrent")
    name = str(given.get("name", default) if isinstance(given, dict) else default)
    if name not in ENCODERS:
        refuse("", unknown("encoder", name, list(ENCODERS)))
    return ENCODERS[name].model_validate(given)


class AttentionConfig(Options):
    """Where the decoder looks."""

    score: Annotated[PlugIn, SCORES] = PlugIn(name="additive")
    """How well each source position fits."""
    alignment: Annotated[PlugIn, ALIGNMENTS] = PlugIn(name="softmax")
    """What weights follow from the scores."""
    num_heads: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Attentions side by side, each with a share of the numbers (Vaswani 2017)."""

    def _check(self) -> None:
        score, alignment = self.score.name, self.alignment.name
        if not SCORES.classes[score].is_constant:
            return
        if self.num_heads > 1:
            sentence = f"heads of the score {score!r} would all look alike; set it to 1"
            refuse("num_heads", sentence)
        if ALIGNMENTS.classes[alignment].needs_distinct_scores:
            sentence = (
                f"{alignment!r} picks a position by its score, and {score!r} scores all alike; the "
                "nearest that works is softmax"
            )
            refuse("alignment", sentence)


class DecoderConfig(Options):
    """Writes the target; `style` picks the wiring."""

    style: Annotated[PlugIn, DECODERS] = PlugIn(name="bahdanau")
    """Wiring of cell, attention and output."""
    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    """Recurrent cell."""
    hidden_size: Size = 512
    """H of the decoder."""
    num_layers: NumLayers = 1
    """L."""
    dropout: Probability = 0.2
    """Dropout on the states between layers."""
    recurrent_dropout: Probability = 0.0
    """Dropout on what a cell reads of its own state, the same numbers at each step (Gal 2016)."""
    residual: bool = False
    """Add what goes into a layer, above the first, to what comes out (Wu 2016)."""
    output_dropout: Probability = 0.2
    """Dropout on the vector before the projection to the vocabulary."""

    def _check(self) -> None:
        _check_residual(self.residual, self.num_layers)


class ModelConfig(Options):
    """The network."""

    embedding: EmbeddingConfig = Field(default_factory=EmbeddingConfig)
    """Word vectors."""
    encoder: Annotated[EncoderConfig | GridEncoderConfig, BeforeValidator(read_encoder)] = Field(
        default_factory=EncoderConfig
    )
    """Source side."""
    bridge: Annotated[PlugIn, BRIDGES] = PlugIn(name="final")
    """How the source gives the decoder its first state."""
    attention: AttentionConfig | None = Field(default_factory=AttentionConfig)
    """Where the decoder looks; null: nowhere, the source is one fixed vector (Cho 2014)."""
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)
    """Target side."""

    @property
    def has_dropout(self) -> bool:
        """Whether two passes over a batch differ in training by what is dropped.

        The last states of the only recurrent layer are taken before `encoder.dropout`; the states
        of all positions, what a layer above reads, and the vectors of grids come after it.
        """
        embedding, encoder, decoder = self.embedding, self.encoder, self.decoder
        rates = [embedding.dropout, embedding.word_dropout]
        rates += [decoder.recurrent_dropout, decoder.output_dropout]
        if decoder.num_layers > 1:
            rates.append(decoder.dropout)
        reads_states = self.attention is not None or BRIDGES.classes[self.bridge.name].reads_states
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
        """Refuse an attention, or a bridge, that a decoder without attention cannot use."""
        style, bridge = self.decoder.style.name, self.bridge.name
        if DECODERS.classes[style].uses_attention:
            return
        if self.attention is not None:
            sentence = (
                f"{style!r} is the decoder without attention: set model.attention: null, or take "
                "another style"
            )
            refuse("decoder.style", sentence)
        if not BRIDGES.classes[bridge].reads_source:
            sentence = (
                f"{bridge!r} keeps the source from {style!r}, which only knows it by its first "
                "state; the nearest that works is final"
            )
            refuse("bridge", sentence)

    def _check_dot_product(self) -> None:
        """Refuse a product of vectors of unequal sizes."""
        query, value = self.decoder.hidden_size, self.encoder.output_size
        if self.attention is None or query == value:
            return
        name, heads = self.attention.score.name, self.attention.num_heads
        if SCORES.classes[name].needs_equal_sizes:
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
