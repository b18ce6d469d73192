import math
import unicodedata

import pytest
import sacrebleu
from sacrebleu.metrics.base import Metric as SacrebleuScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from nmt.core.errors import DataError
from nmt.evaluation.bleu import Bleu
from nmt.evaluation.chrf import Chrf
from nmt.evaluation.exact_match import ExactMatch
from nmt.evaluation.metric import Metric
from nmt.evaluation.table import METRICS
from nmt.evaluation.ter import Ter

REFERENCES = ["The cat sits on the mat today.", "A dog sleeps in the old garden."]
WORSE = ["The cat sat on a mat today.", "One dog is asleep in the garden."]


@pytest.mark.parametrize("name", METRICS)
def test_the_references_themselves_score_best(name: str) -> None:
    metric = METRICS[name]()
    perfect, worse = metric(REFERENCES, REFERENCES), metric(WORSE, REFERENCES)
    assert perfect.value == pytest.approx(100.0 if metric.higher_is_better else 0.0)
    assert (worse.value < perfect.value) == metric.higher_is_better


VERSION = f"version:{sacrebleu.__version__}"
SIGNATURES = {
    "bleu": f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{VERSION}",
    "bleu_lc": f"nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|{VERSION}",
    "chrf": f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{VERSION}",
    "ter": f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|{VERSION}",
    "exact_match": "nrefs:1|case:mixed|tok:none|match:line|version:1",
}


@pytest.mark.parametrize("name", METRICS)
def test_a_score_carries_its_name_and_whole_signature(name: str) -> None:
    score = METRICS[name]()(WORSE, REFERENCES)
    assert score.name == name == METRICS[name].name
    assert score.signature == SIGNATURES[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bleu", 100.0),  # 13a sets a full stop apart, and compares four tokens with four
        ("bleu_lc", 100.0),
        ("chrf", 100.0),  # spaces do not count
        ("ter", 100 * 2 / 4),  # tercom does not: a word is replaced, and another inserted
        ("exact_match", 0.0),
    ],
)
def test_a_full_stop_that_is_set_apart(name: str, value: float) -> None:
    assert METRICS[name]()(["a cat sat."], ["a cat sat ."]).value == pytest.approx(value)


def test_bleu_of_three_tokens_has_no_4_grams() -> None:
    assert METRICS["bleu"]()(["a cat."], ["a cat ."]).value == 0.0
    assert METRICS["chrf"]()(["a cat."], ["a cat ."]).value == pytest.approx(100.0)
    assert METRICS["ter"]()(["a cat."], ["a cat ."]).value == pytest.approx(100 * 2 / 3)


@pytest.mark.parametrize("name", METRICS)
def test_each_line_may_match_any_of_several_references(name: str) -> None:
    metric = METRICS[name]()
    # Each set has the right reference for one line only; against both sets both lines are right.
    first, second = [REFERENCES[0], "No."], ["No.", REFERENCES[1]]
    score = metric(REFERENCES, first, second)
    assert score.value == pytest.approx(100.0 if metric.higher_is_better else 0.0)
    assert "nrefs:2" in score.signature
    with pytest.raises(DataError, match="references: 1 lines for 2 translations; they must"):
        metric(REFERENCES, first, ["No."])


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_translation_is_scored(name: str) -> None:
    assert math.isfinite(METRICS[name]()(["", ""], REFERENCES).value)


@pytest.mark.parametrize("name", METRICS)
def test_nothing_to_score_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match="test set: must not be empty; give at least one sentence"):
        METRICS[name]()([], [])


@pytest.mark.parametrize("name", METRICS)
def test_other_numbers_of_lines_are_an_error(name: str) -> None:
    with pytest.raises(DataError, match="references: 2 lines for 1 translations; they must"):
        METRICS[name]()(["a"], REFERENCES)


def test_title_and_signature_agree_on_case() -> None:
    for name, metric in METRICS.items():
        lowercased = "case:lc" in metric()(["a"], ["a"]).signature
        assert ("lowercased" in metric().describe()) == lowercased, name


# Sentences as they are typed: NFC decomposes the letters with nukta (U+0958-095F, U+09DC, U+09DD,
# U+09DF) of the first two, and composes what NFD makes of the third.
AS_TYPED = {
    "Bengali": ["আমি বাড়ি যাচ্ছি এবং ওটা পড়ছি।", "আষাঢ় মাসে সময় কম।", "নদীর পাড়ে বড় গাছ।"],
    "Hindi": ["लड़का सड़क पर तेज़ दौड़ता है।", "मुझे यह क़लम और काग़ज़ चाहिए।", "वह किताब पढ़ रही है।"],
    "Vietnamese": ["Tôi đã đọc quyển sách ấy rồi.", "Trời hôm nay rất đẹp.", "Bạn có khỏe không?"],
}


