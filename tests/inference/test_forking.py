"""A translator in a child that was forked after its parent had used it, as web servers do."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import torch

from nmt.distributed.worker_pool import WorkerPool
from nmt.inference.translator import Translator
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from tests.inference.test_translator import make_translator

WORDS = [f"w{index}" for index in range(3_000)]
LINES = [" ".join(WORDS[start : start + 9]) for start in range(0, 2_000, 50)]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


def in_forked_child(work: Callable[[], object]) -> str:
    """Return the text of what some work gives in a forked child; empty where it does not end."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        signal.alarm(20)
        try:
            os.write(writing, repr(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        found = stream.read()
    os.waitpid(child, 0)
    return found.decode()


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def translator() -> Translator:
    """A translator of a vocabulary so large that torch shares its softmax between threads."""
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter([" ".join(WORDS)]))
    return make_translator(tokenizer)


@pytest.mark.usefixtures("two_threads", "unchecked")
def test_a_forked_child_translates_and_scores_as_its_parent_does(translator: Translator) -> None:
    def work() -> tuple[list[str], list[float]]:
        texts = [translation.text for translation in translator.translate(LINES)]
        scores = translator.score(zip(LINES, texts, strict=True))
        return texts, [round(score.log_probability, 3) for score in scores]

    expected = repr(work())
    assert in_forked_child(work) == expected
    assert in_forked_child(torch.get_num_threads) == "1"
    assert torch.get_num_threads() == 2, "the parent keeps its threads"


def test_workers_in_a_forked_child_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = WorkerPool(torch.ones(3), 1)
    monkeypatch.setattr(workers, "_owner", 1)
    with pytest.raises(RuntimeError, match="belong to process 1, not to its fork"):
        next(workers.map(torch.add, [(1,)]))
