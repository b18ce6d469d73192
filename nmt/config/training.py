"""Options of the training engine."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from nmt.config.losses import GuidedAttentionConfig, ReinforceConfig, ScheduledSamplingConfig
from nmt.config.messages import explain, refuse, show
from nmt.config.registry import LOSSES, METRICS, OPTIMIZERS, SCHEDULES, Options, PlugIn
from nmt.config.values import NumCandidates, Positive, Probability, Strength, Text, is_unset
from nmt.core.errors import ConfigError

# Options of `training` that are loss terms with a key of their own, in the order of their sum.
_LOSSES: Final = ("label_smoothing", "coverage_loss", "r_drop", "guided_attention", "reinforce")


class EarlyStoppingConfig(Options):
    """Early stopping, before the limits of training are reached.

    Attributes:
        metric: Metric to watch: `loss`, or one of `training.validation.metrics` by its `as` or
            name.
        patience: Consecutive validations without improvement before training stops.
    """

    metric: str = "bleu"
    patience: Positive = 10


class MetricConfig(PlugIn):
    """A metric and its options; labels tell two metrics of the same name apart.

    Attributes:
        given_label: Label in `best`, early stopping and `tune`, needed if two share a name; null:
            the name.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    given_label: Text | None = Field(default=None, alias="as")

    @property
    def label(self) -> str:
        """Return the label of the metric, by default its name, without a file or module."""
        return self.given_label or self.name.rpartition(":")[2]

    def with_tokenizer(self, tokenizer: str) -> Self:
        """Return a copy with a tokenizer instead of `tokenize: auto`."""
        if self.options.get("tokenize") != "auto":
            return self
        return self.model_copy(update={"tokenize": tokenizer})


class ValidationConfig(Options):
    """Validation during training.

    Attributes:
        every: Updates between validations; null: once per epoch.
        metrics: Metrics of the translations of the validation set; []: only the loss.
        beam_size: Beam size for these translations (1: greedy search); null: search as set in
            `decoding.search`. All options of `decoding` apply to them except `mbr`.
        best: Metric that selects the best checkpoint: `loss`, or one of `metrics` by its `as` or
            name.
        num_samples: Translations logged at each new best checkpoint.
    """

    every: Positive | None = None
    metrics: list[Annotated[MetricConfig, METRICS]] = Field(default=[MetricConfig(name="bleu")])
    beam_size: NumCandidates | None = 1
    best: str = "bleu"
    num_samples: Annotated[int, Field(ge=0)] = 3

    @field_validator("metrics", mode="before")
    @classmethod
    def _read_metrics(cls, given: Any) -> Any:
        """Accept a single metric in place of a list; options without a name mean bleu."""
        if isinstance(given, dict):
            return [{"name": "bleu", **given}]
        return [given] if isinstance(given, str) else given

    def _check(self) -> None:
        seen: set[str] = set()
        for index, metric in enumerate(self.metrics):
            name, label = metric.name, metric.label
            if label in seen:
                sentence = (
                    f"{label!r} is listed twice; give this one another name, as in {{name: {name}, "
                    f"as: {name}_2}}"
                )
                refuse(f"metrics[{index}]", sentence)
            if label != name and label in ("loss", *METRICS.classes):
                refuse(f"metrics[{index}].as", f"{label!r} is reserved; choose another")
            seen.add(label)
        self.require_measured("best", self.best)

    def require_measured(self, option: str, label: str) -> None:
        """Refuse an option whose metric is neither the loss nor one of `metrics`."""
        allowed = ["loss", *(metric.label for metric in self.metrics)]
        if label not in allowed:
            choices = f"{', '.join(allowed)} (list others in training.validation.metrics)"
            refuse(option, f"{label!r} is not measured; allowed: {choices}")

    @property
    def bleu_tokenizer(self) -> str:
        """Return the BLEU tokenizer of `best`, else the first that is set, else ``auto``."""
        metrics = sorted(self.metrics, key=lambda metric: metric.label != self.best)
        chosen = (metric.options.get("tokenize", "auto") for metric in metrics)
        return next((name for name in chosen if name != "auto"), "auto")

    def with_tokenizer(self, tokenizer: str) -> Self:
        """Return a copy with a tokenizer instead of `tokenize: auto`."""
        return self._with_tokenizers({}, tokenizer)

    def with_tokenizers_of(self, other: "ValidationConfig") -> Self:
        """Return a copy with the tokenizers of another validation instead of `tokenize: auto`.

        Metrics are matched by label. A metric that the other does not have takes its BLEU
        tokenizer.
        """
        known = {metric.label: metric.options.get("tokenize", "auto") for metric in other.metrics}
        return self._with_tokenizers(known, other.bleu_tokenizer)

    def _with_tokenizers(self, known: dict[str, str], default: str) -> Self:
        """Return a copy with the tokenizer of each metric's label, or the default."""
        metrics = [each.with_tokenizer(known.get(each.label, default)) for each in self.metrics]
        return self.model_copy(update={"metrics": metrics})

    def find_metric(self, label: str) -> MetricConfig:
        """Return the metric with a label, or else the metric of that name with default options.

        The latter takes the BLEU tokenizer of the validation metrics.

        Raises:
            ConfigError: the name is unknown.
        """
        own = (metric for metric in self.metrics if metric.label == label)
        return next(own, None) or read_metrics(label)[0].with_tokenizer(self.bleu_tokenizer)


