import math
from pathlib import Path
from types import ModuleType

import pytest

from nmt.core.errors import DataError

pytest.importorskip("sacremoses")


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    return load_script("moses_bleu")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Ein Hund schläft.", "de", "ein hund schläft ."),
        ("„Ja“, sagt er.", "de", '" ja " , sagt er .'),
        ("Ein rot-weißes T-Shirt", "de", "ein rot-weißes t-shirt"),
        ("A man's dog & cat", "en", "a man 's dog & cat"),
        ("L’homme qu'il voit", "fr", "l' homme qu' il voit"),
        ("", "en", ""),
    ],
)
def test_tokens(script: ModuleType, text: str, language: str, expected: str) -> None:
    assert script.tokenize([text], language) == [expected]


def test_by_hand(script: ModuleType) -> None:
    """Right are 4 of 5 words, 2 of 4 pairs, 1 of 3 and none of 2, which is smoothed to a half."""
    value, signature = script.moses_bleu(["A b c x."], ["a b c d."], "en")
    assert value == pytest.approx(100 * (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** 0.25)
    assert math.isclose(script.moses_bleu(["Der „Hund“."], ['der "hund".'], "de")[0], 100.0)
    assert "tok:none" in signature
    assert "text:lc+moses-en|sacremoses:" in signature


def test_different_numbers_of_lines_are_refused(script: ModuleType) -> None:
    with pytest.raises(
        DataError, match="1 hypotheses and 2 references; they must be line for line"
    ):
        script.moses_bleu(["a"], ["a", "b"], "en")
    with pytest.raises(DataError, match="no hypotheses: there is nothing to score"):
        script.moses_bleu([], [], "en")


def test_reads_files_and_prints_value_and_signature(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text.de"
    path.write_text("Ein Hund schläft im Garten.\n", encoding="utf-8")
    given = ["--hypotheses", str(path), "--references", str(path), "--language", "de"]
    assert script.main(given) == 0
    assert capsys.readouterr().out.startswith("100.00  nrefs:1|")
    given[1] = str(tmp_path / "missing.de")
    assert script.main(given) == 2
    assert capsys.readouterr().err.startswith("moses_bleu: error: ")
