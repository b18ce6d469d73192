from time import process_time

import pytest
from hypothesis import given, strategies as st

from nmt.text.sentences import split_sentences

# Language, and a text with | at each end of a sentence within it.
TEXTS = [
    ("en", "Tom runs. |Jerry hides."),
    ("en", "Really? |Yes! |Well… |No."),
    ("en", "“Stop.” |He stopped. |(He did.) |“Good.”"),
    ("en", "“Really?” he asked. |She nodded."),
    ("en", "Mr. Smith met Dr. J. R. Brown. |They talked."),
    ("en", "He lives in the U.S. Army base, e.g. Texas. |It is big."),
    ("en", "See fig. 3 and No. 7. |No. |That is all."),
    ("en", "Fruit, nuts, etc. |Then cake."),
    ("en", "It costs 3.50 dollars. |Really 3. |Yes, 2026. |Good."),
    ("en", "1. Introduction. |2. Methods."),
    ("en", "1984. |It is a book. |2000. |No."),
    ("en", "Wait... what? |No... |Yes."),
    ("en", "See nmt.org. |It helps."),
    ("de", "Am 3. Oktober kam Hr. Müller, z. B. mit Dr. Maier. |Er blieb."),
    ("de", "Im Jahr 1990. |Dann nicht."),
    ("de", "Wilhelm II. Kaiser, bzw. König. |Er ging."),
    ("de", "„Halt!“ |Tom hielt."),
    ("fr", "M. Dupont parle à Mme. Curie. |Vraiment ? |Oui !"),
    ("fr", "Il dit : « Je viens. » |Puis il vient. |« Vraiment ? » |Non."),
    ("de", "Er kam. |»Halt!« |Dann ging er."),
    ("es", "¿Qué? |¡No! |El Sr. García llegó."),
    ("zh", "他来了。|她走了！|真的？|对。"),
    ("zh", "“我来了。”他说。|她走了。"),
    ("ja", "「行く。」と言った。|終わり。"),
    ("hi", "वह आया। |वह गई।"),
    ("ar", "هل جاء؟ |نعم."),
    ("ru", "Он родился в 1990 г. в Москве. |Это т.е. Город."),
    ("en", "See **this.** |It is _new._ |It helps.[12] |Really.[1][2] |Yes."),
    ("en", "He saw … Paris, and [...] London. |Then (...) Rome."),
    ("de", "Er sah … Hunde. |Und dann? |„Nein …“ |Er ging."),
    ("ja", "３．５％増えた．|終わり。"),
    ("th", "ฉันไปโรงเรียน เขาไปตลาด"),
    ("ko", "그는 왔다. |정말? |2024년 3월 5일이다!"),
    (None, "Mr. Smith, bzw. Mme. Curie. |Yes."),
    ("xx", "One. |Two."),
]


@pytest.mark.parametrize(("language", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_sentences(language: str | None, text: str) -> None:
    assert split_sentences(text.replace("|", ""), language) == text.split("|")


def test_a_language_is_the_first_part_of_a_tag() -> None:
    text = "Am 3. Oktober."
    assert split_sentences(text, "de-AT") == split_sentences(text, "DE") == [text]
    assert split_sentences(text, "en") == ["Am 3. ", "Oktober."]


def test_line_breaks_are_blanks() -> None:
    assert split_sentences("Tom\nruns.\n\nJerry\nhides.\n") == ["Tom\nruns.\n\n", "Jerry\nhides.\n"]


@given(st.text("aB1 .?!…。」\"'(\n", max_size=60) | st.text(), st.sampled_from([None, "en", "de"]))
def test_sentences_are_the_text(text: str, language: str | None) -> None:
    sentences = split_sentences(text, language)
    assert "".join(sentences) == text
    assert all(sentence.strip() for sentence in sentences[1:])


@pytest.mark.parametrize(
    "text", ["a. B. ", "1. ", ".", '! " ', "a.", "。", "“ ", "Foo. ", "．", ".[1", ".[1]*"]
)
def test_time_is_linear(text: str) -> None:
    start = process_time()
    assert "".join(split_sentences(text * 50_000)) == text * 50_000
    assert process_time() - start < 3
