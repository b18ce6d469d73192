"""Options of validation: the metrics, and the search for the translations that they score."""

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator

from nmt.config.messages import explain, refuse
from nmt.config.registry import METRICS, Options, PlugIn
from nmt.config.values import NumCandidates, Positive, Text
from nmt.core.errors import ConfigError


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
        """Return the BLEU tokenizer of the `best` metric, or else of the first that sets one.

        The result is ``auto`` if no metric sets one.
        """
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
