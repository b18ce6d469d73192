from pathlib import Path

import pytest

from nmt.system.checksum import CHECKSUM_PLACEHOLDER, verify_checksum, write_checksum


def test_changed_file_does_not_match_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = b"before" + CHECKSUM_PLACEHOLDER.encode() + b"after"
    path.write_bytes(content)
    assert not verify_checksum(path)
    write_checksum(path)
    assert verify_checksum(path)
    sealed = path.read_bytes()
    assert (
        len(sealed) == len(content) and sealed.startswith(b"before") and sealed.endswith(b"after")
    )
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert not verify_checksum(path), place
    path.write_bytes(sealed[:-1])
    assert not verify_checksum(path)


@pytest.mark.parametrize("content", [b"", b"nothing of it"])
def test_file_without_a_checksum_does_not_verify(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not verify_checksum(tmp_path / "file")
