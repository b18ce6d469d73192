"""The languages of a configuration: its options, or the suffixes of its first training files."""

from pathlib import Path

import pytest

from nmt.config.file import load_config
from nmt.core.errors import ConfigError

SMALL = """\
run: runs/small
data:
  train: {source: data/train.de.gz, target: data/train.pt_br}
  valid: {source: data/valid.txt, target: data/valid.txt}
"""
CASES = {
    "suffixes": ([], ("de", "pt-BR")),
    "options": (
        ["data.source_language=EN_us", "data.target_language=zh-hans"],
        ("en-US", "zh-Hans"),
    ),
    "one option": (["data.target_language=no"], ("de", "no")),
    "no language": (["data.train=[{source: a.txt, target: b}]"], (None, None)),
    "several": (["data.train=[{source: a.fr, target: a.it}, {tsv: b.tsv}]"], ("fr", "it")),
    "tsv": (["data.train=[{tsv: a.de}]"], (None, None)),
    "tsv with options": (["data.train=[{tsv: a.tsv}]", "data.source_language=cs"], ("cs", None)),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.mark.parametrize("case", CASES)
def test_languages_are_options_or_suffixes(path: Path, case: str) -> None:
    overrides, languages = CASES[case]
    assert load_config(path, overrides).data.languages() == languages


@pytest.mark.parametrize("given", ["german", "de-", "xx", "12"])
def test_an_unknown_language_is_refused(path: Path, given: str) -> None:
    option = f"data.source_language={given}"
    with pytest.raises(ConfigError) as raised:
        load_config(path, [option])
    assert str(raised.value) == (
        f"override {option!r}: data.source_language: {given!r} is not a known language; give a "
        "BCP 47 tag, such as de or pt-BR"
    )
