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
REMEDY = "copy it again from where it was trained, or train again"


@pytest.fixture
def folder(tmp_path):
    write_tokenizer(tmp_path / "tokenizer", "model.bin", SAVED)
    return tmp_path / "tokenizer"


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_saved_file_is_read_back(folder):
    assert read_tokenizer(folder) == SAVED
    assert sorted(os.listdir(folder)) == ["model.bin", "tokenizer.json"]


def test_existing_folder_is_replaced_without_leftovers(folder):
    other = SavedTokenizer("characters", Normalizer(), {}, b"")
    write_tokenizer(folder, "other.bin", other)
    assert read_tokenizer(folder) == other
    assert os.listdir(folder.parent) == ["tokenizer"]
    assert sorted(os.listdir(folder)) == ["other.bin", "tokenizer.json"]


def test_fingerprint_depends_on_all_fields():
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
    with pytest.raises(RunError, match=f"{name}: missing from the tokenizer; {REMEDY}"):
        read_tokenizer(folder)


def test_a_missing_folder_is_named(tmp_path):
    where = re.escape(str(tmp_path / "nowhere" / "tokenizer.json"))
    with pytest.raises(RunError, match=f"{where}: missing from the tokenizer"):
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
    with pytest.raises(RunError, match=rf"model\.bin: corrupted: checksum differs from.*{REMEDY}"):
        read_tokenizer(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": 1}', b"3"])
def test_invalid_description_is_reported(folder, content):
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(RunError, match=rf"tokenizer\.json: corrupted: not a tokenizer.*{REMEDY}"):
        read_tokenizer(folder)


@pytest.mark.parametrize(
    "fields",
    [{"options": {"size": 4}}, {"name": "word"}, {"normalizer": {"normalization": "nfkc"}}],
)
def test_an_edited_description_is_named(folder, fields):
    change(folder / "tokenizer.json", **fields)
    with pytest.raises(RunError, match=rf"tokenizer\.json: corrupted or edited.*{REMEDY}"):
        read_tokenizer(folder)


@pytest.mark.parametrize("name", ["", ".", "..", "../model.bin", "/etc/passwd", 3])
def test_model_file_outside_the_folder_is_not_read(folder, name):
    change(folder / "tokenizer.json", model_file=name)
    with pytest.raises(RunError, match=r"tokenizer\.json: corrupted: not a tokenizer;"):
        read_tokenizer(folder)


def test_another_format_is_named(folder):
    change(folder / "tokenizer.json", format=2)
    message = r"tokenizer\.json: tokenizer format 2 is not supported, only 1; use"
    with pytest.raises(RunError, match=message):
        read_tokenizer(folder)


def test_any_cut_of_the_description_is_found(folder):
    path = folder / "tokenizer.json"
    content = path.read_bytes()
    for length in range(len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match=r"tokenizer\.json: corrupted"):
            read_tokenizer(folder)


def test_unwritable_place_is_named_and_not_changed(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(RunError, match=r"file/tokenizer: cannot write the tokenizer \(Not a dir"):
        write_tokenizer(tmp_path / "file" / "tokenizer", "model.bin", SAVED)
    assert (tmp_path / "file").read_text() == "text"


def test_a_model_too_large_to_be_read_is_not_written(folder):
    large = SavedTokenizer("words", Normalizer(), {}, bytes(MAX_MODEL_BYTES + 1))
    message = f"{folder}: the vocabulary has 33,554,433 bytes, above the limit of 33,554,432; lower"
    with pytest.raises(RunError, match=f"^{re.escape(message)}"):
        write_tokenizer(folder, "model.bin", large)
    assert read_tokenizer(folder) == SAVED


def test_a_write_that_fails_leaves_the_old_one(folder, monkeypatch):
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=r"\(No space left on device\); free disk space"):
        write_tokenizer(folder, "model.bin", SavedTokenizer("words", Normalizer(), {}, b"new"))
    assert read_tokenizer(folder) == SAVED
