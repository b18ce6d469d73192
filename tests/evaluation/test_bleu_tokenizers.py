import importlib.util

import pytest

from nmt.core.errors import ConfigError
from nmt.evaluation.bleu_tokenizers import choose_tokenizer, load_tokenizer, resolve_tokenizer


@pytest.mark.parametrize(
    ("lines", "tokenizer"),
    [
        (["我不像那样工作。", "他说“OK”。"], "zh"),
        (["我不像那樣工作。"], "zh"),
        (["招牌上写着“の”字。", "我不认识这个字，你认识吗？"], "zh"),
        (["犬が走る。"], "char"),
        (["ラーメンを食べたい"], "char"),
        (["ﾗｰﾒﾝ"], "char"),
        (["ฉันรักคุณ"], "char"),
        (["ຂ້ອຍຮັກເຈົ້າ"], "char"),
        (["ខ្ញុំស្រឡាញ់អ្នក"], "char"),
        (["မင်းကိုချစ်တယ်"], "char"),
        (["나는 너를 사랑해"], "13a"),
        (["मैं तुमसे प्यार करता हूँ"], "13a"),
        (["Ein Hund läuft.", "Das Zeichen 犬 heißt Hund."], "13a"),
        (["1, 2, 3!", "…"], "13a"),
        ([], "13a"),
    ],
)
def test_the_script_of_the_text_decides(lines: list[str], tokenizer: str) -> None:
    assert choose_tokenizer(lines) == tokenizer
    assert resolve_tokenizer("auto", lines) == tokenizer
    assert resolve_tokenizer("intl", lines) == "intl"


def test_words_of_each_tokenizer() -> None:
    assert load_tokenizer("zh")("我爱OK。").split() == ["我", "爱", "OK", "。"]
    assert load_tokenizer("char")("我 OK").split() == ["我", "O", "K"]
    assert load_tokenizer("13a")("don't, no.").split() == ["don't", ",", "no", "."]
    assert load_tokenizer("none")("don't, no.").split() == ["don't,", "no."]


@pytest.mark.parametrize(
    ("name", "extra", "package"),
    [("ja-mecab", "ja", "MeCab"), ("ko-mecab", "ko", "mecab_ko")],
)
def test_a_missing_extra_is_named_with_its_installation(
    name: str, extra: str, package: str
) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip("the extra is installed")
    with pytest.raises(ConfigError) as caught:
        load_tokenizer(name)
    assert str(caught.value) == (
        f"tokenize: {name!r} needs an extra of sacreBLEU that is not installed; "
        f"pip install 'sacrebleu[{extra}]', or choose 'char'"
    )
