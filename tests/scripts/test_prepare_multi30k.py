import gzip
import hashlib
import http.client
from pathlib import Path
from types import ModuleType

import pytest

from nmt.core.errors import DataError

TEXTS = {
    "train.de": "Ein Hund schläft.\nEine Katze.\n".encode(),
    "valid.de": b"Ein Vogel.\n",
    "test2016.de": b"Zwei Pferde.\n",
}
CHECKSUMS = {name: hashlib.sha256(text).hexdigest() for name, text in TEXTS.items()}
IN_FOLDER = {"train.de": "train.de", "valid.de": "val.de", "test2016.de": "test2016.de"}
ON_WEB = {
    "train.de": "train.de.gz",
    "valid.de": "val.de.gz",
    "test2016.de": "test_2016_flickr.de.gz",
}


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    return load_script("prepare_multi30k")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / IN_FOLDER[name]).write_bytes(text)
    return folder


@pytest.fixture
def web(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    web.mkdir()
    for name, text in TEXTS.items():
        (web / ON_WEB[name]).write_bytes(gzip.compress(text))
    return web


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_copies_a_folder(script: ModuleType, folder: Path, tmp_path: Path) -> None:
    script.prepare(script.from_folder(folder), tmp_path / "a" / "out", CHECKSUMS)
    assert read(tmp_path / "a" / "out") == TEXTS


def test_downloads_and_unpacks(script: ModuleType, web: Path, tmp_path: Path) -> None:
    script.prepare(script.from_web(web.as_uri()), tmp_path / "out", CHECKSUMS)
    assert read(tmp_path / "out") == TEXTS


def test_reads_nothing_again_that_is_right(
    script: ModuleType, folder: Path, tmp_path: Path
) -> None:
    script.prepare(script.from_folder(folder), tmp_path / "out", CHECKSUMS)
    (tmp_path / "out" / "valid.de").write_bytes(b"cut")
    asked = []

    def note(name: str) -> bytes:
        asked.append(name)
        return TEXTS[name]

    script.prepare(note, tmp_path / "out", CHECKSUMS)
    assert asked == ["valid.de"]
    assert read(tmp_path / "out") == TEXTS


def test_other_text_is_refused_and_existing_files_are_kept(
    script: ModuleType, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "valid.de").write_bytes(b"mine\n")
    (folder / "val.de").write_bytes(b"Ein Vogel .\n")
    with pytest.raises(DataError, match=r"valid\.de: not the text that is known: its SHA-256 is"):
        script.prepare(script.from_folder(folder), out, CHECKSUMS)
    assert (out / "valid.de").read_bytes() == b"mine\n"


def test_names_a_file_that_is_missing(script: ModuleType, folder: Path, tmp_path: Path) -> None:
    (folder / "val.de").unlink()
    with pytest.raises(DataError, match=r"val\.de: cannot read it: No such file"):
        script.prepare(script.from_folder(folder), tmp_path / "out", CHECKSUMS)


def test_network_error_has_a_remedy(script: ModuleType, web: Path, tmp_path: Path) -> None:
    (web / "val.de.gz").unlink()
    with pytest.raises(DataError, match=r"/val\.de\.gz: cannot download it: .*--from FOLDER"):
        script.prepare(script.from_web(web.as_uri()), tmp_path / "out", CHECKSUMS)


def test_refuses_a_download_that_is_cut(
    script: ModuleType, web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_part(response: object) -> bytes:
        raise http.client.IncompleteRead(b"part", 1000)

    monkeypatch.setattr("urllib.response.addinfourl.read", read_part, raising=False)
    with pytest.raises(DataError, match=r"train\.de\.gz: cannot download it: IncompleteRead"):
        script.prepare(script.from_web(web.as_uri()), tmp_path / "out", CHECKSUMS)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"<html>" + data])
def test_refuses_a_damaged_download(script: ModuleType, web: Path, tmp_path: Path, damage) -> None:
    path = web / "train.de.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"train\.de\.gz: cannot download it: "):
        script.prepare(script.from_web(web.as_uri()), tmp_path / "out", CHECKSUMS)
    assert not (tmp_path / "out").exists()


def test_names_a_folder_that_cannot_be_written(
    script: ModuleType, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/out/train\.de: cannot write it: Not a directory"):
        script.prepare(script.from_folder(folder), tmp_path / "file" / "out", CHECKSUMS)


def test_knows_every_file_of_three_languages(script: ModuleType) -> None:
    assert set(script.SHA256) == {
        f"{split}.{language}" for split in script.SPLITS for language in ("en", "de", "fr")
    }


def test_error_is_one_line(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--from", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("prepare_multi30k: error: ")
    assert err.count("\n") == 1
