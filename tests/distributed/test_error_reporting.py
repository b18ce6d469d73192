import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from torch.distributed import HashStore, TCPStore
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from nmt.cli import main as cli
from nmt.core.errors import DataError, TransientError
from nmt.distributed import error_reporting
from nmt.distributed.error_reporting import claim_error, find_reported_error, report_error
from nmt.distributed.process_group import LostProcessError

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
    monkeypatch.setattr(error_reporting, "_PATIENCE", timedelta(seconds=0.2))


@pytest.mark.usefixtures("impatient")
def test_error_is_printed_once_by_the_first_process(as_rank, capsys) -> None:
    for rank in (0, 1, 0, 1):
        as_rank(rank)
        assert cli.main(WORDS) == 2
    assert capsys.readouterr().err == "nmt: error: nowhere.yaml: no such file\n"


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return what torchrun prints last when this process fails."""
    path = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(path))

    def last_words() -> str:
        failure = ProcessFailure(local_rank=0, pid=1, exitcode=2, error_file=str(path))
        path.unlink()
        *_, last, border = str(ChildFailedError("nmt", {0: failure})).splitlines()
        assert set(border) == {"="}
        return last

    return last_words


@pytest.mark.usefixtures("impatient")
def test_torchrun_repeats_the_error_last_for_any_process(as_rank, report) -> None:
    """It reports the first to end of the latest start, often a process that prints nothing."""
    for rank in (0, 1, 1, 0):
        as_rank(rank)
        assert cli.main(WORDS) == 2
        assert report() == (
            "  traceback : nmt: error: nowhere.yaml: no such file "
            "(see above; the traceback is torchrun's)"
        )


@pytest.mark.usefixtures("impatient")
def test_process_that_lost_another_reports_the_error_of_that_one(as_rank, report, capsys) -> None:
    as_rank(0)
    assert report_error(DataError("a.txt: no such file"), WORDS)
    as_rank(1)
    assert cli._refuse(LostProcessError("another has died"), WORDS) == 2
    assert "nmt: error: a.txt: no such file (see above" in report()
    assert capsys.readouterr().err == ""


def test_single_process_of_torchrun_repeats_its_error(
    report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert cli.main(["translate", "nowhere"]) == 2
    assert "nmt: error: nowhere: no such folder" in report()


@pytest.mark.usefixtures("impatient")
def test_error_of_one_rank_is_printed_by_that_rank_only(as_rank, capsys) -> None:
    as_rank(1)
    assert cli.main(WORDS) == 2
    assert capsys.readouterr().err == "nmt: error: rank 1: nowhere.yaml: no such file\n"
    as_rank(0)
    assert find_reported_error(WORDS) == "nowhere.yaml: no such file"
    assert not report_error(LostProcessError("another has died"), WORDS)


@pytest.mark.usefixtures("impatient")
def test_transient_error_is_printed_and_not_remembered(as_rank) -> None:
    as_rank(0)
    for _ in "12":
        assert report_error(TransientError("a worker has died"), WORDS)
        assert find_reported_error(WORDS) is None


@pytest.mark.usefixtures("impatient")
def test_error_does_not_end_another_command(as_rank) -> None:
    as_rank(0)
    assert report_error(DataError("a.txt: no such file"), WORDS)
    assert find_reported_error(WORDS) == "a.txt: no such file"
    assert find_reported_error(("train", "other.yaml")) is None


def test_other_processes_wait_for_the_report_of_the_first() -> None:
    store, answers = HashStore(), []
    other = threading.Thread(
        target=lambda: answers.append(claim_error(store, "no such file", "told", is_first=False))
    )
    other.start()
    time.sleep(0.1)
    assert not store.check(["told"])
    assert claim_error(store, "no such file", "told", is_first=True)
    other.join()
    assert answers == [False]


def test_without_a_store_each_process_prints_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    assert report_error(DataError("a.txt: no such file"), WORDS)
    assert find_reported_error(WORDS) is None
