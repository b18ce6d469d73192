"""Batched inference over encoded sentences, in batches of similar length, without gradients."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from nmt.core.batch import Batch, make_batch, make_source, to
from nmt.distributed.rank_pool import RankPool
from nmt.distributed.remote_result import Job
from nmt.distributed.thread_map import map_in_threads
from nmt.inference.inputs import full_batches, like_batches, no_report
from nmt.inference.shortlist import Shortlist
from nmt.nn.ensemble import Ensemble
from nmt.nn.model import Model, ModelOutput, evaluation_mode
from nmt.search.hypothesis import NOTHING, Hypothesis, NBest
from nmt.search.observer import SearchObserver
from nmt.search.request import Constraints, Request, VocabularySubset, pad
from nmt.search.search import Search, Stepper
from nmt.system.device import one_thread, use_one_thread_after_forks
from nmt.text.reader import EncodedWords, Tokens

Item = TypeVar("Item")
Result = TypeVar("Result")
Read: TypeAlias = Callable[[Batch, ModelOutput], list[Result]]
"""Reads the results of each pair from the teacher-forced output of a batch."""

# Wider beams get proportionally smaller batches, so that they take no more memory.
_BEAM: Final = 10

# More threads would wait for each other: the interpreter runs one of them at a time.
MOST_THREADS: Final = 8


@dataclass(frozen=True, eq=False)
class BatchRunner:
    """A model on `device`, run in batches; batching does not affect the results.

    On a CPU, several threads each compute a batch, with one thread of torch. So results do not
    depend on the number of threads, not even in their last bits.

    Attributes:
        model: on `device`; its mode (training or evaluation) is restored after each batch.
        search: searches for translations.
        device: device of the computation.
        precision: of the computation: torch.float32, torch.bfloat16 for autocast, or torch.int8
            for a quantised model.
        batch_tokens: maximum number of tokens of a side in a batch, including padding and EOS. A
            longer sentence gets its own batch. Beams wider than 10 get proportionally smaller
            batches.
        num_threads: batches that are computed at the same time, on a CPU only; None: as many as
            torch has threads in the calling thread, at most eight.
        ranks: processes of torchrun that compute the batches, each with a copy of this runner;
            None: the current process computes them.
        shortlist: tokens that translations may use; None: the whole vocabulary.
        observer: looks at each step of a search, batch by batch; not supported with ranks. None:
            nobody looks.
    """

    model: Model | Ensemble
    search: Search
    device: torch.device
    precision: torch.dtype
    batch_tokens: int
    num_threads: int | None = None
    ranks: "RankPool[BatchRunner] | None" = None
    shortlist: Shortlist | None = None
    observer: SearchObserver | None = None

    def __post_init__(self) -> None:
        use_one_thread_after_forks()

    @property
    def summary(self) -> str:
        """Return the size of the model, the search, the device and the precision as text."""
        # int8 weights are buffers.
        weights = (*self.model.parameters(), *self.model.buffers())
        size = sum(weight.numel() for weight in weights)
        search = f"{type(self.search).__name__} of {self.search.beam_size}"
        precision = str(self.precision).removeprefix("torch.")
        return f"{size:,} parameters, {search}, {self.device}, {precision}"

    def run_search(
        self, sources: Sequence[Tokens], constraints: Sequence[Constraints] | None = None
    ) -> NBest:
        """Return the best hypotheses of each sentence, in order.

        Args:
            sources: tokens of each sentence; an empty sentence has an empty translation.
            constraints: of each translation; None: no constraints.
        """
        constraints = [Constraints()] * len(sources) if constraints is None else constraints
        ((_, found),) = self.search_windows([(None, sources, constraints)])
        return found

    def search_windows(
        self,
        windows: Iterable[tuple[Item, Sequence[Tokens], Sequence[Constraints]]],
        report: Callable[[int], object] = no_report,
    ) -> Iterator[tuple[Item, NBest]]:
        """Yield each window with the results of `run_search` for its sentences.

        A batch never mixes sentences of two windows. But workers may start on a window, which is
        then read ahead, before the previous one is done.

        Args:
            windows: tuples of any item, which is yielded again, and the sources and constraints.
            report: called with the number of sentences whenever a batch is done.
        """
        most = self.batch_tokens * _BEAM // max(self.search.beam_size, _BEAM)

        def jobs() -> Iterator[tuple[tuple[Item, int, list[int], bool], tuple[Any, ...]]]:
            for item, sources, constraints in windows:
                batches = full_batches(sources, most) or [[]]
                for number, batch in enumerate(batches, start=1):
                    job = [sources[i] for i in batch], [constraints[i] for i in batch]
                    yield (item, len(sources), batch, number == len(batches)), job

        found: dict[int, list[Hypothesis]] = {}
        for (item, size, batch, is_last), hypotheses in self._map(_search_batch, jobs()):
            found.update(zip(batch, hypotheses, strict=True))
            report(len(batch))
            if is_last:
                report(size - len(found))
                yield item, [found.get(index, [NOTHING]) for index in range(size)]
                found = {}

    def run_forced(
        self, sources: Sequence[EncodedWords], targets: Sequence[EncodedWords], read: Read[Result]
    ) -> list[Result]:
        """Return what `read` extracts from the teacher-forced output for each pair, in order."""
        lengths = [
            max(len(source.ids), len(target.ids)) + 1
            for source, target in zip(sources, targets, strict=True)
        ]
        jobs = (
            (batch, ([sources[i].ids for i in batch], [targets[i].ids for i in batch], read))
            for batch in like_batches(lengths, self.batch_tokens)
        )
        found: dict[int, Result] = {}
        for batch, results in self._map(_force_batch, jobs):
            found.update(zip(batch, results, strict=True))
        return [found[index] for index in range(len(sources))]

    def _map(
        self, function: Callable[..., Result], jobs: Iterable[tuple[Item, Job]]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with the result of its job, in order; jobs may start ahead."""
        if self.ranks is not None:
            yield from self._map_on_ranks(self.ranks, function, jobs)
            return
        num_threads = self._count_threads()
        rest = iter(jobs)
        first: list[tuple[Item, Job]] = []
        error = None
        try:
            first.extend(islice(rest, min(num_threads, 2)))
        except Exception as raised:  # after the result of the job before it
            error = raised
        if len(first) == 2:
            yield from map_in_threads(partial(function, self), chain(first, rest), num_threads)
            return
        for item, job in chain(first, rest):
            yield item, function(self, *job)
        if error is not None:
            raise error

    def _map_on_ranks(
        self,
        ranks: "RankPool[BatchRunner]",
        function: Callable[..., Result],
        jobs: Iterable[tuple[Item, Job]],
    ) -> Iterator[tuple[Item, Result]]:
        begun: deque[Item] = deque()  # jobs are sent ahead of their results

        def remembered() -> Iterator[Job]:
            for item, job in jobs:
                begun.append(item)
                yield job

        for result in ranks.map(function, remembered()):
            yield begun.popleft(), result

    def _count_threads(self) -> int:
        if self.device.type != "cpu" or self.observer is not None:
            return 1
        return self.num_threads or min(torch.get_num_threads(), MOST_THREADS)

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Disable dropout and gradients, set the precision, and use one thread of torch on a CPU.

        The mode of the model is restored once no thread needs it any more. Use it for one batch,
        never across a `yield` to the caller, because it affects the caller's code.
        """
        reduced = self.precision == torch.bfloat16
        # Autocast keeps no weights that it has cast in inference mode.
        without_gradients = torch.no_grad() if reduced else torch.inference_mode()
        with (
            evaluation_mode(self.model),
            one_thread(self.device),
            without_gradients,
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=reduced),
        ):
            yield


def _search_batch(
    runner: BatchRunner, sources: Sequence[Tokens], constraints: Sequence[Constraints]
) -> NBest:
    """Return the best hypotheses of the sentences of one batch, which may be empty.

    With a shortlist the search runs on indices into the shortlist.
    """
    if not sources:
        return []
    subset = allowed = None
    if runner.shortlist is not None:
        subset, allowed = runner.shortlist.choose(sources, constraints)
    source, lengths = make_source(sources)
    keys = torch.tensor(list(map(_key, sources)))
    request = _make_request(lengths, keys, constraints, subset)
    request = replace(request, observer=runner.observer)
    source, request, allowed = to((source, request, allowed), runner.device)
    model: Any = runner.model  # the type of its state is opaque
    with runner.evaluation():
        step = model.step if subset is None else model.restrict(subset.tokens.to(runner.device))
        with_coverage = runner.search.scoring.coverage.reads_coverage
        lengths = request.source_lengths
        state = model.read(source, lengths, with_coverage=with_coverage, allowed=allowed)
        found = runner.search(Stepper(step, model.coverage), state, request)
    if subset is None:
        return found
    return [
        [replace(item, tokens=subset.to_tokens(item.tokens)) for item in hypotheses]
        for hypotheses in found
    ]


def _make_request(
    source_lengths: Tensor,
    keys: Tensor,
    constraints: Sequence[Constraints],
    subset: VocabularySubset | None = None,
) -> Request:
    """Pad the constraints of each sentence into a request.

    Args:
        source_lengths: tokens of each source sentence, including EOS.
        keys: a number for each sentence that seeds its random numbers.
        constraints: in tokens.
        subset: the request is in its indices; None: in tokens.
    """
    if subset is not None:
        constraints = [constraint.in_subset(subset) for constraint in constraints]
    prefixes = phrases = None
    if any(constraint.prefix for constraint in constraints):
        prefixes = pad([constraint.prefix for constraint in constraints])
    most = max((len(constraint.phrases) for constraint in constraints), default=0)
    if most > 0:
        filled = [(*each.phrases, *[()] * (most - len(each.phrases))) for each in constraints]
        padded = pad([phrase for phrases in filled for phrase in phrases])
        phrases = padded.view(len(constraints), most, -1)
    return Request(source_lengths, prefixes, phrases, keys, subset)


def _force_batch(
    runner: BatchRunner, sources: Sequence[Tokens], targets: Sequence[Tokens], read: Read[Result]
) -> list[Result]:
    """Return what `read` extracts from the teacher-forced output for one batch of pairs."""
    with runner.evaluation():
        batch = to(make_batch(sources, targets), runner.device)
        return read(batch, runner.model(batch))


def _key(tokens: Tokens) -> int:
    """Return a hash of a source's tokens that does not depend on machine or batch."""
    values = np.asarray(tokens, None if isinstance(tokens, np.ndarray) else np.int64)
    digest = hashlib.blake2b(values.tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
