"""`nmt check`: check a configuration without training.

Check a configuration without training: read the corpora, train the tokenizers, make the batches,
build the model and make a few updates. The report shows the number of sentences, the vocabularies,
the parameters, the memory and the time of the training. Errors in the file are reported at once.
Nothing is saved, and an existing run is not changed.

examples:
  nmt check configs/toy.yaml
  nmt check configs/toy.yaml model.decoder.hidden_size=1024 training.batch_tokens=8000
"""

import logging
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.cli.config_checks import ConfigArguments, load_checked
from nmt.system.plugins import sources

if TYPE_CHECKING:
    from nmt.build.tokenizers import Tokenizers
    from nmt.config.data import CorpusConfig
    from nmt.config.experiment import Config
    from nmt.core.batch import Batch
    from nmt.data.formats.grids import Source
    from nmt.nn.model import Model
    from nmt.text.reader import SourceReader
    from nmt.training.prepare_data import PreparedData
    from nmt.training.state import TrainingState

Arguments = ConfigArguments

_NUM_BATCHES: Final = 200  # batches searched for the largest one
_NUM_LINES: Final = 5_000  # lines for the statistics of the tokenizers
_LONGEST_MEASUREMENT: Final = 4.0  # seconds


def run(arguments: ConfigArguments) -> int:
    """Print each part of the report as soon as it is known."""
    config = load_checked(arguments)
    print(f"configuration   {arguments.config}: valid", flush=True)
    _report_corpora(config)

    import torch

    from nmt.runs.run import RunDirectory
    from nmt.system.memory import reset_peak_memory
    from nmt.system.process import return_freed_memory, set_up_for_training
    from nmt.training.fine_tuning import open_base
    from nmt.training.new_state import build_state
    from nmt.training.prepare_data import make_tokenizers, prepare_data

    set_up_for_training(config.training.num_threads)
    with tempfile.TemporaryDirectory(prefix="nmt-check-") as folder:
        place = RunDirectory(Path(folder))
        tokenizers = make_tokenizers(config, place, open_base(config))
        for source in sources():
            print(f"plug-in         {source.module.__file__}, SHA-256 {source.sha256}", flush=True)
        _report_tokenizers(config, tokenizers)
        contained = _contained(config)
        data = prepare_data(contained, place)
        batches = list(islice(data.loader.epoch(1), _NUM_BATCHES))
        torch.manual_seed(config.seed)
        return_freed_memory()
        in_use = reset_peak_memory(data.device)
        state = build_state(contained, place, data)
        num_batches = state.counters.first_epoch_batches or len(batches)
        _report_batches(batches, num_batches)
        _report_model(state.model)
        largest = max(batches, key=lambda batch: batch.source.numel() * batch.target.shape[1])
        _report_updates(state, largest, num_classes=len(tokenizers.target), in_use=in_use)
        _advise(config, state, data)
        _report_speed(state, batches, num_batches)
    return 0


def _contained(config: "Config") -> "Config":
    """Return the options for a temporary folder, without the parts that take long to make."""
    data = config.data.model_copy(update={"cache": None, "num_processes": 0})
    decoding = config.decoding.model_copy(update={"shortlist": None})
    return config.model_copy(update={"data": data, "decoding": decoding})


def _report_corpora(config: "Config") -> None:
    """Read every line of every corpus: errors are reported before anything is computed."""
    named = [(f"train {number}", corpus) for number, corpus in enumerate(config.data.train, 1)]
    if len(named) == 1:
        named = [("train", config.data.train[0])]
    for name, corpus in [*named, ("valid", config.data.valid), ("test", config.data.test)]:
        if corpus is not None:
            print(f"{name:<15} {_describe_corpus(corpus)}", flush=True)


def _describe_corpus(corpus: "CorpusConfig") -> str:
    from nmt.build.data import build_corpus

    num_pairs = num_source = num_target = 0
    files = build_corpus(corpus)
    for source, target in files.read_pairs():
        num_pairs += 1
        num_source += _num_words(source)
        num_target += _num_words(target)
    unit = "words" if files.reads == "text" else "cells"
    return f"{num_pairs:,} pairs, {num_source:,} source {unit}, {num_target:,} target words"


def _num_words(item: "Source") -> int:
    return len(item.split()) if isinstance(item, str) else item.num_cells


def _report_tokenizers(config: "Config", tokenizers: "Tokenizers") -> None:
    from nmt.build.data import build_corpus

    corpus = config.data.valid or config.data.train[0]
    pairs = list(islice(build_corpus(corpus).read_pairs(), _NUM_LINES))
    shared = " (shared)" if tokenizers.source is tokenizers.target else ""
    sides = [("source", tokenizers.source), ("target", tokenizers.target)]
    for side, (name, reader) in enumerate(sides):
        if config.reads_grids and side == 0:
            print(f"{name:<15} grids of {len(reader):,} channels", flush=True)
            continue
        description = _describe_tokens(reader, [pair[side] for pair in pairs])
        print(f"{name:<15} {len(reader):,} entries{shared}; {description}", flush=True)


def _describe_tokens(reader: "SourceReader[str]", lines: list[str]) -> str:
    from nmt.text.reader import count_tokens

    num_words = sum(len(line.split()) for line in lines)
    num_tokens, num_unknown = count_tokens(reader, lines)
    return (
        f"{num_tokens / max(num_words, 1):.2f} tokens a word, "
        f"{num_unknown / max(num_tokens, 1):.2%} of them unknown"
    )


def _report_batches(batches: "list[Batch]", num_batches: int) -> None:
    cells = sum(batch.labels.numel() for batch in batches)
    real = sum(batch.num_target_tokens for batch in batches)
    print(
        f"batches         {num_batches:,} an epoch, {real / len(batches):,.0f} target tokens each, "
        f"{1 - real / cells:.1%} padding",
        flush=True,
    )


