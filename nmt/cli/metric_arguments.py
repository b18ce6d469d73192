"""Metrics that are named on the command line."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from nmt.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.config.metrics import MetricConfig

HELP: Final = "by its name, its `as` in the run, or with options: '{name: chrf, word_order: 2}'"


def named_metrics(argument: str, given: str, config: "Config") -> "list[MetricConfig]":
    """Return metrics with their options, those of the run where it has one of that name.

    Args:
        argument: the option that they were given by, for messages.
        given: names and plug-ins in braces, with commas between, as in a list of YAML.
        config: of the run, whose BLEU says what `tokenize: auto` is.

    Raises:
        UserError: the name is unknown, or its options are not allowed.
    """
    from nmt.config.metrics import read_metrics
    from nmt.config.yaml import parse_yaml

    validation = config.training.validation
    try:
        if re.search(r"(^|,)\s*,", given):
            raise ConfigError("a metric is missing before a comma; write them as in bleu,chrf")
        items = parse_yaml(f"[{given}]", argument) or []
        metrics = read_metrics([_of_run(item, validation.metrics) for item in items])
    except ConfigError as error:
        message = str(error).removeprefix(f"{argument}: ")
        raise UserError(f"{argument} {given}: {message}") from None
    if not metrics:
        raise UserError(f"{argument}: names no metric; leave it out, or name one")
    return [metric.with_tokenizer(validation.bleu_tokenizer) for metric in metrics]


def _of_run(item: Any, metrics: "Sequence[MetricConfig]") -> Any:
    """Return the run's metric of that label, or else what was given."""
    return next((metric for metric in metrics if metric.label == item), item)
