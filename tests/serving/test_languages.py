"""Languages are detected among those that are served."""

import pytest

from nmt.serving.languages import Detector, match_tag


def test_one_language_needs_no_library() -> None:
    assert Detector(["pt-BR"]).detect("anything") == [("pt-BR", 1.0)]


def test_only_served_languages_are_found() -> None:
    detector = Detector(["en", "de", "pt-BR", "nds"])
    found = detector.detect("Der alte Mann und das Meer, gestern in der Stadt.")
    assert found[0][0] == "de"
    assert sorted(tag for tag, _ in found) == ["de", "en", "nds", "pt-BR"]
    assert dict(found)["nds"] == 0.0
    assert detector.detect("The old man and the sea, yesterday in town.")[0][0] == "en"
    assert detector.detect("Não sei o que você quer dizer com isso.")[0][0] == "pt-BR"


@pytest.mark.parametrize(
    ("given", "served", "expected"),
    [
        ("pt", ["en", "pt-BR"], "pt-BR"),
        ("pt-PT", ["pt-BR"], "pt-BR"),
        ("PT_br", ["pt-PT", "pt-BR"], "pt-BR"),
        ("pt", ["pt-PT", "pt-BR"], None),
        ("de", ["en"], None),
        ("nonsense", ["en"], None),
    ],
)
def test_a_tag_means_itself_or_the_only_variant(
    given: str, served: list[str], expected: str | None
) -> None:
    assert match_tag(given, served) == expected