def read_metrics(given: Any) -> list[MetricConfig]:
    """Check metrics that are not from a configuration, and complete their options.

    Args:
        given: metrics in the format of `training.validation.metrics`.

    Raises:
        ConfigError: a name, option or value is not allowed.
    """
    try:
        return ValidationConfig.model_validate({"metrics": given, "best": "loss"}).metrics
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = "".join(f"{part}: " for part in problem["loc"][1:] if isinstance(part, str))
        raise ConfigError(f"{option}{explain(problem)}") from None


class CheckpointConfig(Options):
    """Checkpoints on disk.

    Attributes:
        every: Updates between saves, besides the save at each validation; null: only at
            validations.
        keep_last: Number of the latest validations whose weights are kept.
        average_last: Number of these validations whose weights are averaged at the end; the average
            is kept if it is better. 0: off.
    """

    every: Positive | None = 1_000
    keep_last: Positive = 3
    average_last: Annotated[int, Field(ge=0)] = 0


class RanksConfig(Options):
    """Distributed training with torchrun.

    Attributes:
        gradients: Data type of gradients on the network; bfloat16 halves the time on a slow
            network.
        shard_optimizer: Shard the optimizer state over the processes (ZeRO-1, Rajbhandari 2020).
    """

    gradients: Literal["float32", "bfloat16"] = "float32"
    shard_optimizer: bool = False


