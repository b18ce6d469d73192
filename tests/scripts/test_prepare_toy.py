from pathlib import Path

import pytest


@pytest.fixture
def main(load_script):
    return load_script("prepare_toy").main


def test_writes_the_requested_files(main, tmp_path: Path) -> None:
    given = f"--out {tmp_path} --train 4 --valid 2 --test 1 --seed 5 --min-length 6 --max-length 7"
    assert main(given.split()) == 0
    lines = {path.name: path.read_text().splitlines() for path in tmp_path.iterdir()}
    assert {name: len(text) for name, text in lines.items() if name.endswith(".en")} == {
        "train.en": 4,
        "valid.en": 2,
        "test.en": 1,
    }
    assert all(6 <= len(line.split()) <= 7 for line in lines["train.en"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--min-length 2", "not 2 to 15"),
        ("--max-length 100", "not 3 to 100"),
        ("--train -1", "train: must be 0 or more sentence pairs, not -1"),
        ("--out {file}/toy", "not written (Not a directory); choose another folder"),
    ],
)
def test_error_is_one_line(
    main, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, message: str
) -> None:
    (tmp_path / "file").touch()
    given = f"--out {tmp_path} {given.format(file=tmp_path / 'file')}"
    assert main(given.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("prepare_toy: error: ")
    assert message in err
    assert err.count("\n") == 1