def _report_model(model: "Model") -> None:
    counts = count_parameters(model)
    print(f"parameters      {sum(counts.values()):,}")
    for name, count in counts.items():
        print(f"  {name:<18}{count:>14,}")
    slow = model.decoder.slow_path_reason
    print(f"decoder         {'all words at once' if slow is None else f'word by word: {slow}'}")


def count_parameters(model: "Model") -> dict[str, int]:
    """Return the number of parameters by part; shared ones are counted in the first part."""
    seen: set[object] = set()
    counts = {}
    for name, module in (("attention", model.decoder.attention), *model.named_children()):
        new = set(module.parameters()) - seen
        seen |= new
        counts[name.replace("_", " ")] = sum(parameter.numel() for parameter in new)
    return counts


def _report_updates(state: "TrainingState", batch: "Batch", num_classes: int, in_use: int) -> None:
    """Make two updates (the first creates the optimizer's state) and print their memory."""
    from nmt.system.memory import peak_memory

    loss, _ = make_update(state, batch), make_update(state, batch)
    print(
        f"largest batch   {batch.num_sentences:,} pairs of up to {batch.source.shape[1]} and "
        f"{batch.labels.shape[1]} tokens; loss {loss:.2f} before training "
        f"(chance: {math.log(num_classes):.2f})"
    )
    sizes = _measure_tensors(state)
    memory = max(peak_memory(state.device) - in_use, sum(sizes.values()))
    sizes["activations and all else"] = memory - sum(sizes.values())
    parts = ", ".join(f"{name} {size / 2**20:,.0f}" for name, size in sizes.items() if size)
    print(f"memory          about {memory / 2**20:,.0f} MiB ({parts})")


def _measure_tensors(state: "TrainingState") -> dict[str, int]:
    """Return the bytes of all tensors that do not depend on the batch."""
    from nmt.training.optim.optimizer import optimizer_tensors

    weights = sum(parameter.nbytes for parameter in state.model.parameters())
    return {
        "weights": weights,
        "gradients": weights,
        "optimizer": sum(tensor.nbytes for tensor in optimizer_tensors(state.optimizer).values()),
        "moving average": 0 if state.ema is None else weights,
    }


def make_update(state: "TrainingState", batch: "Batch") -> float:
    """Make an update and return the loss per token before it; wait for the device."""
    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    losses = state.objective(state.model, batch.to(state.device))
    (losses.objective / batch.num_target_tokens).backward()  # type: ignore[no-untyped-call]
    state.optimizer.step()
    return float(losses.negative_log_likelihood) / batch.num_target_tokens


def _advise(config: "Config", state: "TrainingState", data: "PreparedData") -> None:
    """Warn about valid but unsuitable options, with a better value."""
    from nmt.training.advice import advise_on_rate, advise_on_size, advise_on_warmup

    corpora, tokenizers = data.loader.corpora, data.tokenizers
    for advice in (
        advise_on_rate(config, state.schedule),
        advise_on_warmup(state.schedule),
        advise_on_size(
            config,
            sum(parameter.numel() for parameter in state.model.parameters()),
            sum(int(corpus.target_side.tokens.offsets[-1]) for corpus in corpora),
            len(tokenizers.source),
            len(tokenizers.target),
        ),
    ):
        if advice is not None:
            logging.getLogger(__name__).warning("%s", advice)


def _report_speed(state: "TrainingState", batches: "list[Batch]", num_batches: int) -> None:
    """Print the speed of this machine, and the estimated time of training."""
    import torch

    config = state.config
    speed, device = measure_speed(state, batches), state.device
    threads = f", {_counted(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else ""
    print(
        f"speed           {speed:,.0f} target tokens a second, on {device} in "
        f"{str(state.precision).removeprefix('torch.')}{threads}",
        flush=True,
    )
    num_tokens = sum(batch.num_target_tokens for batch in batches) * num_batches / len(batches)
    num_updates = -(-num_batches // config.accumulate)
    print(
        f"time            "
        f"{describe_time(num_tokens / speed, num_updates, config.max_epochs, config.max_updates)}"
    )


def measure_speed(state: "TrainingState", batches: "Sequence[Batch]") -> float:
    """Return target tokens per second: the median over updates, so that a stall has no effect.

    One update must have been made before.

    Args:
        state: the state of training; its model is changed.
        batches: batches as in training; the first few are enough.
    """
    rates: list[float] = []
    start = time.perf_counter()
    for batch in batches:
        begun = time.perf_counter()
        make_update(state, batch)
        ended = time.perf_counter()
        rates.append(batch.num_target_tokens / (ended - begun))
        if ended - start > _LONGEST_MEASUREMENT:
            break
    return statistics.median(rates)


def describe_time(
    epoch_seconds: float, updates_per_epoch: int, max_epochs: int | None, max_updates: int | None
) -> str:
    """Describe the time of an epoch, and of the whole training within its limits.

    Args:
        epoch_seconds: seconds of an epoch.
        updates_per_epoch: updates of an epoch.
        max_epochs: limit of epochs; None: no limit.
        max_updates: limit of updates; None: no limit.
    """
    from nmt.core.console import format_duration

    limits = []
    if max_epochs is not None:
        limits.append((float(max_epochs), _counted(max_epochs, "epoch")))
    if max_updates is not None:
        limits.append((max_updates / updates_per_epoch, _counted(max_updates, "update")))
    times = f"about {format_duration(epoch_seconds)} an epoch"
    if limits:
        num_epochs, limit = min(limits)
        times += f", {format_duration(epoch_seconds * num_epochs)} for {limit}"
    return f"{times} on this machine, without validations"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
