"""What a training is made of before there is a model: where it computes, tokenizers, batches."""

import logging
from dataclasses import dataclass

import torch

from nmt.build import (
    Tokenizers,
    build_loader,
    build_tokenizers,
    encode_training,
    load_tokenizers,
)
from nmt.build_lexicon import lexicon_of
from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.loader import DataLoader
from nmt.data.portions import ALONE, Place
from nmt.device import resolve_device, resolve_precision
from nmt.errors import ConfigError
from nmt.run import RunDirectory
from nmt.shortlist import save_lexicon
from nmt.training.probing import probe_batch_tokens
from nmt.training.starting import adopt_tokenizers, tell_differences

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """What takes long to make, and is made once.

    Attributes:
        device: where it is computed.
        precision: of the computation.
        tokenizers: of both sides.
        loader: the training batches.
        batch_tokens: most tokens of a side in one of them; None: any.
    """

    device: torch.device
    precision: torch.dtype
    tokenizers: Tokenizers
    loader: DataLoader
    batch_tokens: int | None


def gather(
    config: Config, run: RunDirectory, *, place: Place = ALONE, is_begun: bool = False
) -> Material:
    """The material of a training; tokenizers and encoded corpora are made where there are none.

    Args:
        config: the experiment.
        run: where the tokenizers are, and the corpora, unless they have a cache of their own.
        place: of this process among those that train together.
        is_begun: there are weights that know the tokens of the run's tokenizers alone: none is
            made in their place.

    Raises:
        UserError: this machine lacks the device or the precision, or the text cannot be used.
    """
    device = resolve_device(config.device)
    precision = resolve_precision(config.precision, device)
    if precision == torch.int8:
        raise ConfigError(
            "precision: 'int8' is for translating; train in float32, bfloat16 or auto, and "
            "translate with --precision int8"
        )
    if is_begun:
        tokenizers = load_tokenizers(RunDirectory.open(run.path))
    else:
        tokenizers = make_tokenizers(config, run)
        if config.start_from is not None:
            tell_differences(config, tokenizers)
    corpora = encode_training(config, run, tokenizers)
    if config.decoding.shortlist is not None and not run.lexicon.exists():
        logger.info("learning the lexicon for decoding.shortlist")
        save_lexicon(run, lexicon_of(corpora, tokenizers), tokenizers.source, tokenizers.target)
    batch_tokens = config.training.batch_tokens
    if batch_tokens == "auto":
        sharing = min(place.sharing(config.training.accumulate))
        batch_tokens = probe_batch_tokens(
            config, corpora, tokenizers, device, precision, num_processes=sharing
        )
    loader = build_loader(config, corpora, batch_tokens, device, place)
    return Material(device, precision, tokenizers, loader, batch_tokens)


def settle(config: Config, batch_tokens: int | None) -> Config:
    """The configuration with what was found for `training.batch_tokens: auto`, if it says so."""
    if config.training.batch_tokens != "auto" or batch_tokens is None:
        return config
    training = config.training.model_copy(update={"batch_tokens": batch_tokens})
    return config.model_copy(update={"training": training})


def settle_as_before(config: Config, run: RunDirectory) -> Config:
    """The same with what was found when the run was begun; unchanged where it was not."""
    if config.training.batch_tokens != "auto" or not run.config.exists():
        return config
    found = load_config(run.config).training.batch_tokens
    return config if found == "auto" else settle(config, found)


def make_tokenizers(config: Config, run: RunDirectory) -> Tokenizers:
    """The tokenizers of a new run: those of the run that it starts from, or made for it.

    Raises:
        UserError: the text, a saved tokenizer or the other run cannot be used.
    """
    if config.start_from is not None:
        return adopt_tokenizers(config, run)
    return build_tokenizers(config, run)
