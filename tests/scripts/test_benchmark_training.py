import importlib
import multiprocessing
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nmt.core.batch import make_batch

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("benchmark_training")
    return module


@pytest.fixture(scope="module")
def ways(script: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks.ways")


@pytest.fixture(scope="module")
def kinds(script: ModuleType) -> ModuleType:
    return importlib.import_module("benchmarks.kinds")


@pytest.fixture
def sizes(ways: ModuleType):
    return ways.Sizes(vocabulary=40, embedding=6, hidden=8, length=5, sentences=3, dropout=0.0)


@pytest.mark.parametrize("fused", [False, True])
def test_the_textbook_makes_the_same_updates(ways: ModuleType, sizes, fused: bool) -> None:
    model, textbook = ways.make_model(sizes, fused=fused).double(), ways.Textbook(sizes)
    textbook.take(model)
    textbook = textbook.double()
    before = [parameter.detach().clone() for parameter in textbook.parameters()]
    ours, theirs = ways.updates(model), ways.textbook_updates(textbook)
    for batch in ways.draw_batches(sizes, 4):
        torch.testing.assert_close(ours(batch), theirs(batch).float())
    after = ways.Textbook(sizes).double()
    after.take(model)
    for start, one, other in zip(before, after.parameters(), textbook.parameters(), strict=True):
        assert not torch.equal(start, one)
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_dropout_is_applied_at_the_configured_places(ways: ModuleType, sizes) -> None:
    with_dropout = replace(sizes, dropout=0.3)
    model = ways.make_model(with_dropout)
    places = {name for name, part in model.named_modules() if getattr(part, "probability", 0) > 0}
    assert places == {"source_embedding.dropout", "encoder.dropout", "output_dropout"}
    seen: list[tuple[int, ...]] = []
    textbook = ways.Textbook(with_dropout)
    textbook.dropout.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    (batch,) = ways.draw_batches(with_dropout, 1)
    textbook(batch)
    (source, memory, words), outputs = seen[:3], seen[3:]
    assert source == (*batch.source.shape, 6)
    assert memory == (*batch.source.shape, 8)
    assert words == (*batch.labels.shape, 6)
    assert outputs == [(3, 6)] * batch.labels.shape[1]


def test_batches_are_as_long_as_those_of_multi30k(ways: ModuleType) -> None:
    batches = ways.draw_batches(ways.Sizes(), 50)
    sources = torch.stack([batch.source_lengths.float().mean() - 1 for batch in batches])
    targets = torch.tensor([batch.num_target_tokens / 64 - 1 for batch in batches])
    for means in (sources, targets):
        assert float(means.mean()) == pytest.approx(15, rel=0.02)
        wanted = torch.tensor([0.61, 0.75, 0.93, 1.2, 1.45]) * 15
        quantiles = torch.quantile(means, torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9]))
        torch.testing.assert_close(quantiles, wanted, rtol=0.05, atol=0.0)
    for side, largest in (("source", 0.05), ("labels", 0.01)):
        matrices = [getattr(batch, side) for batch in batches]
        padding = sum(int((matrix == 0).sum()) for matrix in matrices)
        assert padding / sum(matrix.numel() for matrix in matrices) < largest


def test_frequent_words_are_frequent(ways: ModuleType) -> None:
    (batch,) = ways.draw_batches(ways.Sizes(vocabulary=1004, sentences=500), 1)
    words = batch.source[batch.source >= ways.FIRST_WORD] - ways.FIRST_WORD
    assert int(words.max()) < 1000
    assert float((words < 32).float().mean()) == pytest.approx(0.5, abs=0.03)  # log 32 / log 1000


def test_operations_by_hand(script: ModuleType, ways: ModuleType) -> None:
    sizes = ways.Sizes(vocabulary=10, embedding=2, hidden=4)
    batch = make_batch([[4, 5], [4]], [[6], [6, 7]])
    # A source piece: 2 directions of 3 gates of 2 units that read 2 + 2, and a key of 4 that reads
    # 4. A target piece: 3 gates of 4 units that read 2 + 4 + 4, a query, output, projection.
    source, target = 2 * 3 * 2 * 4 + 16, 3 * 4 * 10 + 16 + 2 * 10 + 2 * 10
    bridge, pair = 16, 4 + 4
    products = (3 + 2) * source + (2 + 3) * target + 2 * bridge + (3 * 2 + 2 * 3) * pair
    assert script.count_operations(sizes, batch) == 6 * products


def test_operations_are_those_of_torch(script: ModuleType, ways: ModuleType) -> None:
    sizes = ways.Sizes(vocabulary=50, embedding=8, hidden=16, dropout=0.0)
    batch = make_batch([[4] * 9] * 5, [[5] * 9] * 5)  # no padding
    update = ways.WAYS["textbook"].make(sizes)
    with FlopCounterMode(display=False) as counter:
        update(batch)
    assert counter.get_total_flops() == pytest.approx(
        script.count_operations(sizes, batch), rel=0.02
    )


class InThisProcess:
    """Stands for a process of its own, which takes seconds to start."""

    def __init__(self, do) -> None:
        self.do = do


def test_ways_take_turns_and_warm_up_first(script: ModuleType) -> None:
    seen: list[str] = []
    processes = {
        name: InThisProcess(lambda function, name=name: seen.append(name) or len(seen))
        for name in "ab"
    }
    seconds = script.time_in_turn(processes, 2, {"c": lambda: seen.append("c")})
    assert seen == ["a", "b", "c"] * 3
    assert (seconds["a"], seconds["b"], len(seconds["c"])) == ([4, 7], [5, 8], 2)


