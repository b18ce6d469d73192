"""What a disk refuses, as one line that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nmt.core.errors import RunError, os_advice

# Of a write to a file that is open, whose name the error does not know.
_WITHOUT_NAME: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@contextmanager
def explain_disk_errors(folder: Path) -> Iterator[None]:
    """Inside, what cannot be read or written of a run is something that a person can mend.

    Args:
        folder: of the run; named where the error does not say which file it was.

    Raises:
        RunError: in the place of an `OSError` that is about a file.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno not in _WITHOUT_NAME:
            raise
        raise RunError(
            f"{error.filename or folder}: {error.strerror}; "
            f"{os_advice(error) or 'change the permissions'}; --resume continues from the last "
            "checkpoint"
        ) from error
