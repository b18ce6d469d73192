"""The whole tree of options: what a YAML file may say, with types, defaults and help.

The models are frozen and refuse unknown keys. Nothing here imports torch, so that a bad
configuration is refused at once. A plug-in's own options are not listed here: they are the
keyword-only arguments of its constructor (see `nmt.registry`).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nmt.registry import PlugIn, Table

CONFIG_VERSION = 1

# Where each kind of plug-in is listed: a torch-free pointer to the table beside the classes.
TOKENIZERS = Table("tokenizer", "nmt.text.tokenizers", "TOKENIZERS")
CELLS = Table("cell", "nmt.nn.recurrent", "CELLS")
BRIDGES = Table("bridge", "nmt.nn.bridge", "BRIDGES")
SCORES = Table("score", "nmt.nn.attention.score", "SCORES")
ALIGNMENTS = Table("alignment", "nmt.nn.attention.alignment", "ALIGNMENTS")
DECODERS = Table("decoder style", "nmt.nn.decoder", "DECODERS")
OPTIMIZERS = Table("optimizer", "nmt.training.optimization", "OPTIMIZERS")
SCHEDULES = Table("schedule", "nmt.training.schedule", "SCHEDULES")
SEARCHES = Table("search", "nmt.search.searches", "SEARCHES")
LENGTH_PENALTIES = Table("length penalty", "nmt.search.penalties", "LENGTH_PENALTIES")
METRICS = Table("metric", "nmt.metrics", "METRICS")


class Options(BaseModel):
    """A group of options: frozen, unknown keys refused, every field with a line of help."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class CorpusConfig(Options):
    """Parallel text: two aligned files, or one TSV file with two columns; plain or .gz."""

    source: str | None = None
    """File of source sentences, one a line."""
    target: str | None = None
    """File of target sentences, line for line."""
    tsv: str | None = None
    """One file instead of two: source, a tab, target."""
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    """How often the corpus is seen, against the others: 2 is twice an epoch, 0.5 every other one."""


class FilterConfig(Options):
    """What training pairs are left out; each reason is counted and reported."""

    max_length: Positive = 100
    """Most tokens a side (after the tokenizer)."""
    max_length_ratio: Annotated[float, Field(ge=1.0)] | None = None
    """Most tokens of one side for each token of the other; null: any."""
    deduplicate: bool = False
    """Keep only the first of identical pairs."""


class DataConfig(Options):
    """The corpora."""

    train: Annotated[list[CorpusConfig], BeforeValidator(_as_list)]
    """One corpus or a list of them."""
    valid: CorpusConfig | None = None
    """What training is steered by: loss, metrics, early stopping."""
    test: CorpusConfig | None = None
    """Scored once, when training ends."""
    filters: FilterConfig = FilterConfig()
    """Training pairs to leave out."""
    cache: str | None = None
    """Folder for the encoded corpora, shared between runs; null: inside the run."""


