import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nmt.build.metrics import build_metrics
from nmt.config.experiment import Config
from nmt.config.file import dump_config, load_config
from nmt.config.messages import explain
from nmt.config.training import ValidationConfig, read_metrics
from nmt.core.errors import ConfigError

DATA = "data: {train: {source: a, target: b}, valid: {source: a, target: b}}\nrun: x\n"


def validation(*metrics: Any, best: str = "bleu") -> ValidationConfig:
    return ValidationConfig.model_validate({"metrics": list(metrics), "best": best})


def test_metric_options_are_checked_completed_and_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        DATA + "training:\n  validation:\n    metrics: "
        "[bleu, {name: chrf, word_order: 2, as: chrf++}]\n    best: chrf++\n"
        "  early_stopping: {metric: chrf++}\n"
    )
    config = load_config(path)
    bleu, chrf = config.training.validation.metrics
    assert bleu.options["tokenize"] == "auto" and bleu.label == "bleu"
    assert chrf.options["word_order"] == 2 and chrf.label == "chrf++"
    (tmp_path / "b.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "b.yaml") == config
    assert "as: chrf++" in dump_config(config)
    assert [metric.label for metric in build_metrics([bleu, chrf])] == ["bleu", "chrf++"]


def test_one_metric_need_not_be_a_list() -> None:
    assert ValidationConfig.model_validate({"metrics": "bleu"}) == ValidationConfig()
    given = {"metrics": {"name": "chrf", "beta": 1}, "best": "chrf"}
    (metric,) = ValidationConfig.model_validate(given).metrics
    assert metric.options["beta"] == 1
    (metric,) = ValidationConfig.model_validate({"metrics": {"tokenize": "char"}}).metrics
    assert (metric.name, metric.options["tokenize"]) == ("bleu", "char")


def test_an_override_reaches_the_options_of_the_default_metric(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DATA)
    tokenize = "training.validation.metrics.tokenize"
    config = load_config(tmp_path / "a.yaml", [f"{tokenize}=char"])
    assert config.training.validation.bleu_tokenizer == "char"
    message = f"override '{tokenize}=caracter': {tokenize}: must be "
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(tmp_path / "a.yaml", [f"{tokenize}=caracter"])


@pytest.mark.parametrize(
    ("metrics", "option", "message"),
    [
        (
            ["bleu", {"name": "bleu", "tokenize": "char"}],
            "",
            "'bleu' is listed twice; give this one another name, as in {name: bleu, as: bleu_2}",
        ),
        (
            [{"name": "bleu", "as": "x"}, {"name": "chrf", "as": "x"}],
            "",
            "'x' is listed twice; give this one another name, as in {name: chrf, as: chrf_2}",
        ),
        (
            [{"name": "bleu", "as": "loss"}],
            "as: ",
            "'loss' is reserved; choose another",
        ),
        (
            [{"name": "bleu", "as": "ter"}],
            "as: ",
            "'ter' is reserved; choose another",
        ),
        ([{"name": "bleu", "as": ""}], "as: ", "must not be empty"),
        (
            ["blue"],
            "",
            "unknown metric 'blue' (did you mean 'bleu'?); allowed: bleu, bleu_lc, chrf, ter, "
            "exact_match",
        ),
        (
            [{"name": "ter", "no_punkt": "true"}],
            "no_punkt: ",
            "unknown option 'no_punkt' of metric 'ter' (did you mean 'no_punct'?); allowed: as, "
            "normalized, no_punct, asian_support, case_sensitive",
        ),
        ([{"name": "chrf", "beta": 0}], "beta: ", "must be at least 1, not 0"),
    ],
)
def test_impossible_metrics_are_refused(metrics: list[Any], option: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ValidationConfig.model_validate({"metrics": metrics, "best": "loss"})
    assert explain(caught.value.errors()[0]) == message
    with pytest.raises(ConfigError) as refused:
        read_metrics(metrics)
    assert str(refused.value) == option + message


def test_labels_distinguish_metrics_of_one_name() -> None:
    both = validation("bleu", {"name": "bleu", "tokenize": "char", "as": "chars"}, best="chars")
    assert [metric.label for metric in both.metrics] == ["bleu", "chars"]
    assert both.find_metric("chars").options["tokenize"] == "char"
    with pytest.raises(ValidationError, match="'char' is not measured; allowed: loss, bleu, chars"):
        validation("bleu", {"name": "bleu", "as": "chars"}, best="char")


def test_bleu_tokenizer_is_that_of_the_best_metric() -> None:
    assert validation("bleu").bleu_tokenizer == "auto"
    assert validation("bleu").with_tokenizer("zh").bleu_tokenizer == "zh"
    intl = {"name": "bleu", "tokenize": "intl", "as": "intl"}
    zh = {"name": "bleu", "tokenize": "zh"}
    assert validation(intl, zh, best="intl").bleu_tokenizer == "intl"
    assert validation(intl, zh, best="bleu").bleu_tokenizer == "zh"
    assert validation(intl, "chrf", best="chrf").bleu_tokenizer == "intl"
    # A metric that is not measured in training has it as well.
    assert validation(zh).find_metric("bleu_lc").options["tokenize"] == "zh"
    assert validation(zh).find_metric("chrf") == read_metrics("chrf")[0]


def test_a_metric_gets_the_tokenizer_that_one_of_its_label_has() -> None:
    chars = {"name": "bleu", "tokenize": "char", "as": "chars"}
    before = validation("bleu", chars).with_tokenizer("zh").model_copy(update={"best": "chars"})
    assert before.bleu_tokenizer == "char"
    same = validation("bleu", chars, "bleu_lc").with_tokenizers_of(before)
    assert [metric.options["tokenize"] for metric in same.metrics] == ["zh", "char", "char"]


def test_a_tokenizer_that_was_set_stays() -> None:
    kept = validation({"name": "bleu", "tokenize": "none"}, "bleu_lc", "ter").with_tokenizer("zh")
    assert [metric.options.get("tokenize") for metric in kept.metrics] == ["none", "zh", None]


def test_the_short_form_of_older_runs_loads() -> None:
    given = {"run": "x", "data": {"train": {"tsv": "a"}, "valid": {"tsv": "b"}}}
    old = Config.model_validate({**given, "training": {"validation": {"metrics": ["bleu", "ter"]}}})
    assert [metric.name for metric in old.training.validation.metrics] == ["bleu", "ter"]
