"""Fine-tuning (`start_from`): training with the tokenizers and best weights of another run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import torch

from nmt.build.data import build_corpus
from nmt.build.model import load_model
from nmt.build.tokenizers import Tokenizers, load_given_tokenizer, load_tokenizers
from nmt.config.experiment import Config
from nmt.config.tree import diff
from nmt.core.errors import ConfigError, RunError, explain_system_error
from nmt.nn.model import Model
from nmt.runs.checkpoint import find_misfit, is_checkpoint
from nmt.runs.run import BEST, Run, RunDirectory
from nmt.text.reader import count_tokens
from nmt.text.storage import save_tokenizer
from nmt.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

_NUM_LINES: Final = 2_000  # lines of each corpus to search for unknown tokens
_MOST_UNKNOWN: Final = 0.01  # share of tokens; above it, a warning is logged
_FOLDERS: Final = ("source_path", "target_path")  # options with folders of existing tokenizers
_CELL_OPTIONS: Final = ("channels", "max_rows", "max_columns")


def open_base(config: Config) -> Run | None:
    """Open the run to start from, which must have a best checkpoint; None: no `start_from`.

    Raises:
        RunError: the base run does not exist, or is incomplete.
    """
    if config.start_from is None:
        return None
    with _naming_the_key():
        base = Run.open(config.start_from)
        best = base.folder.checkpoint(BEST)
        if not is_checkpoint(best):
            raise RunError(
                f"{best}: no best checkpoint; train that run to its first validation, or start "
                "from another"
            )
    return base


def copy_pretrained_tokenizers(config: Config, run: RunDirectory, base: Run) -> Tokenizers:
    """Copy the tokenizers of the base run into the new run, and return them.

    Args:
        config: with `start_from`.
        run: the new run.
        base: the base run.

    Raises:
        ConfigError: the configuration asks for different tokens or a different tokenizer.
        RunError: a tokenizer of the base run is corrupted.
    """
    _require_same_tokens(config, base)
    with _naming_the_key():
        theirs = load_tokenizers(base)
    _require_same_folders(config, base, theirs)
    if not config.tokenizer.shared and isinstance(theirs.source, Tokenizer):
        save_tokenizer(theirs.source, run.source_tokenizer)
    shared, target = run.shared_tokenizer, run.target_tokenizer
    save_tokenizer(theirs.target, shared if config.tokenizer.shared else target)
    return theirs


def load_pretrained_weights(
    config: Config, base: Run, model: Model, tokenizers: Tokenizers
) -> None:
    """Load the best weights of the base run into a new model.

    Options without weights, such as dropout or the kind of dot product, may differ.

    Args:
        config: with `start_from`.
        base: the base run.
        model: the new model; parameters must have the same names and shapes as in the base run.
        tokenizers: the tokenizers of the base run.

    Raises:
        ConfigError: the models do not match; names the differences.
        RunError: the checkpoint of the base run is corrupted.
    """
    with _naming_the_key():
        weights = load_model(base, BEST, torch.device("cpu"), tokenizers.sizes).state_dict()
    ours = model.state_dict()
    fits = find_misfit(weights, ours) is None
    if fits:
        model.load_state_dict(weights)
    # If this model ties matrices that the base run did not, only the last one is loaded.
    if not fits or any(not torch.equal(ours[name], weights[name]) for name in weights):
        changes = _differences_of_models(config, base)
        raise ConfigError(
            f"start_from: {base.folder.path} has another model ({changes}), so its weights do not "
            f"fit; add `extends: {base.folder.config}` to use all its options"
        )


def log_differences(config: Config, base: Run, tokenizers: Tokenizers) -> None:
    """Log model options that differ from the base run, and warn about unknown tokens.

    Args:
        config: with `start_from`; the first lines of its corpora are read.
        base: the base run.
        tokenizers: the tokenizers of the base run.
    """
    path = base.folder.path
    if changes := _differences_of_models(config, base):
        logger.info("starting from the weights of %s, with other options: %s", path, changes)
    for key, corpus in config.data.training_corpora():
        sides = zip(*islice(build_corpus(corpus).read_pairs(), _NUM_LINES), strict=True)
        readers = {"source": tokenizers.source, "target": tokenizers.target}
        for (side, reader), items in zip(readers.items(), sides, strict=True):
            if side == "source" and config.reads_grids:  # no cell is unknown
                continue
            num_tokens, num_unknown = count_tokens(reader, items)
            if num_unknown > _MOST_UNKNOWN * num_tokens:
                logger.warning(
                    f"{key}: {num_unknown / num_tokens:.1%} of the {side} tokens are unknown to "
                    f"the tokenizer of {path}, so the model will not learn them; use text of the "
                    "same kind, or train from scratch"
                )


def _require_same_tokens(config: Config, base: Run) -> None:
    """Refuse options that define different tokens than those of the base run."""
    there = base.config
    if there.reads_grids != config.reads_grids:
        theirs, ours = ("grids" if it.reads_grids else "text" for it in (there, config))
        raise ConfigError(
            f"start_from: {base.folder.path} reads {theirs}, but model.encoder "
            f"{config.model.encoder.name!r} reads {ours}; start from a run that reads {ours}"
        )
    before, now = _token_options(there), _token_options(config)
    if "normalization" not in config.tokenizer.model_fields_set:  # the default has changed
        now["tokenizer"]["normalization"] = before["tokenizer"]["normalization"]
    for key, change in diff(before, now).items():
        raise ConfigError(
            f"{key}: differs from start_from ({change}), whose tokenizers and weights are used; "
            f"add `extends: {base.folder.config}` to use all its options"
        )


def _require_same_folders(config: Config, base: Run, theirs: Tokenizers) -> None:
    """Refuse a tokenizer folder whose tokenizer differs from that of the base run."""
    for key, reader in zip(_FOLDERS, (theirs.source, theirs.target), strict=True):
        given = getattr(config.tokenizer, key)
        if given is None or given == getattr(base.config.tokenizer, key):
            continue
        if load_given_tokenizer(config.tokenizer, given).fingerprint() != reader.fingerprint():
            raise ConfigError(
                f"tokenizer.{key}: {given}: differs from the tokenizer of start_from, which is "
                "used; leave it out"
            )


def _token_options(config: Config) -> dict[str, Any]:
    """Return the options that define tokens, without folders (their tokenizers may be equal)."""
    options = {"tokenizer": config.tokenizer.model_dump(mode="json", exclude=set(_FOLDERS))}
    if config.reads_grids:
        encoder = config.model.encoder.options
        options["model"] = {"encoder": {key: encoder[key] for key in _CELL_OPTIONS}}
    return options


def _differences_of_models(config: Config, base: Run) -> str:
    there = base.config.model
    changed = diff(there.model_dump(mode="json"), config.model.model_dump(mode="json"))
    return "; ".join(f"model.{key}: {change}" for key, change in changed.items())


@contextmanager
def _naming_the_key() -> Iterator[None]:
    """Prefix errors about the base run with the key `start_from`."""
    try:
        yield
    except (ConfigError, RunError, OSError) as error:
        raise RunError(f"start_from: {explain_system_error(error) or error}") from error
