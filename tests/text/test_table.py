import pytest

from nmt.core.errors import RunError
from nmt.text.normalization import Normalizer
from nmt.text.storage import load_tokenizer, write_tokenizer
from nmt.text.table import TOKENIZERS
from nmt.text.tokenizer import SavedTokenizer


def test_names_in_the_table_are_those_of_what_is_made():
    for name, trainer in TOKENIZERS.items():
        assert trainer.tokenizer.name == name


def test_a_tokenizer_of_a_later_version_is_named(tmp_path):
    write_tokenizer(tmp_path / "t", "model", SavedTokenizer("magic", Normalizer(), {}, b""))
    message = r"t: made by a tokenizer 'magic', .* \(it has sentencepiece, characters, words\): use"
    with pytest.raises(RunError, match=message):
        load_tokenizer(tmp_path / "t")
