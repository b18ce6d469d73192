"""The options of the training engine."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from nmt.config.messages import explain, refuse, show
from nmt.config.registry import (
    METRICS,
    OPTIMIZERS,
    SCHEDULES,
    NumCandidates,
    Options,
    PlugIn,
    Positive,
    PositiveStrength,
    Probability,
    Strength,
    Text,
)
from nmt.core.errors import ConfigError


class ScheduledSamplingConfig(Options):
    """Feed the model its own words in training (Bengio 2015): the chance rises linearly."""

    start: Annotated[int, Field(ge=0)] = 0
    """Update at which the chance starts to rise from 0."""
    end: Positive = 20_000
    """Update at which it has reached `probability`."""
    probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """The chance in the end."""

    def _check(self) -> None:
        if self.end <= self.start:
            refuse("end", f"must be more than start ({self.start}), not {self.end}")


class GuidedAttentionConfig(Options):
    """Pull the weights to given alignments: `data.train.alignments` (Chen 2016; Liu 2016)."""

    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    """What is made small between the weights and the links."""
    weight: PositiveStrength = 1.0
    """Weight of this loss, added to that of the words."""


class ReinforceConfig(Options):
    """How an alignment learns that samples positions (`hard`; Xu 2015, eq. 11-13)."""

    weight: Strength = 1.0
    """Weight of this loss, added to that of the words."""
    entropy: Strength = 0.01
    """Weight of the entropy bonus."""
    discount: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """How much the words after its own count for a position; 0: only its own counts."""


class EarlyStoppingConfig(Options):
    """When to stop before the limits are reached."""

    metric: str = "bleu"
    """`loss`, or one of `training.validation.metrics`, by its `as` or name."""
    patience: Positive = 10
    """Validations in a row without a new best."""


class MetricConfig(PlugIn):
    """A metric and its options; of two of one name, each can have a label."""

    model_config = ConfigDict(serialize_by_alias=True)

    given_label: Text | None = Field(default=None, alias="as")
    """What `best`, early stopping and `tune` call it, where two have one name; null: its name."""

    @property
    def label(self) -> str:
        """What it is called."""
        return self.given_label or self.name

    def with_tokenizer(self, tokenizer: str) -> Self:
        """Return the same with a tokenizer in the place of `tokenize: auto`."""
        if self.options.get("tokenize") != "auto":
            return self
        return self.model_copy(update={"tokenize": tokenizer})


class ValidationConfig(Options):
    """How the model is measured while it trains."""

    every: Positive | None = None
    """Updates between validations; null: once an epoch."""
    metrics: list[Annotated[MetricConfig, METRICS]] = Field(default=[MetricConfig(name="bleu")])
    """Metrics of translations made as `translate` makes them; [] for the loss only."""
    beam_size: NumCandidates | None = 1
    """Beam of a quick search for these translations, without `decoding.mbr` (1 is greedy); null:
    the search of `decoding`. All other options of `decoding` hold."""
    best: str = "bleu"
    """What the best checkpoint is chosen by: `loss` or one of the metrics, by its `as` or name."""
    num_samples: Annotated[int, Field(ge=0)] = 3
    """Translations shown in the log at each new best."""

    @field_validator("metrics", mode="before")
    @classmethod
    def _read_metrics(cls, given: Any) -> Any:
        """Accept one metric for a list of it; options without a name are those of bleu."""
        if isinstance(given, dict):
            return [{"name": "bleu", **given}]
        return [given] if isinstance(given, str) else given

    def _check(self) -> None:
        seen: set[str] = set()
        for index, metric in enumerate(self.metrics):
            name, label = metric.name, metric.label
            if label in seen:
                sentence = (
                    f"{label!r} is in the list before; give this one a name of its own, as in "
                    f"{{name: {name}, as: {name}_2}}"
                )
                refuse(f"metrics[{index}]", sentence)
            if label != name and label in ("loss", *METRICS.classes):
                sentence = f"{label!r} is the name of something else; choose another"
                refuse(f"metrics[{index}].as", sentence)
            seen.add(label)
        if self.best not in self.choices:
            refuse("best", _unmeasured(self.best, self.choices))

    @property
    def choices(self) -> list[str]:
        """What a model can be chosen by."""
        return ["loss", *(metric.label for metric in self.metrics)]

    @property
    def bleu_tokenizer(self) -> str:
        """The tokenizer of BLEU that `best`, or else the first metric, has; auto: none is set."""
        metrics = sorted(self.metrics, key=lambda metric: metric.label != self.best)
        chosen = (metric.options.get("tokenize", "auto") for metric in metrics)
        return next((name for name in chosen if name != "auto"), "auto")

    def with_tokenizer(self, tokenizer: str) -> Self:
        """Return the same with a tokenizer in the place of `tokenize: auto`."""
        return self._with_tokenizers({}, tokenizer)

    def with_tokenizers_of(self, other: "ValidationConfig") -> Self:
        """Return the same with what metrics of these labels have in the place of `tokenize: auto`.

        A metric that the other has not gets the tokenizer of its BLEU.
        """
        known = {metric.label: metric.options.get("tokenize", "auto") for metric in other.metrics}
        return self._with_tokenizers(known, other.bleu_tokenizer)

    def _with_tokenizers(self, known: dict[str, str], default: str) -> Self:
        """Return the same with a tokenizer by the label of each metric, or the default."""
        metrics = [each.with_tokenizer(known.get(each.label, default)) for each in self.metrics]
        return self.model_copy(update={"metrics": metrics})

    def find_metric(self, label: str) -> MetricConfig:
        """Return the metric of that label; else the plain one of that name, with their tokenizer.

        Raises:
            ConfigError: the name is unknown.
        """
        own = (metric for metric in self.metrics if metric.label == label)
        return next(own, None) or read_metrics(label)[0].with_tokenizer(self.bleu_tokenizer)


def read_metrics(given: Any) -> list[MetricConfig]:
    """Check metrics that do not come from a configuration, and complete their options.

    Args:
        given: as `training.validation.metrics`.

    Raises:
        ConfigError: a name, option or value that is not allowed.
    """
    try:
        return ValidationConfig.model_validate({"metrics": given, "best": "loss"}).metrics
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = "".join(f"{part}: " for part in problem["loc"][1:] if isinstance(part, str))
        raise ConfigError(f"{option}{explain(problem)}") from None


class CheckpointConfig(Options):
    """What is kept on disk."""

    every: Positive | None = 1_000
    """Updates between saves; there is one at each validation as well. null: only those."""
    keep_last: Positive = 3
    """Snapshots of the weights kept from the latest validations."""
    average_last: Annotated[int, Field(ge=0)] = 0
    """At the end, average this many of them and keep the average if it is better; 0: do not."""


class RanksConfig(Options):
    """How the processes of torchrun train together."""

    gradients: Literal["float32", "bfloat16"] = "float32"
    """What gradients are sent as; in bfloat16 they take half the time of a slow network."""
    shard_optimizer: bool = False
    """Each process keeps a share of the optimizer's state (ZeRO-1: Rajbhandari 2020)."""