class TrainingConfig(Options):
    """The training engine.

    Attributes:
        batch_tokens: Maximum tokens per side of a batch, with padding; null: no limit. auto: as
            many as fit in memory, up to 25,000 and to a hundredth of an epoch.
        batch_sentences: Maximum sentences in a batch; null: no limit. If `batch_tokens` is set too,
            both apply.
        accumulate: Batches per update (gradient accumulation); the gradient is divided by their
            total tokens.
        optimizer: Optimizer and its learning rate.
        schedule: Learning rate schedule.
        clip_norm: Maximum norm of the gradient, which is clipped to it; null: no clipping.
        label_smoothing: Label smoothing: probability spread over the vocabulary (Szegedy 2016).
        r_drop: Weight of the R-Drop loss, which takes a second pass (alpha / 2 of Liang 2021); 0:
            off.
        scheduled_sampling: Scheduled sampling; null: only teacher forcing.
        coverage_loss: Weight of the coverage loss, which penalizes repeated attention (See 2017,
            eq. 13).
        guided_attention: Supervision of the attention by given alignments; null: none.
        reinforce: REINFORCE for hard attention.
        losses: Further loss terms, such as `{name: entropy, weight: 0.1}`.
        ema_decay: Decay of the moving average of the weights, used to validate and translate; null:
            none.
        max_epochs: Maximum number of epochs; null: no limit.
        max_updates: Maximum number of updates; null: no limit.
        max_bad_updates: Consecutive updates with a non-finite loss or gradient after which training
            fails.
        validation: Validation during training.
        early_stopping: Early stopping; null: off.
        checkpoints: Checkpoints on disk.
        ranks: Distributed training with torchrun.
        log_every: Updates between lines of `metrics.jsonl`.
        tensorboard: Also write the metrics for TensorBoard (needs the extra `tensorboard`).
        num_threads: CPU threads; null: the default of torch. Fewer may be faster on a shared
            machine.
    """

    batch_tokens: Positive | Literal["auto"] | None = 4_000
    batch_sentences: Positive | None = None
    accumulate: Positive = 1
    optimizer: Annotated[PlugIn, OPTIMIZERS] = PlugIn(name="adam")
    schedule: Annotated[PlugIn, SCHEDULES] = PlugIn(name="constant")
    clip_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    label_smoothing: Probability = 0.1
    r_drop: Strength = 0.0
    scheduled_sampling: ScheduledSamplingConfig | None = None
    coverage_loss: Strength = 0.0
    guided_attention: GuidedAttentionConfig | None = None
    reinforce: ReinforceConfig = Field(default_factory=ReinforceConfig)
    losses: list[Annotated[PlugIn, LOSSES]] = Field(default=[], exclude_if=is_unset)
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    max_epochs: Positive | None = 50
    max_updates: Positive | None = None
    max_bad_updates: Positive = 20
    validation: ValidationConfig = Field(default_factory=ValidationConfig)
    early_stopping: EarlyStoppingConfig | None = Field(default_factory=EarlyStoppingConfig)
    checkpoints: CheckpointConfig = Field(default_factory=CheckpointConfig)
    ranks: RanksConfig = Field(default_factory=RanksConfig)
    log_every: Positive = 50
    tensorboard: bool = False
    num_threads: Annotated[int, Field(ge=1, le=1_024)] | None = None

    @field_validator("batch_tokens", mode="wrap")
    @classmethod
    def _explain_alternatives(cls, given: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(given)
        except ValidationError:
            refuse("", f"must be a whole number of at least 1, 'auto' or null, not {show(given)}")

    def loss_terms(self) -> dict[str, PlugIn]:
        """Return the loss terms in use, by the key that sets them."""
        terms = {}
        for key in _LOSSES:
            if given := getattr(self, key):  # neither 0 nor null
                options = dict(given) if isinstance(given, Options) else {"weight": given}
                terms[key] = PlugIn.model_validate({"name": key, **options})
        return terms | {f"losses[{index}]": term for index, term in enumerate(self.losses)}

    def _check(self) -> None:
        for index, term in enumerate(self.losses):
            if term.name in type(self).model_fields:
                sentence = f"{term.name!r} has a key of its own; set training.{term.name}"
                refuse(f"losses[{index}]", sentence)
        if self.batch_tokens is None and self.batch_sentences is None:
            sentence = "neither batch_tokens nor batch_sentences is set; set one, or both"
            refuse("batch_tokens", sentence)
        if self.early_stopping is None and self.max_epochs is None and self.max_updates is None:
            sentence = "training would never end; set max_epochs, max_updates or early_stopping"
            refuse("max_epochs", sentence)
        if self.r_drop > 0.0 and self.scheduled_sampling is not None:
            sentence = (
                "cannot be combined with r_drop, whose two passes need the same input; set it to "
                "null, or r_drop to 0"
            )
            refuse("scheduled_sampling", sentence)
        if self.early_stopping is not None:
            self.validation.require_measured("early_stopping.metric", self.early_stopping.metric)
