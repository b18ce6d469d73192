"""Options of the training engine."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from nmt.config.messages import refuse
from nmt.config.registry import LOSSES, OPTIMIZERS, SCHEDULES, Options, PlugIn
from nmt.config.validation import ValidationConfig
from nmt.config.values import BatchTokens, Positive, PositiveStrength, Probability, Strength

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


class ScheduledSamplingConfig(Options):
    """Scheduled sampling: feeding predictions with linearly rising probability (Bengio 2015).

    Attributes:
        start: Update at which the probability starts to rise from 0.
        end: Update at which it reaches `probability`.
        probability: Final probability of feeding a prediction instead of the reference token.
    """

    start: Annotated[int, Field(ge=0)] = 0
    end: Positive = 20_000
    probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25

    def _check(self) -> None:
        if self.end <= self.start:
            refuse("end", f"must be more than start ({self.start}), not {self.end}")


class GuidedAttentionConfig(Options):
    """Guided attention: supervision by `data.train.alignments` (Chen 2016; Liu 2016).

    Attributes:
        loss: Loss between attention weights and alignment links.
        weight: Weight of this loss, which is added to the cross-entropy.
    """

    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    weight: PositiveStrength = 1.0


class ReinforceConfig(Options):
    """REINFORCE for hard attention, which samples positions (Xu 2015, eq. 11-13).

    Attributes:
        weight: Weight of this loss, which is added to the cross-entropy.
        entropy: Weight of the entropy bonus.
        discount: Discount of the rewards of later words; 0: a position is only rewarded for its own
            word.
    """

    weight: Strength = 1.0
    entropy: Strength = 0.01
    discount: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


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

    batch_tokens: BatchTokens = 4_000
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
    losses: list[Annotated[PlugIn, LOSSES]] = Field(default=[])
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

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `losses` if there are none, as in configurations of earlier versions."""
        tree: dict[str, Any] = dump(self)
        return {key: value for key, value in tree.items() if key != "losses" or value}

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
