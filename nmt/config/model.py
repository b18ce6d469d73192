"""Options of the network."""

from math import gcd
from typing import Annotated, Literal

from pydantic import Field

from nmt.config.messages import refuse
from nmt.config.registry import (
    ALIGNMENTS,
    BRIDGES,
    CELLS,
    DECODERS,
    ENCODERS,
    SCORES,
    Options,
    PlugIn,
)
from nmt.config.values import NumLayers, Probability, Size, is_unset


class EmbeddingConfig(Options):
    """Word vectors of both sides.

    Attributes:
        size: Size E of the word vectors.
        dropout: Dropout on the embedded words.
        word_dropout: Probability of zeroing a whole word vector in training (Sennrich 2016).
        tie: Tied weights. target: the output projection with the target embedding; all: with both
            embeddings; embeddings: the two embeddings with each other.
    """

    size: Size = 256
    dropout: Probability = 0.2
    word_dropout: Probability = 0.0
    tie: Literal["none", "target", "embeddings", "all"] = "target"

    @property
    def is_shared(self) -> bool:
        """Return whether source and target have the same word vectors."""
        return self.tie in ("embeddings", "all")

    @property
    def ties_projection(self) -> bool:
        """Return whether the projection has the word vectors of the target for its weights."""
        return self.tie in ("target", "all")


class AttentionConfig(Options):
    """Attention of the decoder to the source.

    Attributes:
        score: Score function of decoder state and source position.
        alignment: How scores become attention weights.
        num_heads: Number of attention heads; each gets a slice of the query and of the source
            states (Vaswani 2017).
    """

    score: Annotated[PlugIn, SCORES] = PlugIn(name="additive")
    alignment: Annotated[PlugIn, ALIGNMENTS] = PlugIn(name="softmax")
    num_heads: Annotated[int, Field(ge=1, le=1_000)] = 1

    def _check(self) -> None:
        score, alignment = self.score.name, self.alignment.name
        if not SCORES.find(score).is_constant:
            return
        if self.num_heads > 1:
            refuse("num_heads", f"must be 1 for the score {score!r}, whose heads are all equal")
        if ALIGNMENTS.find(alignment).needs_distinct_scores:
            sentence = (
                f"{alignment!r} is not supported with the constant score {score!r}; use softmax, "
                "for example"
            )
            refuse("alignment", sentence)


class DecoderConfig(Options):
    """Decoder of the target; `style` picks the wiring.

    Attributes:
        style: Wiring of cell, attention and output.
        cell: Recurrent cell.
        hidden_size: Hidden units of each layer.
        num_layers: Number of layers.
        dropout: Dropout on the states between layers.
        recurrent_dropout: Dropout on the recurrent input of a cell, with the same mask at each step
            (Gal 2016).
        residual: Add the input of each layer above the first to its output (Wu 2016).
        output_size: Size of the vectors that are projected to the vocabulary; null: the embedding
            size, which a tied projection requires.
        output_dropout: Dropout on the input of the output projection.
    """

    style: Annotated[PlugIn, DECODERS] = PlugIn(name="bahdanau")
    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    hidden_size: Size = 512
    num_layers: NumLayers = 1
    dropout: Probability = 0.2
    recurrent_dropout: Probability = 0.0
    residual: bool = False
    output_size: Size | None = Field(default=None, exclude_if=is_unset)
    output_dropout: Probability = 0.2

    def _check(self) -> None:
        if self.residual and self.num_layers == 1:
            refuse("residual", "needs several layers; set num_layers to 2 or more")


