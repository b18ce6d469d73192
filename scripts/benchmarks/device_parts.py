"""Measurements of a device for `scripts/gpu_report.py`; each yields lines of Markdown."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from benchmarks.ways import Sizes, draw_batches, updates
from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.core.special_tokens import EOS
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.nn.model import Model
from nmt.system.device import has_bfloat16
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer

DECODERS: dict[str, Any] = {
    "bahdanau": "bahdanau",
    "luong, input feeding": {"name": "luong", "input_feeding": True},
    "luong, no input feeding": {"name": "luong", "input_feeding": False},
}
BEAM = 5
ROWS = 15  # of the profile


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements.

    Attributes:
        sizes: of the model.
        batches: sentences of a training batch.
        num_updates: updates that are timed.
        beams: sentences of a batch of the search.
        num_tokens: tokens of a source, and of its translation.
    """

    sizes: Sizes = field(default_factory=Sizes)
    batches: tuple[int, ...] = (64, 256, 1024)
    num_updates: int = 20
    beams: tuple[int, ...] = (1, 8, 32, 128, 512)
    num_tokens: int = 20


TINY = Scale(Sizes(50, 8, 8, 4, 2), (2, 4), 2, (1, 2), 3)
"""For a test on a CPU."""


def synchronize(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device, rounds: int = 3) -> float:
    """Return the median seconds of some work, after a first time that is not counted."""
    taken = []
    for _ in range(rounds + 1):
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def precisions(device: torch.device) -> list[torch.dtype]:
    """Return float32, and bfloat16 where the device computes in it."""
    return [torch.float32, *([torch.bfloat16] if has_bfloat16(device) else [])]


def make_model(scale: Scale, style: Any, device: torch.device) -> Model:
    """Return a model of this decoder with fresh weights."""
    sizes = scale.sizes
    torch.manual_seed(1)
    options = {
        "embedding": {"size": sizes.embedding, "dropout": sizes.dropout, "tie": "all"},
        "encoder": {"hidden_size": sizes.hidden // 2, "dropout": sizes.dropout},
        "decoder": {"style": style, "hidden_size": sizes.hidden, "output_dropout": sizes.dropout},
    }
    return build_model(options, sizes.vocabulary, sizes.vocabulary).to(device)


def measure_training(device: torch.device, scale: Scale) -> Iterator[str]:
    """Yield a table of target tokens per second and peak memory in training."""
    yield (
        f"{scale.num_updates} updates on generated batches of {scale.sizes.length} pieces a "
        f"sentence; V {scale.sizes.vocabulary:,}, E {scale.sizes.embedding}, "
        f"H {scale.sizes.hidden}.\n"
    )
    yield "| decoder | precision | sentences | ms an update | target tokens/s | peak, MiB |"
    yield "|---|---|---|---|---|---|"
    for name, style in DECODERS.items():
        for precision in precisions(device):
            for count in scale.batches:
                yield _training_row(name, style, precision, count, device, scale)


def _training_row(
    name: str, style: Any, precision: torch.dtype, count: int, device: torch.device, scale: Scale
) -> str:
    sizes = replace(scale.sizes, sentences=count)
    batches = [batch.to(device) for batch in draw_batches(sizes, scale.num_updates)]
    update = updates(make_model(scale, style, device).train(), precision)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = seconds_of(lambda: [update(batch) for batch in batches], device, rounds=1)
    peak = "–"
    if device.type == "cuda":
        peak = f"{torch.cuda.max_memory_allocated(device) / 2**20:,.0f}"
    tokens = sum(batch.num_target_tokens for batch in batches) / seconds
    millis = 1000 * seconds / len(batches)
    kind = str(precision).removeprefix("torch.")
    return f"| {name} | {kind} | {count} | {millis:.1f} | {tokens:,.0f} | {peak} |"


def measure_search(device: torch.device, scale: Scale) -> Iterator[str]:
    """Yield a table of sentences per second of beam search, by the batch.

    No hypothesis ends before the longest length, so that every batch makes the same steps.
    """
    number = scale.num_tokens
    options = DecodingConfig.model_validate({"beam_size": BEAM, "max_length": number})
    words = WordTrainer(Normalizer()).train(lambda: iter(["a"]))
    search = build_search(options, words)
    yield f"Beam {BEAM}; {number} tokens a source and a translation; bahdanau.\n"
    yield "| precision | sentences | sentences/s | ms a step |"
    yield "|---|---|---|---|"
    model = make_model(scale, "bahdanau", device).eval()
    with torch.no_grad():
        model.projection.bias[EOS] = -100.0
    for precision in precisions(device):
        for count in scale.beams:
            most = count * (number + 1)
            runner = BatchRunner(model, search, device, precision, most)
            sources = [[4 + (row + place) % 40 for place in range(number)] for row in range(count)]
            seconds = seconds_of(lambda: runner.run_search(sources), device)  # noqa: B023
            kind = str(precision).removeprefix("torch.")
            step = 1000 * seconds / (number + 1)
            yield f"| {kind} | {count} | {count / seconds:,.1f} | {step:.2f} |"


def profile_training(device: torch.device, scale: Scale) -> Iterator[str]:
    """Yield the operations that take most of an update, by the profiler of torch."""
    from torch.profiler import ProfilerActivity, profile

    batches = [batch.to(device) for batch in draw_batches(scale.sizes, 3)]
    update = updates(make_model(scale, "bahdanau", device).train())
    seconds_of(lambda: [update(batch) for batch in batches], device, rounds=1)
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as found:
        for batch in batches:
            update(batch)
        synchronize(device)
    key = f"self_{device.type}_time_total"
    table = found.key_averages().table(sort_by=key, row_limit=ROWS, max_name_column_width=60)
    yield f"{len(batches)} updates of bahdanau in float32.\n\n```\n{table.strip()}\n```"
