"""Training that starts from another run (`start_from`): with its tokenizers and best weights."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

import torch

from nmt.build.data import build_corpus
from nmt.build.model import load_model
from nmt.build.tokenizers import Tokenizers, load_given_tokenizer, load_tokenizers
from nmt.config.experiment import Config
from nmt.config.tree import diff
from nmt.core.errors import ConfigError, RunError
from nmt.data.formats.corpus import read_pairs
from nmt.nn.model import Model
from nmt.runs.checkpoint import is_checkpoint
from nmt.runs.run import BEST, Run, RunDirectory
from nmt.text.reader import SourceReader, count_tokens
from nmt.text.storage import save_tokenizer
from nmt.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

_NUM_LINES: Final = 2_000  # of a corpus, looked at for what is unknown
_MOST_UNKNOWN: Final = 0.01  # of the tokens, that nobody is warned of
_FOLDERS: Final = ("source_path", "target_path")  # of tokenizers that are given
_CELL_OPTIONS: Final = ("channels", "max_rows", "max_columns")


def copy_pretrained_tokenizers(config: Config, run: RunDirectory) -> Tokenizers:
    """Those that the weights of the other run know the tokens of, saved in this run as well.

    Its checkpoint is looked for too, as encoding comes next, which may take long.

    Args:
        config: with `start_from`.
        run: the new one.

    Raises:
        ConfigError: the configuration asks for other tokens, or another tokenizer.
        RunError: the other run is none, incomplete or damaged.
    """
    with _base(config) as base:
        best = base.folder.checkpoint(BEST)
        if not is_checkpoint(best):
            raise RunError(
                f"{best}: there is no best checkpoint: train that run to its "
                "first validation, or start from another"
            )
        _require_same_tokens(config, base)
        theirs = load_tokenizers(base)
    _require_same_folders(config, base.config, theirs)
    if not config.tokenizer.shared and isinstance(theirs.source, Tokenizer):
        save_tokenizer(theirs.source, run.source_tokenizer)
    shared, target = run.shared_tokenizer, run.target_tokenizer
    save_tokenizer(theirs.target, shared if config.tokenizer.shared else target)
    return theirs


def load_pretrained_weights(config: Config, model: Model, tokenizers: Tokenizers) -> None:
    """Give a fresh model the best weights of the other run.

    What has no weights may differ, as dropout and the kind of a dot product do.

    Args:
        config: with `start_from`.
        model: with as many parameters as that of the other run, of the same names and shapes.
        tokenizers: those of the other run.

    Raises:
        ConfigError: the models are not alike; names what is not.
        RunError: the other run is none, incomplete or damaged.
    """
    with _base(config) as base:
        weights = load_model(base, BEST, torch.device("cpu"), *tokenizers.sizes).state_dict()
        changes = _differences_of_models(config, base)
    ours = model.state_dict()
    same_shapes = {name: w.shape for name, w in weights.items()} == {
        name: w.shape for name, w in ours.items()
    }
    if same_shapes:
        model.load_state_dict(weights)
    # Of matrices that are one in this model, and were several in the other, the last one wins.
    if not same_shapes or any(not torch.equal(ours[name], weights[name]) for name in weights):
        raise ConfigError(
            f"start_from: {base.folder.path} has another model ({changes}), and its weights do not "
            f"fit this one; `extends: {base.folder.config}` gives all the options of that run"
        )


def log_differences(config: Config, tokenizers: Tokenizers) -> None:
    """Log what is not as in the other run: options of the model, and tokens of the text.

    Args:
        config: with `start_from`; of its corpora the first lines are looked at.
        tokenizers: those of the other run.
    """
    with _base(config) as base:
        changes = _differences_of_models(config, base)
    if changes:
        path = base.folder.path
        logger.info("the weights are those of %s, and not all of its options: %s", path, changes)
    for key, corpus in config.data.training_corpora():
        sources, targets = zip(*islice(read_pairs(build_corpus(corpus)), _NUM_LINES), strict=True)
        if not config.reads_grids:  # of which nothing is unknown
            _warn_of_unknown(key, "source", tokenizers.source, sources, base.folder)
        _warn_of_unknown(key, "target", tokenizers.target, targets, base.folder)


def _require_same_tokens(config: Config, base: Run) -> None:
    """Refuse options that ask for other tokens than the weights know."""
    there = base.config
    if there.reads_grids != config.reads_grids:
        theirs, ours = ("grids" if it.reads_grids else "text" for it in (there, config))
        raise ConfigError(
            f"start_from: {base.folder.path} reads {theirs}, and model.encoder "
            f"{config.model.encoder.name!r} reads {ours}: start from a run that reads {ours}"
        )
    before, now = _token_options(there), _token_options(config)
    if "normalization" not in config.tokenizer.model_fields_set:  # the default has changed
        now["tokenizer"]["normalization"] = before["tokenizer"]["normalization"]
    for key, change in diff(before, now).items():
        raise ConfigError(
            f"{key}: not that of start_from ({change}), whose tokenizers and weights are taken as "
            f"they are; `extends: {base.folder.config}` gives all the options of that run"
        )


def _token_options(config: Config) -> dict[str, Any]:
    """Return the options that define the tokens, without folders, which may hold the same."""
    options = {"tokenizer": config.tokenizer.model_dump(mode="json", exclude=set(_FOLDERS))}
    if config.reads_grids:
        encoder = config.model.encoder.model_dump(mode="json", include=set(_CELL_OPTIONS))
        options["model"] = {"encoder": encoder}
    return options


def _require_same_folders(config: Config, there: Config, theirs: Tokenizers) -> None:
    """Refuse a tokenizer that is named by its folder and is not that of the other run."""
    for key, reader in zip(_FOLDERS, (theirs.source, theirs.target), strict=True):
        given = getattr(config.tokenizer, key)
        if given is None or given == getattr(there.tokenizer, key):
            continue
        if load_given_tokenizer(config.tokenizer, given).fingerprint() != reader.fingerprint():
            raise ConfigError(
                f"tokenizer.{key}: {given}: not the tokenizer of start_from, which is taken as it "
                "is; leave the key out"
            )


def _differences_of_models(config: Config, base: Run) -> str:
    there = base.config.model
    changed = diff(there.model_dump(mode="json"), config.model.model_dump(mode="json"))
    return "; ".join(f"model.{key}: {change}" for key, change in changed.items())


def _warn_of_unknown(
    key: str, side: str, reader: SourceReader[Any], items: Iterable[Any], base: RunDirectory
) -> None:
    num_tokens, num_unknown = count_tokens(reader, items)
    if num_unknown > _MOST_UNKNOWN * num_tokens:
        logger.warning(
            "%s: %.1f%% of the %s tokens are unknown to the tokenizer of %s, which cannot learn "
            "them any more: the model will not read or write them",
            *(key, 100 * num_unknown / num_tokens, side, base.path),
        )


@contextmanager
def _base(config: Config) -> Iterator[Run]:
    """The run to start from; what is wrong with it is said with the key that names it."""
    assert config.start_from is not None
    try:
        yield Run.open(config.start_from)
    except RunError as error:
        raise RunError(f"start_from: {error}") from error
