"""Options that change nothing where they are given: they are refused, or reported."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nmt.core.errors import ConfigError

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.config.layers import Override

logger = logging.getLogger(__name__)


def find_reason(key: str, config: "Config") -> str | None:
    """Return why the option of a dotted key has no effect with the others; None: it has one."""
    decoding, tokenizer = config.decoding, config.tokenizer
    search = decoding.search.name
    match key:
        case "decoding.beam_size" if not decoding.has_beam:
            return f"{search} search has no beam"
        case "decoding.n_best" if decoding.n_best > 1:
            if not decoding.has_beam and not decoding.draws_samples:
                return f"{search} search finds one translation of each line"
        case "decoding.mbr_candidates" if decoding.mbr == "none":
            return "decoding.mbr is none"
        case "model.decoder.dropout" if config.model.decoder.num_layers == 1:
            return "it is between layers, and model.decoder.num_layers is 1"
        case (
            "training.validation.every"
            | "training.validation.beam_size"
            | "training.validation.num_samples"
        ) if config.data.valid is None:
            return "there is no validation set (data.valid)"
        case "tokenizer.vocabulary_size" | "tokenizer.lowercase" | "tokenizer.normalization":
            path = tokenizer.source_path
            if path is not None and (tokenizer.shared or tokenizer.target_path):
                return f"the saved tokenizer {path} is taken as it is"
    return None


def refuse_ineffective(config: "Config", overrides: "Iterable[Override]") -> None:
    """Refuse options of the command line that change nothing.

    Args:
        config: all options, those among them.
        overrides: the options.

    Raises:
        ConfigError: the first that has no effect, and why.
    """
    for override in overrides:
        reason = find_reason(override.key, config)
        if reason is not None:
            given = override.argument or override.text
            raise ConfigError(f"{given}: has no effect, as {reason}; leave it out")


def warn_of_ineffective(config: "Config", overrides: "Iterable[str]") -> None:
    """Warn of overrides of a training that change nothing: a series of runs may share them."""
    from nmt.config.layers import Override

    for override in overrides:
        try:
            refuse_ineffective(config, [Override(override)])
        except ConfigError as error:
            logger.warning("%s", error)
