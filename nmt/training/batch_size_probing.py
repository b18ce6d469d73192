"""Batch size probing for `training.batch_tokens: auto`: as many tokens as fit in memory."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch

from nmt.build.model import build_model
from nmt.build.tokenizers import Tokenizers
from nmt.config.experiment import Config
from nmt.config.registry import OPTIMIZERS
from nmt.core.batch import make_batch
from nmt.core.errors import UserError
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.system.memory import explain_out_of_memory, free_memory, peak_memory, reset_peak_memory
from nmt.system.process import local_size, return_freed_memory
from nmt.text.reader import Tokens
from nmt.training.objective.objective import build_objective

_MOST: Final = 25_000  # tokens; larger batches learn no more, and take longer on any hardware
_UPDATES_OF_EPOCH: Final = 100  # minimum per epoch: a small corpus needs small batches
_SHARE: Final = 0.8  # share of free memory to use: lengths vary, and memory comes in blocks
_FEW: Final = 1_500  # tokens (or one sentence) in the smaller probe; the larger one has twice that

logger = logging.getLogger(__name__)


def probe_batch_tokens(
    config: Config,
    corpora: Sequence[EncodedCorpus],
    tokenizers: Tokenizers,
    device: torch.device,
    precision: torch.dtype,
    num_processes: int = 1,
) -> int:
    """Return the number of tokens that fit in memory, at most 25,000 and 1/100 of an epoch.

    Makes three updates with a temporary model, on sentences with the highest memory use per token
    (see `_fullest_pair`).

    Args:
        config: the experiment.
        corpora: the training corpora.
        tokenizers: the tokenizers of both sides.
        device: the device to train on.
        precision: dtype of the computation.
        num_processes: number of processes that share a batch.

    Raises:
        UserError: there is not enough memory for these updates, or for the longest pair.
    """
    useful = _useful(config, corpora)
    pair = _fullest_pair(corpora)
    tried, longest = len(pair[0]) + 1, max(_longest(corpora)) + 1
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), explain_out_of_memory(_no_room_for(tried)):
        update = _updater(config, pair, tokenizers, device, precision)
        fitting = fitting_tokens(update, tried, device)
    if fitting < longest:
        raise UserError(_no_room_for(longest))
    fitting *= num_processes
    found = max(1, min(fitting, useful))
    sizes = f"{found:,} ({fitting:,} would fit, {useful:,} are useful)"
    logger.info("training.batch_tokens: auto: %s", sizes)
    return found


def _no_room_for(length: int) -> str:
    return (
        f"training.batch_tokens: auto: out of memory at pairs of {length:,} tokens; leave out such "
        "pairs (data.filters.max_length), or use a smaller model"
    )


def fitting_tokens(update: Callable[[int], None], length: int, device: torch.device) -> int:
    """Return the number of tokens that fit in memory.

    Args:
        update: makes an update with the given number of sentences.
        length: tokens of each sentence.
        device: the device whose memory is used.
    """
    few = max(1, _FEW // length)
    return_freed_memory()  # cached memory does not count as free, and reusing it adds to no peak
    free, base = _free(device), reset_peak_memory(device)
    update(few)  # allocates the optimizer's state, which does not grow with the batch
    peaks = []
    for size in (few, 2 * few):
        return_freed_memory()
        reset_peak_memory(device)
        update(size)
        peaks.append(peak_memory(device) - base)
    per_token = max(1.0, (peaks[1] - peaks[0]) / (few * length))
    fixed = max(0.0, peaks[0] - per_token * few * length)
    return int((_SHARE * free - fixed) / per_token)


def _free(device: torch.device) -> int:
    """Return the free bytes for this process; torchrun processes on a CPU share its memory."""
    return free_memory(device) // (local_size() if device.type == "cpu" else 1)


def _updater(
    config: Config,
    pair: tuple[Tokens, Tokens],
    tokenizers: Tokenizers,
    device: torch.device,
    precision: torch.dtype,
) -> Callable[[int], None]:
    """Return a function that makes an update with the given number of copies of a pair."""
    model = build_model(config.model, *tokenizers.sizes).to(device)
    optimizer = OPTIMIZERS.create(config.training.optimizer, model)
    objective = build_objective(config.training, precision)
    source, target = pair

    def update(copies: int) -> None:
        batch = make_batch([source] * copies, [target] * copies)
        losses = objective(model.train(), batch.to(device))
        (losses.objective / batch.num_target_tokens).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return update


def _fullest_pair(corpora: Sequence[EncodedCorpus]) -> tuple[Tokens, Tokens]:
    """Return a pair that takes at least as much memory per token as any batch of the corpora.

    A pair of S and T tokens, including padding, takes a S + b T + c S T. It counts as max(S, T)
    tokens of a batch, so a token takes at most a + b + c min(S, T).
    """
    length = min(_longest(corpora))
    source, target = corpora[0].source(0), corpora[0].target(0)
    # Repeat the tokens of the first pair up to this length.
    return np.resize(source, (length, *source.shape[1:])), np.resize(target, length)


def _longest(corpora: Sequence[EncodedCorpus]) -> tuple[int, int]:
    """Return the number of tokens of the longest source and of the longest target."""
    sources = [corpus.source_side.tokens.lengths.max() for corpus in corpora]
    targets = [corpus.target_side.tokens.lengths.max() for corpus in corpora]
    return int(max(sources)), int(max(targets))


def _useful(config: Config, corpora: Sequence[EncodedCorpus]) -> int:
    """Return the batch size that gives an epoch `_UPDATES_OF_EPOCH` updates, at most `_MOST`."""
    num_tokens = sum(
        given.weight * (len(corpus) + _most(corpus))
        for given, corpus in zip(config.data.train, corpora, strict=True)
    )
    return min(_MOST, int(num_tokens / (_UPDATES_OF_EPOCH * config.training.accumulate)))


def _most(corpus: EncodedCorpus) -> int:
    """Return the number of tokens of the larger side."""
    return max(int(side.tokens.offsets[-1]) for side in (corpus.source_side, corpus.target_side))
