"""Training that starts from another run (`start_from`): with its tokenizers and best weights."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch

from nmt.build import Tokenizers, load_tokenizers
from nmt.build_corpus import build_corpus
from nmt.build_model import load_model
from nmt.checkpoint import is_checkpoint
from nmt.config import Config
from nmt.config_file import load_config
from nmt.data.corpus import read_pairs
from nmt.differences import differences
from nmt.errors import ConfigError, RunError
from nmt.nn.model import Model
from nmt.run import BEST, RunDirectory
from nmt.text.reader import Reader, count_tokens
from nmt.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

_NUM_LINES: Final = 2_000  # of a corpus, looked at for what is unknown
_MOST_UNKNOWN: Final = 0.01  # of the tokens, that nobody is warned of


def adopt_tokenizers(config: Config, run: RunDirectory) -> Tokenizers:
    """Those that the weights of the other run know the tokens of, saved in this run as well.

    Its checkpoint is looked for too, as encoding comes next, which may take long.

    Args:
        config: with `start_from`.
        run: the new one.

    Raises:
        ConfigError: the configuration asks for other tokenizers.
        RunError: the other run is none, incomplete or damaged.
    """
    with _base(config) as base:
        if not is_checkpoint(base.checkpoint(BEST)):
            raise RunError(
                f"{base.checkpoint(BEST)}: there is no best checkpoint: train that run to its "
                "first validation, or start from another"
            )
        there = load_config(base.config)
        theirs = load_tokenizers(base)
    changed = differences(
        there.tokenizer.model_dump(mode="json"), config.tokenizer.model_dump(mode="json")
    )
    if changed:
        key, change = next(iter(changed.items()))
        raise ConfigError(
            f"tokenizer.{key}: not that of start_from ({change}), and a model reads the tokens "
            f"that it was trained with; `extends: {base.config}` gives all the options of that run"
        )
    if config.tokenizer.shared:
        theirs.target.save(run.shared_tokenizer)
        return theirs
    if isinstance(theirs.source, Tokenizer):
        theirs.source.save(run.source_tokenizer)
    theirs.target.save(run.target_tokenizer)
    return theirs


def adopt_weights(config: Config, model: Model) -> None:
    """Give a fresh model the best weights of the other run.

    What has no weights may differ, as dropout and the kind of a dot product do; it is logged.

    Args:
        config: with `start_from`.
        model: with as many parameters as that of the other run, of the same names and shapes.

    Raises:
        ConfigError: the models are not alike; names what is not.
        RunError: the other run is none, incomplete or damaged.
    """
    with _base(config) as base:
        weights = load_model(base, BEST, torch.device("cpu")).state_dict()
        there = load_config(base.config).model
    changed = differences(there.model_dump(mode="json"), config.model.model_dump(mode="json"))
    told = "; ".join(f"model.{key}: {change}" for key, change in changed.items())
    ours = model.state_dict()
    same_shapes = {name: w.shape for name, w in weights.items()} == {
        name: w.shape for name, w in ours.items()
    }
    if same_shapes:
        model.load_state_dict(weights)
    # Of matrices that are one in this model, and were several in the other, the last one wins.
    if not same_shapes or any(not torch.equal(ours[name], weights[name]) for name in weights):
        raise ConfigError(
            f"start_from: {base.path} has another model ({told}), and its weights do not fit this "
            f"one; `extends: {base.config}` gives all the options of that run"
        )
    if changed:
        logger.info("the weights are those of %s, and not all of its options: %s", base.path, told)


def warn_of_unknown(config: Config, tokenizers: Tokenizers) -> None:
    """Say where the text has much that the tokenizers of another text do not know.

    Args:
        config: with the corpora, of which the first lines are looked at.
        tokenizers: that stay as they are.
    """
    sides: list[tuple[str, Reader[Any]]] = [
        ("source", tokenizers.source),
        ("target", tokenizers.target),
    ]
    for number, corpus in enumerate(config.data.train):
        pairs = list(islice(read_pairs(build_corpus(corpus)), _NUM_LINES))
        for side, (name, reader) in enumerate(sides):
            num_tokens, num_unknown = count_tokens(reader, (pair[side] for pair in pairs))
            if num_unknown > _MOST_UNKNOWN * num_tokens:
                logger.warning(
                    "data.train.%d.%s: %.1f%% of the tokens are unknown to the tokenizer of %s, "
                    "which cannot learn them any more: the model will not read or write them",
                    *(number, name, 100 * num_unknown / num_tokens, config.start_from),
                )


@contextmanager
def _base(config: Config) -> Iterator[RunDirectory]:
    """The run to start from; what is wrong with it is said with the key that names it."""
    assert config.start_from is not None
    try:
        yield RunDirectory.open(Path(config.start_from))
    except RunError as error:
        raise RunError(f"start_from: {error}") from error
