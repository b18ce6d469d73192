"""Profile of an update: its time by part, and by the kind of operation."""

import time
from collections import Counter
from collections.abc import Sequence

from torch.profiler import ProfilerActivity, profile

from benchmarks.ways import BACKWARD, FORWARD, STEP, Update
from nmt.core.batch import Batch

PARTS = (FORWARD, BACKWARD, STEP)
OTHER = "other arithmetic: gates, sums, dropout"
REST = "Python, autograd, views"
_OPERATIONS = {
    "matrix products": "mm addmm bmm baddbmm matmul linear mv addmv dot mkldnn_linear",
    "tanh and sigmoid": "tanh sigmoid tanh_backward sigmoid_backward",
    "softmax, loss and its gradient": (
        "softmax log_softmax softmax_backward_data log_softmax_backward_data exp log logsumexp "
        "nll_loss_forward nll_loss_backward amax gather gather_backward scatter scatter_add"
    ),
    "copies, casts, look-ups": (
        "copy clone contiguous cat stack to_copy fill zero index_select embedding_dense_backward "
        "select_backward slice_backward index index_put flip constant_pad_nd where masked_fill"
    ),
    REST: (
        "view reshape t transpose permute as_strided slice select unbind split chunk narrow "
        "unsqueeze squeeze expand expand_as flatten unflatten empty empty_like empty_strided "
        "new_empty resize detach alias to result_type lift_fresh item local_scalar_dense is_nonzero"
    ),
}
_KIND_OF = {name: kind for kind, names in _OPERATIONS.items() for name in names.split()}
KINDS = (*(kind for kind in _OPERATIONS if kind != REST), OTHER, STEP, REST)
"""The rows of the table, in its order."""


def kind_of(operation: str) -> str:
    """Return the kind of a torch operation from its name in a profile, or `REST`."""
    if operation.startswith("mkldnn::"):
        return "matrix products"
    if not operation.startswith("aten::"):
        return REST
    return _KIND_OF.get(operation.removeprefix("aten::").strip("_"), OTHER)


def measure_kinds(update: Update, batches: Sequence[Batch]) -> tuple[Counter[str], Counter[str]]:
    """Return the milliseconds of an update by part and by kind, with the profiler's overhead."""
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorded:
        started = time.perf_counter()
        for batch in batches:
            update(batch)
        milliseconds = 1000 * (time.perf_counter() - started)
    parts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    waiting = [event for event in recorded.events() if event.cpu_parent is None]
    while waiting:
        event = waiting.pop()
        if event.name in PARTS:
            parts[event.name] += event.cpu_time_total / 1000
        if event.name == STEP:
            kinds[STEP] += event.cpu_time_total / 1000
        else:
            kinds[kind_of(event.name)] += event.self_cpu_time_total / 1000
            waiting += event.cpu_children
    kinds[REST] = milliseconds - (kinds.total() - kinds[REST])
    return _divided(parts, len(batches)), _divided(kinds, len(batches))


def table(columns: dict[str, Counter[str]], rows: Sequence[str], title: str) -> list[str]:
    """Return a Markdown table of milliseconds and their shares, with a column for each way."""
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for row in rows:
        cells = [
            f"{column[row]:.0f} ms, {100 * column[row] / column.total():.0f}%"
            for column in columns.values()
        ]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def _divided(counter: Counter[str], number: int) -> Counter[str]:
    return Counter({name: value / number for name, value in counter.items()})