class TrainingConfig(Options):
    """The training engine."""

    batch_tokens: Positive | Literal["auto"] | None = 4_000
    """Most tokens of a side in a batch, padding counted; auto: what fits in memory, up to 25,000
    and to a hundredth of an epoch; null: any, and `batch_sentences` rules."""
    batch_sentences: Positive | None = None
    """Most sentences in a batch; null: any. Where `batch_tokens` is set too, both hold."""
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
    r_drop: Strength = 0.0
    """How much two passes are to agree (Liang 2021: alpha / 2), in twice the time; 0: one pass."""
    scheduled_sampling: ScheduledSamplingConfig | None = None
    """Feed the model its own words; null: only teacher forcing."""
    coverage_loss: Strength = 0.0
    """Weight of the loss against looking twice at one place (See 2017, eq. 13)."""
    guided_attention: GuidedAttentionConfig | None = None
    """Pull the weights to given alignments; null: learn them only from the words."""
    reinforce: ReinforceConfig = Field(default_factory=ReinforceConfig)
    """How an alignment learns that samples positions."""
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Exponential moving average of the weights, used to validate and translate; null: none."""
    max_epochs: Positive | None = 50
    """Passes over the data; null: any number."""
    max_updates: Positive | None = None
    """Updates; null: any number."""
    max_bad_updates: Positive = 20
    """Updates in a row with a non-finite loss or gradient before training gives up."""
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    """How the model is measured while it trains."""
    early_stopping: EarlyStoppingConfig | None = Field(default_factory=EarlyStoppingConfig)
    """When to stop before the limits are reached; null: never."""
    checkpoints: CheckpointConfig = Field(default_factory=CheckpointConfig)
    """What is kept on disk."""
    ranks: RanksConfig = Field(default_factory=RanksConfig)
    """How the processes of torchrun train together."""
    log_every: Positive = 50
    """Updates between lines of `metrics.jsonl`."""
    tensorboard: bool = False
    """Write the metrics for TensorBoard as well (needs the extra `tensorboard`)."""
    num_threads: Annotated[int, Field(ge=1, le=1_024)] | None = None
    """CPU threads; null: what torch chooses. Fewer may be faster where others use its cores."""

    @field_validator("batch_tokens", mode="wrap")
    @classmethod
    def _explain_alternatives(cls, given: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(given)
        except ValidationError:
            sentence = f"must be a whole number of at least 1, 'auto' or null, not {show(given)}"
            refuse("", sentence)

    def _check(self) -> None:
        if self.batch_tokens is None and self.batch_sentences is None:
            sentence = "neither batch_tokens nor batch_sentences is set; set one, or both"
            refuse("batch_tokens", sentence)
        if self.early_stopping is None and self.max_epochs is None and self.max_updates is None:
            sentence = "training would never end; set max_epochs, max_updates or early_stopping"
            refuse("max_epochs", sentence)
        if self.r_drop > 0.0 and self.scheduled_sampling is not None:
            sentence = (
                "two passes that are fed other words should not agree; set it to null, or r_drop "
                "to 0"
            )
            refuse("scheduled_sampling", sentence)
        choices = self.validation.choices
        if self.early_stopping is not None and self.early_stopping.metric not in choices:
            sentence = _unmeasured(self.early_stopping.metric, choices)
            refuse("early_stopping.metric", sentence)


def _unmeasured(metric: str, choices: list[str]) -> str:
    return (
        f"{metric!r} is not measured; allowed: {', '.join(choices)} "
        "(others once they are listed in training.validation.metrics)"
    )
