"""Updates a second, against a training loop as it is written today.

    python scripts/benchmark_training.py [--rounds 5] [--updates 10] [--threads 2]
           [--ways plain fused bfloat16] [--vocabulary 8000] [--hidden 512] [--length 16]
           [--sentences 64] [--profile]

The model: embedding 256 tied with the projection, bidirectional GRU of half the decoder's size in
each direction, GRU 512, additive attention 512, deep output; Adam; batches of 64 pairs whose
lengths are spread as those of Multi30k (16 and 17 pieces), and whose pieces are drawn by Zipf's
law. The textbook has the same sizes: `nn.GRU` reads the source, and then in each step
`nn.GRUCell`, attention and the projection, float32; cross-entropy over all logits. All ways make
the same updates in one process, in turn; medians and their ratios are printed as a Markdown
table. Beside them stands what the matrix products of an update would take at the rate that this
machine has for one large product: the share of the machine's limit that is reached.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.batch import Batch
from nmt.build_model import build_model
from nmt.config import ModelConfig
from nmt.data.loader import make_batch
from nmt.symbols import PAD
from nmt.training.objective import Objective
from nmt.training.optimization import Adam, apply_gradients

FIRST_WORD = 4
DROPOUT = 0.3
SMOOTHING = 0.1


@dataclass(frozen=True)
class Sizes:
    """Of the model and its batches."""

    vocabulary: int
    embedding: int
    hidden: int
    length: int
    sentences: int


def main() -> int:
    """Time all ways, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--updates", type=int, default=10, metavar="N", help="a round (default 10)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--vocabulary", type=int, default=8000, metavar="V")
    parser.add_argument("--embedding", type=int, default=256, metavar="E")
    parser.add_argument("--hidden", type=int, default=512, metavar="H")
    parser.add_argument("--length", type=int, default=16, metavar="N", help="pieces, on average")
    parser.add_argument("--sentences", type=int, default=64, metavar="N", help="of a batch")
    parser.add_argument("--profile", action="store_true", help="say where the time of each goes")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sizes = Sizes(
        arguments.vocabulary,
        arguments.embedding,
        arguments.hidden,
        arguments.length,
        arguments.sentences,
    )
    batches = [draw_batch(sizes, seed) for seed in range(arguments.updates)]
    names = ["textbook", *(name for name in arguments.ways if name != "textbook")]
    updates = {name: WAYS[name](sizes) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(arguments.rounds + 1):  # the first warms up
        for name, update in updates.items():
            started = time.perf_counter()
            for batch in batches:
                update(batch)
            if number > 0:
                seconds[name].append((time.perf_counter() - started) / len(batches))
    print_table(seconds, count_operations(sizes, batches))
    if arguments.profile:
        for name, update in updates.items():
            print_profile(name, update, batches)
    return 0


def draw_batch(sizes: Sizes, seed: int) -> Batch:
    """Pairs of like lengths, as a batch of sorted sentences has them."""
    generator = torch.Generator().manual_seed(seed)
    middle = sizes.length * (0.6 + 0.8 * torch.rand((), generator=generator).item())

    def sentence(extra: int) -> list[int]:
        spread = 1 + 0.08 * torch.randn((), generator=generator).item()
        size = max(1, round((middle + extra) * spread))
        ranks = torch.rand(size, generator=generator)
        words = ((sizes.vocabulary - FIRST_WORD) ** ranks).long()  # Zipf: uniform in the logarithm
        return (words + FIRST_WORD - 1).tolist()

    pairs = [(sentence(0), sentence(1)) for _ in range(sizes.sentences)]
    return make_batch([source for source, _ in pairs], [target for _, target in pairs])


def ours(
    *, fused: bool, precision: torch.dtype = torch.float32
) -> Callable[[Sizes], Callable[[Batch], None]]:
    """How this package makes updates."""

    def make(sizes: Sizes) -> Callable[[Batch], None]:
        cell = {"name": "gru", "fused": fused}
        config = ModelConfig.model_validate(
            {
                "embedding": {"size": sizes.embedding, "dropout": DROPOUT, "tie": "all"},
                "encoder": {"cell": cell, "hidden_size": sizes.hidden // 2, "dropout": DROPOUT},
                "bridge": "mean",
                "attention": {"score": {"name": "additive", "hidden_size": sizes.hidden}},
                "decoder": {
                    "style": {"name": "bahdanau", "fused": fused},
                    "cell": cell,
                    "hidden_size": sizes.hidden,
                    "output_dropout": DROPOUT,
                },
            }
        )
        torch.manual_seed(1)
        model = build_model(config, sizes.vocabulary, sizes.vocabulary)
        optimizer = Adam(model)
        objective = Objective(SMOOTHING, precision=precision)

        def update(batch: Batch) -> None:
            losses = objective(model, batch)
            (losses.objective / batch.num_target_tokens).backward()  # type: ignore[no-untyped-call]
            apply_gradients(optimizer, losses.objective.detach(), 1.0)

        return update

    return make


class Textbook(nn.Module):
    """The same model, as tutorials have it."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        half, hidden, size = sizes.hidden // 2, sizes.hidden, sizes.embedding
        self.embedding = nn.Embedding(sizes.vocabulary, size, padding_idx=PAD)
        self.encoder = nn.GRU(size, half, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(hidden, hidden)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.cell = nn.GRUCell(size + hidden, hidden)
        self.output = nn.Linear(hidden + size + hidden, size)
        self.projection = nn.Linear(size, sizes.vocabulary)
        self.projection.weight = self.embedding.weight
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, batch: Batch) -> Tensor:
        """The logits."""
        mask = batch.source != PAD
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.embedding(batch.source)),
            batch.source_lengths.cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        memory, _ = nn.utils.rnn.pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        memory = self.dropout(memory)
        state = torch.tanh(self.bridge(memory.sum(1) / mask.sum(1, keepdim=True)))
        keys = self.key(memory)
        words = self.dropout(self.embedding(batch.decoder_input))
        logits = []
        for word in words.unbind(1):
            scores = self.score(torch.tanh(self.query(state).unsqueeze(1) + keys)).squeeze(2)
            weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)
            context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
            state = self.cell(torch.cat([word, context], dim=1), state)
            output = torch.tanh(self.output(torch.cat([state, word, context], dim=1)))
            logits.append(self.projection(self.dropout(output)))
        return torch.stack(logits, dim=1)


def textbook(sizes: Sizes) -> Callable[[Batch], None]:
    """How a tutorial makes updates."""
    torch.manual_seed(1)
    model = Textbook(sizes)
    optimizer = torch.optim.Adam(model.parameters())

    def update(batch: Batch) -> None:
        loss = functional.cross_entropy(
            model(batch).flatten(0, 1),
            batch.labels.flatten(),
            ignore_index=PAD,
            label_smoothing=SMOOTHING,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return update


WAYS: dict[str, Callable[[Sizes], Callable[[Batch], None]]] = {
    "textbook": textbook,
    "plain": ours(fused=False),
    "fused": ours(fused=True),
    "bfloat16": ours(fused=True, precision=torch.bfloat16),
}


def count_operations(sizes: Sizes, batches: list[Batch]) -> float:
    """Floating-point operations of the matrix products of an update, the mean over the batches.

    Two for each number of a weight and each row that it is multiplied with, three times: forward,
    and backward for both factors. Padding is none of the need. The comparison of the attention is
    counted for each pair of positions.
    """
    hidden, size = sizes.hidden, sizes.embedding
    half = hidden // 2
    source = 2 * 3 * half * (size + half) + hidden * hidden  # both directions, and the keys
    target = 3 * hidden * (size + 2 * hidden) + hidden * hidden  # the cell, and the query
    target += size * (2 * hidden + size) + size * sizes.vocabulary
    total = 0.0
    for batch in batches:
        sources, targets = int(batch.source_lengths.sum()), batch.num_target_tokens
        pairs = targets * sources / sizes.sentences
        total += 6 * (source * sources + target * targets + 2 * hidden * pairs)
    return total / len(batches)


def product_rate(kind: torch.dtype) -> float:
    """Floating-point operations a second of one large matrix product."""
    left, right = (torch.randn(2048, 2048).to(kind) for _ in range(2))
    times = []
    for _ in range(7):
        started = time.perf_counter()
        left @ right
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / statistics.median(times)


def print_table(seconds: dict[str, list[float]], operations: float) -> None:
    """A row for each way."""
    print(f"matrix products of an update: {operations / 1e9:.1f} GFLOP")
    print("| way | ms an update, median (all) | against the textbook | share of the limit |")
    print("|---|---|---|---|")
    first = statistics.median(seconds["textbook"])
    rates = {kind: product_rate(kind) for kind in (torch.float32, torch.bfloat16)}
    for name, times in seconds.items():
        median = statistics.median(times)
        rate = rates[torch.bfloat16 if name == "bfloat16" else torch.float32]
        every = ", ".join(f"{1000 * value:.0f}" for value in sorted(times))
        print(
            f"| {name} | {1000 * median:.0f} ({every}) | {first / median:.2f} "
            f"| {100 * operations / rate / median:.0f}% |"
        )
    for kind, rate in rates.items():
        print(f"{kind}: {rate / 1e9:.0f} GFLOP/s", file=sys.stderr)


def print_profile(name: str, update: Callable[[Batch], None], batches: list[Batch]) -> None:
    """What takes the time of a way, by the operation of torch."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for batch in batches:
            update(batch)
    print(f"\n{name}")
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


if __name__ == "__main__":
    sys.exit(main())
