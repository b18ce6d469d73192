import json
import os
import re
from pathlib import Path

import pytest

from nmt.core.errors import RunError
from nmt.text.normalization import Normalizer
from nmt.text.storage import MAX_MODEL_BYTES, read_tokenizer, write_tokenizer
from nmt.text.tokenizer import SavedTokenizer

SAVED = SavedTokenizer("words", Normalizer("none"), {"size": 3, "alpha": 0.5}, b"a model\n")
MEND = "copy the folder again from where the tokenizer was trained, or train again"


@pytest.fixture
def folder(tmp_path):
    write_tokenizer(tmp_path / "tokenizer", "model.bin", SAVED)
    return tmp_path / "tokenizer"


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_was_written_is_read(folder):
    assert read_tokenizer(folder) == SAVED
    assert sorted(os.listdir(folder)) == ["model.bin", "tokenizer.json"]


def test_what_is_there_is_replaced_and_nothing_else_is_left(folder):
    other = SavedTokenizer("characters", Normalizer(), {}, b"")
    write_tokenizer(folder, "other.bin", other)
    assert read_tokenizer(folder) == other
    assert os.listdir(folder.parent) == ["tokenizer"]
    assert sorted(os.listdir(folder)) == ["other.bin", "tokenizer.json"]


def test_the_fingerprint_is_of_all_that_there_is():
    variants = [
        SAVED,
        SavedTokenizer("word", SAVED.normalizer, SAVED.options, SAVED.model),
        SavedTokenizer("words", Normalizer("nfkc"), SAVED.options, SAVED.model),
        SavedTokenizer("words", SAVED.normalizer, {"size": 3, "alpha": 0.25}, SAVED.model),
        SavedTokenizer("words", SAVED.normalizer, SAVED.options, b"a modem\n"),
    ]
    assert len({variant.fingerprint() for variant in variants}) == len(variants)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.bin"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RunError, match=f"{name}: this file of the tokenizer is missing; {MEND}"):
        read_tokenizer(folder)


def test_a_missing_folder_is_named(tmp_path):
    where = re.escape(str(tmp_path / "nowhere" / "tokenizer.json"))
    with pytest.raises(RunError, match=f"{where}: this file of the tokenizer is missing"):
        read_tokenizer(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.bin"])
def test_a_file_that_cannot_be_read_is_named(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(RunError, match=rf"{name}: .*cannot be read \(Is a directory\); make it"):
        read_tokenizer(folder)


@pytest.mark.parametrize("damaged", [b"a modem\n", b"a mod", b"a model\n\0", b""])
def test_a_damaged_model_is_named(folder, damaged):
    (folder / "model.bin").write_bytes(damaged)
    with pytest.raises(RunError, match=rf"model\.bin: damaged \(its checksum is not.*{MEND}"):
        read_tokenizer(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": 1}', b"3"])
def test_a_description_that_is_none_is_named(folder, content):
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(RunError, match=rf"tokenizer\.json: damaged \(it does not.*{MEND}"):
        read_tokenizer(folder)


@pytest.mark.parametrize(
    "fields",
    [{"options": {"size": 4}}, {"name": "word"}, {"normalizer": {"normalization": "nfkc"}}],
)
def test_an_edited_description_is_named(folder, fields):
    change(folder / "tokenizer.json", **fields)
    with pytest.raises(RunError, match=rf"tokenizer\.json: damaged or edited .*{MEND}"):
        read_tokenizer(folder)


@pytest.mark.parametrize("name", ["", ".", "..", "../model.bin", "/etc/passwd", 3])
def test_a_model_file_elsewhere_is_not_read(folder, name):
    change(folder / "tokenizer.json", model_file=name)
    with pytest.raises(RunError, match=r"tokenizer\.json: damaged \(it does not describe a tok"):
        read_tokenizer(folder)


def test_another_format_is_named(folder):
    change(folder / "tokenizer.json", format=2)
    message = r"tokenizer\.json: format 2 of the tokenizer, but this program reads format 1: use"
    with pytest.raises(RunError, match=message):
        read_tokenizer(folder)


def test_any_cut_of_the_description_is_found(folder):
    path = folder / "tokenizer.json"
    content = path.read_bytes()
    for length in range(len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"tokenizer\.json: damaged"):
            read_tokenizer(folder)


def test_a_place_that_cannot_be_written_is_named_and_left_alone(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(RunError, match=r"file/tokenizer: cannot write the tokenizer \(Not a dir"):
        write_tokenizer(tmp_path / "file" / "tokenizer", "model.bin", SAVED)
    assert (tmp_path / "file").read_text() == "text"


def test_a_model_too_large_to_be_read_is_not_written(folder):
    large = SavedTokenizer("words", Normalizer(), {}, bytes(MAX_MODEL_BYTES + 1))
    message = (
        f"{folder}: the vocabulary takes 33,554,433 bytes, and 33,554,432 are the limit; lower"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}"):
        write_tokenizer(folder, "model.bin", large)
    assert read_tokenizer(folder) == SAVED


def test_a_write_that_fails_leaves_the_old_one(folder, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=r"\(No space left on device\); make room"):
        write_tokenizer(folder, "model.bin", SavedTokenizer("words", Normalizer(), {}, b"new"))
    assert read_tokenizer(folder) == SAVED
