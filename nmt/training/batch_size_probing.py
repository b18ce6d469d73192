"""`training.batch_tokens: auto`: as many tokens in a batch as there is memory for."""

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

_MOST: Final = 25_000  # where larger batches take longer and teach no more, on any hardware
_UPDATES_OF_EPOCH: Final = 100  # at least: a small corpus needs small batches
_SHARE: Final = 0.8  # of what is free: lengths differ, and memory comes in blocks
_FEW: Final = 1_500  # tokens, or a sentence, and twice as many, that are tried

logger = logging.getLogger(__name__)


def probe_batch_tokens(
    config: Config,
    corpora: Sequence[EncodedCorpus],
    tokenizers: Tokenizers,
    device: torch.device,
    precision: torch.dtype,
    num_processes: int = 1,
) -> int:
    """Return as many tokens as fit in memory, up to 25,000 and to a hundredth of an epoch.

    Three updates are made with a model that is thrown away, on sentences for each of whose tokens
    memory grows by the most (see `_fullest_pair`).

    Args:
        config: the experiment; what it allows.
        corpora: of an epoch.
        tokenizers: of both sides.
        device: where the updates will be made.
        precision: of the computation.
        num_processes: that share a batch.

    Raises:
        UserError: there is not even the memory for these updates, or for the longest pair.
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
        f"training.batch_tokens: auto: out of memory at pairs of {length:,} tokens: leave out "
        "pairs as long (data.filters.max_length), or make the model smaller"
    )


def fitting_tokens(update: Callable[[int], None], length: int, device: torch.device) -> int:
    """Return how many tokens there is memory for.

    Args:
        update: makes one with so many sentences.
        length: tokens of each.
        device: whose memory it takes.
    """
    few = max(1, _FEW // length)
    return_freed_memory()  # it is no part of what is free, and what is taken of it shows in no peak
    free, base = _free(device), reset_peak_memory(device)
    update(few)  # makes the optimizer's state, which is no part of what the others differ in
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
    """Bytes for this process: those of a CPU are for all that torchrun has started there."""
    return free_memory(device) // (local_size() if device.type == "cpu" else 1)


def _updater(
    config: Config,
    pair: tuple[Tokens, Tokens],
    tokenizers: Tokenizers,
    device: torch.device,
    precision: torch.dtype,
) -> Callable[[int], None]:
    """Return what makes an update with so many copies of a pair."""
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
    """Return a pair so long that no batch of the corpora takes more memory for each of its tokens.

    Of S and T tokens, padding counted, a pair takes a S + b T + c S T, and in a batch it counts as
    max(S, T). So a token takes no more than a + b + c min(S, T).
    """
    length = min(_longest(corpora))
    source, target = corpora[0].source(0), corpora[0].target(0)
    # So many tokens: those of the first pair, over and over.
    return np.resize(source, (length, *source.shape[1:])), np.resize(target, length)


def _longest(corpora: Sequence[EncodedCorpus]) -> tuple[int, int]:
    """Tokens of the longest source and of the longest target."""
    sources = [corpus.source_side.tokens.lengths.max() for corpus in corpora]
    targets = [corpus.target_side.tokens.lengths.max() for corpus in corpora]
    return int(max(sources)), int(max(targets))


def _useful(config: Config, corpora: Sequence[EncodedCorpus]) -> int:
    """Tokens in a batch where an epoch has just enough updates; no more than ever help."""
    num_tokens = sum(
        given.weight * (len(corpus) + _most(corpus))
        for given, corpus in zip(config.data.train, corpora, strict=True)
    )
    return min(_MOST, int(num_tokens / (_UPDATES_OF_EPOCH * config.training.accumulate)))


def _most(corpus: EncodedCorpus) -> int:
    """Tokens of the larger side."""
    return max(int(side.tokens.offsets[-1]) for side in (corpus.source_side, corpus.target_side))
