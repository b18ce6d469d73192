from pathlib import Path

import pytest

from nmt.core.errors import RunError
from nmt.training.train import explain_disk_errors


def test_a_full_disk_is_one_line() -> None:
    full = r"^runs/x: No space left on device; make room; --resume continues from the last check"
    with (
        pytest.raises(RunError, match=full),
        explain_disk_errors(Path("runs/x")),
        Path("/dev/full").open("w") as file,
    ):
        file.write("a")


def test_the_file_is_named_where_it_is_known(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=rf"^{tmp_path}: Is a directory"),
        explain_disk_errors(Path("runs/x")),
    ):
        tmp_path.read_text()


def test_what_is_not_about_a_file_is_left_alone() -> None:
    with pytest.raises(BrokenPipeError), explain_disk_errors(Path("runs/x")):
        raise BrokenPipeError(32, "Broken pipe")
