"""Text compressed as it is written, in pieces that stand by themselves."""

import io
import zlib
from typing import Final

_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's word for it; its header tells no name and no time


class GzipMembers(io.BufferedIOBase):
    """Compresses with gzip: what is written up to each `flush` becomes a member of its own.

    Members one after the other are one gzip file, so that it may be cut at the end of each of them,
    and gone on with there; the same text, flushed at the same places, gives the same bytes.

    Args:
        file: what the members are written to.
        is_begun: it has some already.
    """

    def __init__(self, file: io.BufferedWriter, *, is_begun: bool) -> None:
        self._file = file
        self._is_begun = is_begun
        self._member: zlib._Compress | None = None

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Compress it, in the member that is open."""
        if self._member is None:
            self._member = zlib.compressobj(wbits=_GZIP)
            self._is_begun = True
        self._file.write(self._member.compress(content))
        return len(content)

    def flush(self) -> None:
        """End the member."""
        member, self._member = self._member, None
        if member is not None:
            self._file.write(member.flush())
        self._file.flush()

    def finish(self) -> None:
        """Of nothing comes an empty member: an empty file would be no gzip file."""
        if not self._is_begun:
            self.write(b"")
            self.flush()
