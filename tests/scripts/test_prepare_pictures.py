from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def main(load_script):
    return load_script("prepare_pictures").main


def test_writes_the_requested_files(main, tmp_path: Path) -> None:
    given = f"--out {tmp_path} --train 4 --valid 2 --test 0 --seed 5"
    assert main(given.split()) == 0
    sizes = {"train": 4, "valid": 2, "test": 0}
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{split}.{end}" for split in sizes for end in ("npz", "txt")
    }
    for split, size in sizes.items():
        with np.load(tmp_path / f"{split}.npz") as pictures:
            assert len(pictures.files) == size
        assert len((tmp_path / f"{split}.txt").read_text().splitlines()) == size


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--train -1", "train: must be 0 or more pictures, not -1"),
        ("--out {file}/pictures", "pictures: not written (Not a directory); choose another"),
    ],
)
def test_error_is_one_line(
    main, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, message: str
) -> None:
    (tmp_path / "file").touch()
    given = f"--out {tmp_path} --train 2 --valid 1 --test 1 {given.format(file=tmp_path / 'file')}"
    assert main(given.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("prepare_pictures: error: ")
    assert message in err
    assert err.count("\n") == 1
