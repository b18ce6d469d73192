"""Models have names and directions; tags of clients find them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.core.errors import ConfigError
from nmt.serving.languages import match_tag, split_direction
from nmt.serving.models import ModelRegistry, SearchOptions
from nmt.serving.opening import open_models


@pytest.mark.parametrize(
    ("given", "served", "found"),
    [
        ("de", ["en", "de"], "de"),
        ("de-AT", ["en", "de"], "de"),
        ("DE_at", ["de-AT", "de"], "de-AT"),
        ("pt", ["pt-BR"], "pt-BR"),
        ("pt", ["pt-BR", "pt-PT"], None),
        ("fr", ["en"], None),
        ("german", ["de"], None),
    ],
)
def test_a_tag_finds_the_language_that_is_served(
    given: str, served: list[str], found: str | None
) -> None:
    assert match_tag(given, served) == found


def test_directions_are_split() -> None:
    assert split_direction("en-de") == ("en", "de")
    assert split_direction("zh_hans:en") == ("zh-Hans", "en")
    assert split_direction("EN-de") == ("en", "de")
    assert split_direction("en:pt_br") == ("en", "pt-BR")
    for text in ("", "en-", ":de", "zh-Hans-en", "en:de:fr", "en>de"):
        with pytest.raises(ConfigError, match=f"^--languages {text}: "):
            split_direction(text)
    with pytest.raises(
        ConfigError, match=r"^--languages en: must name two languages, such as en-de or"
    ):
        split_direction("en")
    with pytest.raises(
        ConfigError, match=r"^--languages en-xx: 'xx' is not a known language; give"
    ):
        split_direction("en-xx")


def test_languages_are_given_for_every_model() -> None:
    with pytest.raises(
        ConfigError, match=r"^--languages: given 2 times for 1 models; give it once for each model"
    ):
        open_models(["a"], ["en-de", "de-en"])


def test_equal_names_get_numbers() -> None:
    from nmt.serving.opening import _new_name

    assert _new_name(Path("runs/toy"), []) == "toy"
    assert _new_name(Path("old/toy.onnx"), ["toy"]) == "toy-2"
    assert _new_name(Path("old/toy/"), ["toy", "toy-2"]) == "toy-3"


def test_the_first_model_of_a_direction_is_found(new_model: Any) -> None:
    names = {"a": ("en", "de"), "b": ("en", "de"), "c": ("de", "en"), "d": ("en", "fr")}
    registry = ModelRegistry([new_model(name, pair) for name, pair in names.items()])
    found = registry.find("en", "de")
    assert found is not None
    assert found.name == "a"
    assert registry.find("fr", "en") is None
    assert registry.targets_of("en") == ["de", "fr"]
    assert registry.source_languages == ["en", "de"]


def test_few_searches_are_kept(new_model: Any) -> None:
    from nmt.inference.inputs import Input

    model = new_model("a", ("en", "de"))
    for size in range(1, 12):
        model.translate([Input("the cat")], SearchOptions(beam_size=size))
    assert len(model._others) == 8
    assert model.translate([Input("the cat")], SearchOptions(n_best=4))[0].texts[3:]
    reranked = replace(model, translator=replace(model.translator, reranker=object()))
    assert reranked._with_search(4, 4).reranker is None


def test_runs_of_grids_are_refused_before_their_languages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = SimpleNamespace(languages=lambda: (None, None))
    run = SimpleNamespace(config=SimpleNamespace(data=data))
    grids = SimpleNamespace(source_reader=object())
    monkeypatch.setattr("nmt.runs.run.Run.open", lambda *_, **__: run)
    monkeypatch.setattr("nmt.inference.translator.Translator.from_run", lambda *_, **__: grids)
    with pytest.raises(ConfigError) as caught:
        open_models([str(tmp_path)])
    assert str(caught.value) == (
        f"{tmp_path}: reads grids, which are not served; use `nmt translate`"
    )


def test_an_exported_file_names_its_languages_unless_it_is_old(
    models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    from nmt.export.exported_translator import ExportedTranslator
    from nmt.export.onnx_file import ExportMetadata

    tokenizer = models.first.translator.target_tokenizer
    old = ExportMetadata("float32", 3, 5, 50, 100, tokenizer, tokenizer)
    assert "language" not in old.to_json()
    new = replace(old, source_language="pt-BR", target_language="de")
    stored = {"old.onnx": old.to_json(), "new.onnx": new.to_json()}

    def open_stored(path: str, num_threads: int) -> Any:
        return SimpleNamespace(description=ExportMetadata.from_json(stored[path], Path(path)))

    monkeypatch.setattr(ExportedTranslator, "open", open_stored)
    assert open_models(["new.onnx"]).first.languages == ("pt-BR", "de")
    assert open_models(["new.onnx"], ["en:fr"]).first.languages == ("en", "fr")
    assert open_models(["old.onnx"], ["zh-Hans:en"]).first.languages == ("zh-Hans", "en")
    with pytest.raises(ConfigError, match=r"^old\.onnx: its languages are not known; give"):
        open_models(["new.onnx", "old.onnx"])