@pytest.mark.parametrize(("name", "resolved"), [("fused", [1]), ("textbook", [])])
def test_ways_of_this_package_are_measured_as_in_training(
    name: str, resolved: list[int], script: ModuleType, sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def recv(self) -> None:
            raise EOFError

    processes = importlib.import_module("benchmarks.processes")
    seen: list[int] = []
    monkeypatch.setattr(processes, "set_up_for_training", seen.append)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    processes._serve(Closed(), name, sizes, 1, 1)
    assert seen == resolved


def test_a_way_in_a_process_of_its_own(script: ModuleType, sizes) -> None:
    processes = importlib.import_module("benchmarks.processes")
    with processes.started(["fused"], sizes, 2, threads=1) as given:
        assert 0 < given["fused"].do(processes.seconds_of) < 10
        assert "aten::" in given["fused"].do(processes.profile_of)  # which are on top is chance
    assert not multiprocessing.active_children()


def test_the_table(script: ModuleType) -> None:
    seconds = {
        "textbook": [0.4, 0.2, 0.3],
        "fused": [0.1, 0.12, 0.1],
        "torch.float32": [2 * 2048**3 / 50e9],
    }
    assert script.compare_table(seconds, ["textbook", "fused"], 1e9) == [
        "An update needs 1.0 GFLOP in matrix products.",
        "The machine's limit in float32: 50 GFLOP/s, 20 ms an update.",
        "",
        "| way | ms an update, median (all) | against the textbook | share of the limit |",
        "|---|---|---|---|",
        "| textbook | 300 (200, 300, 400) | 1.00 | 7% |",
        "| fused | 100 (100, 100, 120) | 3.00 | 20% |",
    ]


TINY = "--rounds 1 --updates 2 --threads 1 --vocabulary 40 --embedding 6 --hidden 8 --length 3"


@pytest.fixture
def quick(script: ModuleType, ways: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def started(names, sizes, num_batches, threads):
        def process(name):
            update, batches = ways.WAYS[name].make(sizes), ways.draw_batches(sizes, num_batches)
            return InThisProcess(lambda function: function(update, batches))

        yield {name: process(name) for name in names}

    monkeypatch.setattr(script, "started", started)
    monkeypatch.setattr(script, "large_product", lambda kind: lambda: None)


@pytest.mark.usefixtures("quick")
def test_implementations_are_compared_and_profiled(
    script: ModuleType, kinds: ModuleType, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Counter(dict.fromkeys(kinds.PARTS, 1.0)), Counter(dict.fromkeys(kinds.KINDS, 1.0))
    monkeypatch.setattr(script, "kinds_of_two", lambda update, batches: measured)
    assert script.main([*TINY.split(), "--ways", "fused", "--kinds"]) == 0
    rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines() if "|" in line]
    assert [row.removeprefix("| ") for row in rows if "---" not in row] == [
        *("way", "textbook", "fused"),
        *("part", "forward and loss", "backward", "clipping and Adam"),
        *("kind of operation", "matrix products", "tanh and sigmoid"),
        *("softmax, loss and its gradient", "copies, casts, look-ups"),
        *("other arithmetic: gates, sums, dropout", "clipping and Adam", "Python, autograd, views"),
    ]


@pytest.mark.usefixtures("quick")
def test_emulated_bfloat16_is_skipped(
    script: ModuleType, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "has_bfloat16", lambda device: False)
    assert script.main([*TINY.split(), "--ways", "fused", "bfloat16"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("bfloat16 is left out: this CPU only emulates it\n")
    assert "| fused |" in told and "| bfloat16 |" not in told


@pytest.mark.usefixtures("quick")
def test_growth(script: ModuleType, capsys) -> None:
    assert (
        script.main([*TINY.split(), "--ways", "fused", "--grow", "hidden", "--to", "4", "8"]) == 0
    )
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head == "| hidden | GFLOP | textbook, ms | fused, ms | textbook / fused |"
    assert first.startswith("| 4 | ") and second.startswith("| 8 | ")
    assert len(second.split(" | ")) == 5


def test_each_operation_has_its_kind(kinds: ModuleType) -> None:
    assert kinds.kind_of("aten::addmm") == "matrix products"
    assert kinds.kind_of("mkldnn::_linear_pointwise") == "matrix products"
    assert kinds.kind_of("aten::tanh_") == "tanh and sigmoid"
    assert kinds.kind_of("aten::_log_softmax") == "softmax, loss and its gradient"
    assert kinds.kind_of("aten::_to_copy") == "copies, casts, look-ups"
    assert kinds.kind_of("aten::mul") == kinds.OTHER
    assert kinds.kind_of("aten::view") == kinds.REST
    assert kinds.kind_of("AddmmBackward0") == kinds.REST


def test_the_kinds_of_an_update_add_up(kinds: ModuleType, ways: ModuleType, sizes) -> None:
    batches = ways.draw_batches(sizes, 2)
    update = ways.WAYS["fused"].make(sizes)
    parts, by_kind = kinds.measure_kinds(update, batches)
    assert all(parts[part] > 0 for part in kinds.PARTS)
    assert all(by_kind[kind] > 0 for kind in kinds.KINDS)
    assert by_kind.total() >= parts.total()
    assert by_kind[ways.STEP] == parts[ways.STEP]


def test_shares_of_a_column(kinds: ModuleType) -> None:
    columns = {"textbook": Counter(a=30, b=10), "fused": Counter(a=4, b=16)}
    assert kinds.table(columns, ["a", "b"], "part") == [
        "| part | textbook | fused |",
        "|---|---|---|",
        "| a | 30 ms, 75% | 4 ms, 20% |",
        "| b | 10 ms, 25% | 16 ms, 80% |",
    ]
