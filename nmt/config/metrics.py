"""Which metrics are measured: plug-ins with options and labels of their own."""

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from nmt.config.base import METRICS, Text
from nmt.config.messages import explain, refuse
from nmt.config.registry import PlugIn
from nmt.core.errors import ConfigError


class MetricConfig(PlugIn):
    """A metric and its options; of two of one name, each can have a label."""

    model_config = ConfigDict(use_attribute_docstrings=True)

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

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write the label as it is read (`as` cannot be the name of a field)."""
        fields = dump(self)
        return {("as" if key == "given_label" else key): value for key, value in fields.items()}


def _as_list(given: Any) -> Any:
    """Accept one metric for a list of it; options without a name are those of the default, bleu."""
    if isinstance(given, dict):
        return [{"name": "bleu", **given}]
    return [given] if isinstance(given, str | MetricConfig) else given


def _check_labels(metrics: list[MetricConfig]) -> list[MetricConfig]:
    seen: set[str] = set()
    for index, metric in enumerate(metrics):
        name, label = metric.name, metric.label
        if label in seen:
            sentence = (
                f"{label!r} is in the list before; give this one a name of its own, as in "
                f"{{name: {name}, as: {name}_2}}"
            )
            refuse((index,), sentence)
        if label != name and label in ("loss", *METRICS.names()):
            sentence = f"{label!r} is the name of something else; choose another"
            refuse((index, "as"), sentence)
        seen.add(label)
    return metrics


MetricList = Annotated[
    list[Annotated[MetricConfig, METRICS]],
    BeforeValidator(_as_list),
    AfterValidator(_check_labels),
]


def read_metrics(given: Any) -> list[MetricConfig]:
    """Check metrics that do not come from a configuration, and complete their options.

    Args:
        given: as `training.validation.metrics`.

    Raises:
        ConfigError: a name, option or value that is not allowed.
    """
    try:
        return TypeAdapter(MetricList).validate_python(given)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        option = "".join(f"{part}: " for part in problem["loc"] if isinstance(part, str))
        raise ConfigError(f"{option}{explain(problem)}") from None