class TokenizerConfig(Options):
    """How text becomes tokens; `name` picks the tokenizer and the other keys are its options."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str = "sentencepiece"
    """Which tokenizer."""
    shared: bool = True
    """One vocabulary for both languages (needed to tie all embeddings)."""
    normalization: Literal["nfkc", "none"] = "nfkc"
    """Unicode normal form applied to all text before it is split."""
    lowercase: bool = False
    """Lowercase all text first."""
    source_path: str | None = None
    """A folder with a saved tokenizer to use for the source (or for both, if shared), not to train."""
    target_path: str | None = None
    """The same for the target, where the vocabulary is not shared."""


class EmbeddingConfig(Options):
    """Word vectors of both sides."""

    size: Positive = 256
    """E, the size of one vector."""
    dropout: Probability = 0.2
    """Dropout on the embedded words."""
    word_dropout: Probability = 0.0
    """Chance that a whole word is blanked out in training (Gal & Ghahramani 2016)."""
    tie: Literal["none", "target", "all"] = "target"
    """Share the output projection with the target embedding, or with source and target."""


class EncoderConfig(Options):
    """Reads the source."""

    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    """Recurrent cell."""
    hidden_size: Positive = 256
    """Units in one direction of one layer."""
    num_layers: Positive = 1
    """L."""
    bidirectional: bool = True
    """Read from both ends; the states are concatenated."""
    dropout: Probability = 0.2
    """Dropout on the states that leave each layer."""


class AttentionConfig(Options):
    """Where the decoder looks."""

    score: Annotated[PlugIn, SCORES] = PlugIn(name="additive")
    """How well each source position fits."""
    alignment: Annotated[PlugIn, ALIGNMENTS] = PlugIn(name="softmax")
    """What weights follow from the scores."""


class DecoderConfig(Options):
    """Writes the target; `style` picks the wiring."""

    style: Annotated[PlugIn, DECODERS] = PlugIn(name="bahdanau")
    """Wiring of cell, attention and output."""
    cell: Annotated[PlugIn, CELLS] = PlugIn(name="gru")
    """Recurrent cell."""
    hidden_size: Positive = 512
    """H of the decoder."""
    num_layers: Positive = 1
    """L."""
    dropout: Probability = 0.2
    """Dropout on the states between layers."""
    output_dropout: Probability = 0.2
    """Dropout on the vector before the projection to the vocabulary."""


class ModelConfig(Options):
    """The network."""

    embedding: EmbeddingConfig = EmbeddingConfig()
    """Word vectors."""
    encoder: EncoderConfig = EncoderConfig()
    """Source side."""
    bridge: Annotated[PlugIn, BRIDGES] = PlugIn(name="final")
    """How the source gives the decoder its first state."""
    attention: AttentionConfig = AttentionConfig()
    """Where the decoder looks."""
    decoder: DecoderConfig = DecoderConfig()
    """Target side."""


class ScheduledSamplingConfig(Options):
    """Feed the model its own words in training (Bengio 2015): the chance rises linearly."""

    start: Annotated[int, Field(ge=0)] = 0
    """Update at which the chance starts to rise from 0."""
    end: Positive = 20_000
    """Update at which it has reached `probability`."""
    probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """The chance in the end."""


class EarlyStoppingConfig(Options):
    """When to stop before the limits are reached."""

    metric: str = "bleu"
    """`loss`, or one of `training.validation.metrics`."""
    patience: Positive = 10
    """Validations in a row without a new best."""


class ValidationConfig(Options):
    """How the model is measured while it trains."""

    every: Positive | None = None
    """Updates between validations; null: once an epoch."""
    metrics: list[Annotated[str, METRICS]] = ["bleu"]
    """Translation metrics, measured with the search that `translate` uses; [] for the loss alone."""
    beam_size: Positive | None = 1
    """Beam for these translations (1 is greedy); null: that of `decoding`."""
    best: str = "bleu"
    """What the best checkpoint is chosen by: `loss` or one of the metrics."""
    num_samples: Annotated[int, Field(ge=0)] = 3
    """Translations shown in the log at each validation."""


class CheckpointConfig(Options):
    """What is kept on disk."""

    every: Positive | None = 1_000
    """Updates between saves; there is one at each validation as well. null: only those."""
    keep_last: Positive = 3
    """Snapshots of the weights kept from the latest validations."""
    average_last: Annotated[int, Field(ge=0)] = 0
    """At the end, average this many of them and keep the average if it is better; 0: do not."""


class TrainingConfig(Options):
    """The training engine."""

    batch_tokens: Positive | None = 4_000
    """Most target tokens in a batch, padding counted; null with `batch_sentences`."""
    batch_sentences: Positive | None = None
    """Most sentences in a batch."""
    accumulate: Positive = 1
    """Batches to one update; the gradient is divided by the tokens of them all."""
    optimizer: Annotated[PlugIn, OPTIMIZERS] = PlugIn(name="adam")
    """Update rule and its learning rate."""
    schedule: Annotated[PlugIn, SCHEDULES] = PlugIn(name="constant")
    """How the learning rate moves."""
    clip_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Largest norm of the gradient; null: any."""
    label_smoothing: Probability = 0.1
    """Share of the probability spread over all words (Szegedy 2016)."""
    scheduled_sampling: ScheduledSamplingConfig | None = None
    """Feed the model its own words; null: teacher forcing alone."""
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Exponential moving average of the weights, used to validate and translate; null: none."""
    max_epochs: Positive | None = 50
    """Passes over the data; null: any number."""
    max_updates: Positive | None = None
    """Updates; null: any number."""
    max_bad_updates: Positive = 20
    """Updates in a row with a non-finite loss or gradient before training gives up."""
    validation: ValidationConfig = ValidationConfig()
    """How the model is measured while it trains."""
    early_stopping: EarlyStoppingConfig | None = EarlyStoppingConfig()
    """When to stop before the limits are reached; null: never."""
    checkpoints: CheckpointConfig = CheckpointConfig()
    """What is kept on disk."""
    log_every: Positive = 50
    """Updates between lines of `metrics.jsonl`."""
    tensorboard: bool = False
    """Write the metrics for TensorBoard as well (needs the extra `tensorboard`)."""
    num_threads: Positive | None = None
    """CPU threads; null: what torch chooses."""


class DecodingConfig(Options):
    """How a trained model translates."""

    search: Annotated[PlugIn, SEARCHES] = PlugIn(name="beam")
    """How the best translation is looked for."""
    beam_size: Positive = 5
    """Hypotheses kept at each step (1 is greedy)."""
    n_best: Positive = 1
    """Translations for each sentence; at most `beam_size`."""
    length_penalty: Annotated[PlugIn, LENGTH_PENALTIES] = PlugIn(name="average")
    """How the log-probability becomes a score that is fair to long translations."""
    min_length: Annotated[int, Field(ge=0)] = 0
    """Fewest tokens of a translation, EOS not counted."""
    max_length: Positive = 250
    """Most tokens of a translation, EOS not counted."""
    max_length_ratio: Annotated[float, Field(gt=0.0)] | None = 3.0
    """Most tokens for each source token (10 more are granted); null: any."""
    batch_tokens: Positive = 4_000
    """Most source tokens translated at once, padding counted."""
    max_source_length: Positive = 1_000
    """Tokens of a source line that are read; what is beyond is cut, with a warning."""


class Config(Options):
    """One experiment."""

    version: Literal[1] = CONFIG_VERSION
    """Version of the format of this file."""
    run: str
    """Folder for everything of the run."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of everything random."""
    device: str = "auto"
    """auto, cpu, cuda, or cuda:N."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the computation; the weights are float32 always."""
    data: DataConfig
    """The corpora."""
    tokenizer: Annotated[TokenizerConfig, TOKENIZERS] = TokenizerConfig()
    """How text becomes tokens."""
    model: ModelConfig = ModelConfig()
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """The training engine."""
    decoding: DecodingConfig = DecodingConfig()
    """How the trained model translates."""
