"""Prepare Multi30k, task 1 (Elliott et al. 2016): 29,000 image descriptions in en, de and fr.

    python scripts/prepare_multi30k.py                 # download (about 3 MB)
    python scripts/prepare_multi30k.py --from FOLDER   # copy {train,val,test2016}.{en,de,fr}

writes {train,valid,test2016}.{en,de,fr}, raw text. The SHA-256 of every file is checked first, and
each file is written atomically. The text is for research and teaching; see the dataset's page,
https://github.com/multi30k/dataset.
"""

import argparse
import gzip
import hashlib
import http.client
import sys
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

from nmt.core.errors import DataError, UserError
from nmt.system.files import atomic_write

URL = "https://github.com/multi30k/dataset/raw/master/data/task1/raw"
TIMEOUT_SECONDS = 60

SPLITS = {"train": "train", "valid": "val", "test2016": "test_2016_flickr"}
"""Names of each split here, and in the repository of the dataset."""
IN_FOLDERS = {**SPLITS, "test2016": "test2016"}
"""Names of each split here, and in a folder given with --from."""

SHA256 = {
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.fr": "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    "valid.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "valid.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "valid.fr": "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
    "test2016.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test2016.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test2016.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
}
"""SHA-256 of each uncompressed text, by the name of the file that is written."""

Read = Callable[[str], bytes]
"""A function that returns the text of a file, given the name of the file that is written."""


def from_folder(folder: Path) -> Read:
    """Read from a folder with {train,val,test2016}.{en,de,fr}."""

    def read(name: str) -> bytes:
        split, language = name.split(".")
        path = folder / f"{IN_FOLDERS[split]}.{language}"
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot read it: {error.strerror}") from error

    return read


def from_web(url: str) -> Read:
    """Download packed files from below a URL."""

    def read(name: str) -> bytes:
        split, language = name.split(".")
        file_url = f"{url}/{SPLITS[split]}.{language}.gz"
        try:
            with urllib.request.urlopen(file_url, timeout=TIMEOUT_SECONDS) as response:
                return gzip.decompress(response.read())
        except (OSError, EOFError, zlib.error, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise DataError(
                f"{file_url}: cannot download it: {reason}; without a network, give a folder "
                f"that has the files: --from FOLDER"
            ) from error

    return read


def prepare(read: Read, folder: Path, checksums: dict[str, str] = SHA256) -> None:
    """Read, check and write every file, except those that are already there and correct.

    Raises:
        DataError: a file cannot be read, has another checksum, or cannot be written.
    """
    for name, checksum in checksums.items():
        path = folder / name
        if path.is_file() and _sha256(path.read_bytes()) == checksum:
            continue
        text = read(name)
        if _sha256(text) != checksum:
            raise DataError(
                f"{name}: not the text that is known: its SHA-256 is {_sha256(text)}, it should be "
                f"{checksum}; take the raw text of the dataset, not tokenised and whole"
            )
        _write(path, text)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _write(path: Path, text: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_bytes(text)
    except OSError as error:
        raise DataError(f"{path}: cannot write it: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--from", dest="source", metavar="FOLDER", type=Path, help="copy, do not download"
    )
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=Path("data/multi30k"), help="write here"
    )
    given = parser.parse_args(arguments)
    try:
        prepare(from_folder(given.source) if given.source else from_web(URL), given.out)
    except UserError as error:
        print(f"prepare_multi30k: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
