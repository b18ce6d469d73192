import pytest

from nmt.core.errors import RunError
from nmt.text.normalization import Normalizer
from nmt.text.storage import load_tokenizer, write_tokenizer
from nmt.text.table import TOKENIZERS
from nmt.text.tokenizer import SavedTokenizer


def test_table_names_equal_the_names_of_created_objects():
    for name, trainer in TOKENIZERS.items():
        assert trainer.tokenizer.name == name


def test_a_tokenizer_of_a_later_version_is_named(tmp_path):
    write_tokenizer(tmp_path / "t", "model", SavedTokenizer("magic", Normalizer(), {}, b""))
    message = r"t: tokenizer 'magic' is not supported .* only sentencepiece, characters, words; use"
    with pytest.raises(RunError, match=message):
        load_tokenizer(tmp_path / "t")