class ModelConfig(Options):
    """The network.

    Attributes:
        embedding: Word embeddings.
        encoder: Encoder of the source.
        bridge: How the encoder states initialize the decoder state.
        attention: Attention of the decoder; null: none, the source is one fixed vector (Cho 2014).
        decoder: Decoder of the target.
    """

    embedding: EmbeddingConfig = Field(default_factory=EmbeddingConfig)
    encoder: Annotated[PlugIn, ENCODERS] = PlugIn(name="recurrent")
    bridge: Annotated[PlugIn, BRIDGES] = PlugIn(name="final")
    attention: AttentionConfig | None = Field(default_factory=AttentionConfig)
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)

    @property
    def encoder_size(self) -> int:
        """Return the size of an encoder state."""
        size: int = ENCODERS.find(self.encoder.name).output_size(self.encoder.options)
        return size

    @property
    def output_size(self) -> int:
        """Return the size of a decoder vector, which is projected to the vocabulary."""
        return self.decoder.output_size or self.embedding.size

    @property
    def has_dropout(self) -> bool:
        """Return whether any dropout makes two training passes over a batch differ."""
        embedding, encoder, decoder = self.embedding, self.encoder, self.decoder
        rates = [embedding.dropout, embedding.word_dropout]
        rates += [decoder.recurrent_dropout, decoder.output_dropout]
        if decoder.num_layers > 1:
            rates.append(decoder.dropout)
        reads_states = self.attention is not None or BRIDGES.find(self.bridge.name).reads_states
        kind = ENCODERS.find(encoder.name)
        if any(rates) or kind.has_dropout(encoder.options, reads_states=reads_states):
            return True
        return any(CELLS.find(cell.name).has_dropout(cell.options) for cell in self.cells.values())

    @property
    def cells(self) -> dict[str, PlugIn]:
        """Return the cells of encoder and decoder, by the name of the side that has one."""
        cells = {"encoder": self.encoder.options.get("cell"), "decoder": self.decoder.cell}
        return {side: cell for side, cell in cells.items() if cell is not None}

    def _check(self) -> None:
        conflict = ENCODERS.find(self.encoder.name).find_conflict(self.encoder.options)
        if conflict is not None:
            option, sentence = conflict
            refuse(f"encoder.{option}", sentence)
        self._check_output_size()
        self._check_recurrent_dropout()
        self._check_style()
        self._check_heads()
        self._check_dot_product()

    def _check_output_size(self) -> None:
        """Refuse decoder vectors of another size than the word vectors that score them."""
        size, embedding = self.decoder.output_size, self.embedding
        if size is not None and size != embedding.size and embedding.ties_projection:
            sentence = (
                f"must be the embedding size {embedding.size} with a tied projection; set "
                "embedding.tie to none or embeddings, or leave it out"
            )
            refuse("decoder.output_size", sentence)

    def _check_recurrent_dropout(self) -> None:
        """Refuse recurrent dropout for a cell whose gates do not read the state."""
        rates = {
            "encoder": self.encoder.options.get("recurrent_dropout"),
            "decoder": self.decoder.recurrent_dropout,
        }
        for side, cell in self.cells.items():
            if rates[side] and not CELLS.find(cell.name).gates_read_state:
                sentence = (
                    f"is not supported by the cell {cell.name!r}, whose gates do not read the "
                    "state; set it to 0"
                )
                refuse(f"{side}.recurrent_dropout", sentence)

    def _check_style(self) -> None:
        """Refuse attention, or a bridge without source, for a decoder style without attention."""
        style, bridge = self.decoder.style.name, self.bridge.name
        if DECODERS.find(style).uses_attention:
            return
        if self.attention is not None:
            sentence = (
                f"{style!r} is the decoder without attention; set model.attention: null, or use "
                "another style"
            )
            refuse("decoder.style", sentence)
        if not BRIDGES.find(bridge).reads_source:
            sentence = (
                f"{bridge!r} does not pass the source to {style!r}, which has no attention; use "
                "final, for example"
            )
            refuse("bridge", sentence)

    def _check_dot_product(self) -> None:
        """Refuse dot-product scores of vectors of unequal sizes."""
        query, value = self.decoder.hidden_size, self.encoder_size
        if self.attention is None or query == value:
            return
        name, heads = self.attention.score.name, self.attention.num_heads
        if SCORES.find(name).needs_equal_sizes:
            each = f" ({query // heads} and {value // heads} for each head)" if heads > 1 else ""
            sentence = (
                f"{name!r} needs decoder and encoder states of equal size, not {query} and "
                f"{value}{each}; set model.decoder.hidden_size: {value}, or model.attention.score: "
                "general (which earlier versions used under this name)"
            )
            refuse("attention.score", sentence)

    def _check_heads(self) -> None:
        heads = 1 if self.attention is None else self.attention.num_heads
        query, value = self.decoder.hidden_size, self.encoder_size
        names = {"model.decoder.hidden_size": query, "the size of the encoder's states": value}
        for name, size in names.items():
            if size % heads:
                nearest = max(n for n in range(1, heads) if gcd(query, value) % n == 0)
                sentence = f"must divide {name} ({size}), not {heads}; the nearest is {nearest}"
                refuse("attention.num_heads", sentence)
