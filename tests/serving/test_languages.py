"""Languages are detected among those that are served."""

from nmt.serving.languages import Detector


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
