"""Options that change nothing where they are given: they are refused, or reported."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from nmt.core.errors import ConfigError

if TYPE_CHECKING:
    from nmt.config.experiment import Config

logger = logging.getLogger(__name__)


def _no_beam(config: "Config") -> str | None:
    search = config.decoding.search.name
    return None if config.decoding.has_beam else f"{search} search has no beam"


def _one_translation(config: "Config") -> str | None:
    decoding = config.decoding
    if decoding.n_best == 1 or decoding.has_beam or decoding.draws_samples:
        return None
    return f"{decoding.search.name} search finds one translation of each line"


def _no_candidates(config: "Config") -> str | None:
    return "decoding.mbr is none" if config.decoding.mbr == "none" else None


def _no_validation(config: "Config") -> str | None:
    return "there is no validation set (data.valid)" if config.data.valid is None else None


def _one_layer(config: "Config") -> str | None:
    one = config.model.decoder.num_layers == 1
    return "it is between layers, and model.decoder.num_layers is 1" if one else None


def _saved_tokenizer(config: "Config") -> str | None:
    options = config.tokenizer
    if options.source_path is None or not (options.shared or options.target_path):
        return None
    return f"the saved tokenizer {options.source_path} is taken as it is"


_WITHOUT_EFFECT: Final[Mapping[str, Callable[["Config"], str | None]]] = {
    "decoding.beam_size": _no_beam,
    "decoding.n_best": _one_translation,
    "decoding.mbr_candidates": _no_candidates,
    "model.decoder.dropout": _one_layer,
    "training.validation.every": _no_validation,
    "training.validation.beam_size": _no_validation,
    "training.validation.num_samples": _no_validation,
    "tokenizer.vocabulary_size": _saved_tokenizer,
    "tokenizer.lowercase": _saved_tokenizer,
    "tokenizer.normalization": _saved_tokenizer,
}
"""Dotted key of an option -> why it has no effect with the others; None: it has one."""


def key_of(override: str) -> str:
    """Return the dotted key of ``key=value``."""
    return override.partition("=")[0].strip()


def refuse_ineffective(config: "Config", given: Mapping[str, str]) -> None:
    """Refuse options of the command line that change nothing.

    Args:
        config: all options, those among them.
        given: ``key=value`` -> how it was typed.

    Raises:
        ConfigError: the first that has no effect, and why.
    """
    for override, typed in given.items():
        why = _WITHOUT_EFFECT.get(key_of(override))
        reason = None if why is None else why(config)
        if reason is not None:
            raise ConfigError(f"{typed}: has no effect, as {reason}; leave it out")


def warn_of_ineffective(config: "Config", overrides: Iterable[str]) -> None:
    """Warn of overrides of a training that change nothing: a series of runs may share them."""
    for override in overrides:
        try:
            refuse_ineffective(config, {override: override})
        except ConfigError as error:
            logger.warning("%s", error)
