"""Tags of languages are spelled in one way, and a file's suffix may be one."""

import pytest

from nmt.core.languages import base_of, language_of_file, name_of, normalize_tag


@pytest.mark.parametrize(
    ("given", "tag"),
    [
        ("de", "de"),
        ("EN", "en"),
        ("pt_br", "pt-BR"),
        ("ZH-hans", "zh-Hans"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-CH-1996", "de-CH-1996"),
        ("sl-ROZAJ", "sl-rozaj"),
    ],
)
def test_tags_are_normalized(given: str, tag: str) -> None:
    assert normalize_tag(given) == tag
    assert normalize_tag(tag) == tag


@pytest.mark.parametrize("given", ["", "txt", "german", "de-", "de--AT", "d", "de\n", "xx", "ſv"])
def test_what_is_no_tag_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="is not a known language; give a BCP 47 tag"):
        normalize_tag(given)


def test_names_are_english() -> None:
    assert name_of("de") == "German"
    assert name_of("pt-BR") == "Portuguese (BR)"
    assert name_of("zh-Hans") == "Chinese (simplified)"
    assert base_of("zh-Hant-TW") == "zh"


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("data/train.en", "en"),
        ("train.de.gz", "de"),
        ("train.pt_BR.xz", "pt-BR"),
        ("train.txt", None),
        ("train", None),
        ("en", None),
        ("train.gz", None),
        ("train.src", None),
    ],
)
def test_a_suffix_may_name_the_language(path: str, tag: str | None) -> None:
    assert language_of_file(path) == tag
