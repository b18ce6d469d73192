import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from torch.distributed import HashStore, TCPStore

from nmt import cli, refusals
from nmt.errors import DataError, PassingError
from nmt.process_group import LostProcess
from nmt.refusals import is_refused, is_the_one, refuse

WORDS = ("train", "nowhere.yaml")


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch):
    """Be one of two processes of a torchrun that remembers."""
    memory = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    facts = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    facts |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(memory.port)}

    def become(rank: int) -> None:
        for name, value in (facts | {"RANK": str(rank)}).items():
            monkeypatch.setenv(name, value)

    yield become
    del memory


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(refusals, "_PATIENCE", timedelta(seconds=0.2))


@pytest.mark.usefixtures("impatient")
def test_an_error_is_told_by_the_first_and_not_again(as_rank, capsys) -> None:
    for rank in (0, 1, 0, 1):
        as_rank(rank)
        assert cli.main(WORDS) == 2
    assert capsys.readouterr().err == "nmt: error: nowhere.yaml: no such file\n"


@pytest.mark.usefixtures("impatient")
def test_who_alone_meets_an_error_tells_it_and_the_others_end_in_silence(as_rank, capsys) -> None:
    as_rank(1)
    assert cli.main(WORDS) == 2
    assert capsys.readouterr().err == "nmt: error: rank 1: nowhere.yaml: no such file\n"
    as_rank(0)
    assert is_refused(WORDS)
    assert not refuse(LostProcess("another has died"), WORDS)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_died_is_told_and_may_start_anew(as_rank) -> None:
    as_rank(0)
    for _ in "12":
        assert refuse(PassingError("a worker has died"), WORDS)
        assert not is_refused(WORDS)


@pytest.mark.usefixtures("impatient")
def test_another_command_of_the_same_process_is_not_refused(as_rank) -> None:
    as_rank(0)
    assert refuse(DataError("a.txt: no such file"), WORDS)
    assert is_refused(WORDS)
    assert not is_refused(("train", "other.yaml"))


def test_others_wait_for_the_first_to_tell_it() -> None:
    store, answers = HashStore(), []
    other = threading.Thread(
        target=lambda: answers.append(is_the_one(store, "no such file", "told", is_first=False))
    )
    other.start()
    time.sleep(0.1)
    assert not store.check(["told"])
    assert is_the_one(store, "no such file", "told", is_first=True)
    other.join()
    assert answers == [False]


def test_where_nothing_is_remembered_each_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert refuse(DataError("a.txt: no such file"), WORDS)
    assert not is_refused(WORDS)
