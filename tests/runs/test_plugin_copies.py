from hashlib import sha256
from pathlib import Path

import pytest

from nmt.runs.plugin_copies import warn_about_changes, write_copies
from nmt.system.plugins import allow, source_of

FIRST, SECOND = b"number = 1\n", b"number = 2\n"


def imported(path: Path, content: bytes) -> str:
    """Import a file with this content, and return its hash."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    allow([path])
    source_of(f"{path}:Any")
    return sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The copies of a run with one plug-in, parts.py, which was imported from the folder `a`."""
    imported(tmp_path / "a" / "parts.py", FIRST)
    write_copies(tmp_path / "copies")
    return tmp_path / "copies"


def test_a_copy_has_name_hash_and_content(folder: Path) -> None:
    write_copies(folder)
    (copy,) = folder.iterdir()
    assert copy.name == f"parts.py-{sha256(FIRST).hexdigest()}.txt"
    assert copy.read_bytes() == FIRST


def test_without_plugins_there_is_no_folder(tmp_path: Path) -> None:
    write_copies(tmp_path / "copies")
    assert not (tmp_path / "copies").exists()


def test_a_change_is_a_warning_with_both_hashes_once(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    warn_about_changes(folder)
    assert caplog.messages == []
    now = imported(tmp_path / "b" / "parts.py", SECOND)
    for _ in range(2):
        warn_about_changes(folder)
    assert caplog.messages == [
        f"parts.py: SHA-256 {now} differs from that in {folder} ({sha256(FIRST).hexdigest()}); it "
        "is used as it is now"
    ]
    write_copies(folder)
    assert len(list(folder.iterdir())) == 2
    warn_about_changes(folder)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("left", [(), ("other.py-123.txt", "noise", "parts.txt")])
def test_missing_copies_are_not_an_error(
    folder: Path, tmp_path: Path, left: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    for copy in folder.iterdir():
        copy.unlink()
    for name in left:
        (folder / name).touch()
    warn_about_changes(folder)
    warn_about_changes(tmp_path / "missing")
    assert caplog.messages == []