def as_typed(text: str) -> str:
    """The text with the letters that a keyboard writes, which NFC takes apart."""
    for letter in map(chr, [*range(0x958, 0x960), 0x9DC, 0x9DD, 0x9DF]):
        text = text.replace(unicodedata.normalize("NFD", letter), letter)
    return text


@pytest.mark.parametrize("language", AS_TYPED)
@pytest.mark.parametrize("name", METRICS)
def test_canonically_equal_text_scores_as_equal(name: str, language: str) -> None:
    lines = AS_TYPED[language]
    forms = [
        [unicodedata.normalize("NFC", line) for line in lines],
        [unicodedata.normalize("NFD", line) for line in lines],
        [as_typed(unicodedata.normalize("NFC", line)) for line in lines],
    ]
    assert not forms[0] == forms[1] == forms[2]
    metric = METRICS[name]()
    for one in forms:
        for other in forms:
            score = metric(one, other)
            assert score.value == pytest.approx(100.0 if metric.higher_is_better else 0.0)
            changed = one != forms[0] or other != forms[0]
            assert score.signature.endswith("|norm:nfc") == changed
            assert metric(one, forms[0], other).value == pytest.approx(score.value)


def test_compatibility_equivalents_stay_different() -> None:
    assert ExactMatch()(["½"], ["1⁄2"]).value == 0.0
    assert ExactMatch()(["１"], ["1"]).value == 0.0


@pytest.mark.parametrize(
    ("metric", "scorer"),
    [
        (Bleu(tokenize="intl"), BLEU(tokenize="intl")),
        (Bleu(lowercase=True), BLEU(lowercase=True)),
        (
            Bleu(smooth_method="floor", smooth_value=0.3),
            BLEU(smooth_method="floor", smooth_value=0.3),
        ),
        (
            Bleu(smooth_method="none", effective_order=True),
            BLEU(smooth_method="none", effective_order=True),
        ),
        (Chrf(word_order=2), CHRF(word_order=2)),
        (Chrf(char_order=4, whitespace=True), CHRF(char_order=4, whitespace=True)),
        (Chrf(eps_smoothing=True, lowercase=True), CHRF(eps_smoothing=True, lowercase=True)),
        (
            Ter(normalized=True, no_punct=True, asian_support=True, case_sensitive=True),
            TER(normalized=True, no_punct=True, asian_support=True, case_sensitive=True),
        ),
    ],
)
def test_options_are_those_of_sacrebleu(metric: Metric, scorer: SacrebleuScorer) -> None:
    score = metric(WORSE, REFERENCES)
    assert score.value == pytest.approx(scorer.corpus_score(WORSE, [REFERENCES]).score)
    assert score.signature == str(scorer.get_signature())


def test_signature_names_options_that_sacrebleu_omits() -> None:
    assert "|beta:1" in Chrf(beta=1)(WORSE, REFERENCES).signature
    assert "beta" not in Chrf()(WORSE, REFERENCES).signature
    assert "|order:2" in Bleu(max_ngram_order=2)(WORSE, REFERENCES).signature
    # Of three words two are right, and one of the two pairs.
    score = Bleu(max_ngram_order=2)(["a b x"], ["a b c"])
    assert score.value == pytest.approx(100 * math.sqrt(2 / 3 * 1 / 2))


def test_a_label_is_the_name_of_the_score_and_the_title() -> None:
    assert Chrf("mine", word_order=2)(WORSE, REFERENCES).name == "mine"
    assert Chrf("mine").describe() == "mine"
    titles = [Chrf(word_order=2), Chrf(lowercase=True), Bleu(lowercase=True), Ter()]
    assert [metric.describe() for metric in titles] == [
        *("chrF++", "chrF lowercased", "BLEU lowercased", "TER lowercased")
    ]
    assert Ter(case_sensitive=True).describe() == "TER"


def test_p_value_equals_paired_bootstrap_of_sacrebleu() -> None:
    references = [f"the number {n} is followed by {n + 1} and by {n + 2}" for n in range(60)]
    wrong = [line.replace("followed", "led") for line in references]
    system = [wrong[n] if n % 4 == 0 else line for n, line in enumerate(references)]
    baseline = [wrong[n] if n % 3 == 0 else line for n, line in enumerate(references)]
    named = [("a", baseline), ("b", system)]
    _, found = PairedTest(named, {"bleu": BLEU()}, [references], "bs", 1000)()
    expected = found["BLEU"][1].p_value
    assert Bleu().p_value(baseline, system, references) == pytest.approx(expected)
    assert 0.05 < expected < 1.0


@pytest.mark.parametrize("name", METRICS)
def test_significance_of_a_large_gain_and_of_one_line(name: str) -> None:
    references = [f"the number {n} is followed by {n + 1}" for n in range(50)]
    bad = ["something else altogether"] * 50
    metric = METRICS[name]()
    assert metric.p_value(bad, references, references) < 0.05
    nearly = [references[0], *bad[1:]]
    assert metric.p_value(bad, nearly, references) > 0.05
