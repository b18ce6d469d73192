"""Folders of runs that one process makes and the others open."""

from pathlib import Path

import pytest

from nmt.core.errors import RunError
from nmt.runs.run import RunDirectory
from nmt.training import new_run


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RunError("runs/x: no such folder"), "runs/x: no such folder"),
        (PermissionError(13, "Permission denied", "runs/x"), "runs/x: Permission denied"),
    ],
)
def test_a_rank_that_cannot_open_the_folder_names_the_first(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(RunDirectory, "create", fails)
    with pytest.raises(RunError) as caught:
        new_run._open_folder_of_first(Path("runs/x"))
    share = "(the run of rank 0; all machines must share this folder)"
    assert str(caught.value) == f"{said} {share}"
