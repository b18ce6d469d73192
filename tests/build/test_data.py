import io
import logging
import pickle
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sentencepiece
import torch

from nmt.build import data
from nmt.config.experiment import Config, DecodingConfig
from nmt.config.file import dump_config
from nmt.core.errors import ConfigError, RunError
from nmt.core.special_tokens import BOS, EOS
from nmt.evaluation.minimum_bayes_risk import BleuUtility, ChrfUtility
from nmt.runs.directory import RunDirectory
from nmt.search.beam import BeamSearch
from nmt.search.forbidden import ForbiddenPhrases
from nmt.search.request import Request
from nmt.search.rule_variants import EndThreshold, NoRepeatedNgrams, RepetitionPenalty
from nmt.search.rules import Prefixes, SearchLimits
from nmt.search.sampling import SamplingSearch
from nmt.search.search import Search
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for side, text in (("en", "one .\n\ntwo .\n"), ("de", "eins .\nzwei .\nzwei .\n")):
        (tmp_path / f"train.{side}").write_text(text)
    corpus = {"source": str(tmp_path / "train.en"), "target": str(tmp_path / "train.de")}
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"train": corpus, "valid": corpus, "num_processes": 3},
            "tokenizer": {"name": "words", "shared": False},
        }
    )


def test_what_the_filters_left_out_is_told_from_the_cache_too(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDirectory(tmp_path / "run")
    tokenizers = data.build_tokenizers(config, run)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            data.encode_training(config, run, tokenizers)
        assert "train.de: 2 of 3 pairs kept (1 empty)" in caplog.text


def test_the_processes_that_sample_can_be_set(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(data, "DataLoader", lambda *parts, **options: given.update(options))
    run = RunDirectory(tmp_path / "run")
    corpora = data.encode_training(config, run, data.build_tokenizers(config, run))
    data.build_loader(config, corpora, 100, torch.device("cpu"))
    assert given["num_processes"] == 3


TEXT = {"source": "train.en", "target": "train.de"}
GRIDS = {"grids": "train.npz", "target": "train.de"}


@pytest.mark.parametrize(
    ("corpus", "asked", "cores", "expected"),
    [
        *((TEXT, None, 16, 8), (TEXT, None, 3, 3), (TEXT, 20, 3, 20), (TEXT, 0, 3, 0)),
        *((GRIDS, None, 16, 1), (GRIDS, 2, 16, 2)),
    ],
)
def test_the_processes_that_encode_are_as_many_as_cores_or_as_asked(
    corpus: dict[str, str],
    asked: int | None,
    cores: int,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []

    def encode(*parts: Any, num_processes: int, **options: Any) -> SimpleNamespace:
        taken.append(num_processes)
        return SimpleNamespace(report="")

    monkeypatch.setattr(data, "encode_corpus", encode)
    monkeypatch.setattr(data, "num_cores", lambda: cores)
    encoder = {"name": "grid", "channels": 3} if corpus is GRIDS else {}
    config = Config.model_validate(
        {
            "run": "unused",
            "data": {"train": corpus, "valid": corpus, "encoding_processes": asked},
            "tokenizer": {"name": "words", "shared": False},
            "model": {"encoder": encoder},
        }
    )
    words = WordTrainer(Normalizer()).train(lambda: iter(["one two"]))
    data.encode_training(config, RunDirectory(tmp_path), data.Tokenizers(words, words))
    assert taken == [expected]


def search_of(**decoding: Any) -> Search:
    tokenizer = WordTrainer(Normalizer()).train(lambda: iter(["one two"]))
    return data.build_search(DecodingConfig.model_validate(decoding), tokenizer)


def test_each_option_makes_its_rule() -> None:
    assert search_of().rules.rules == ()
    repetition, ngrams, forbidden, end = search_of(
        eos_threshold=1.5, forbidden=["one"], no_repeat_ngram_size=3, repetition_penalty=1.2
    ).rules.rules
    assert isinstance(repetition, RepetitionPenalty) and repetition.factor == 1.2
    assert isinstance(ngrams, NoRepeatedNgrams) and ngrams.size == 3
    assert isinstance(forbidden, ForbiddenPhrases)
    assert isinstance(end, EndThreshold) and end.factor == 1.5
    assert search_of(forbidden=[" "]).rules.rules == ()


def test_a_search_with_all_rules_goes_to_workers() -> None:
    search = search_of(
        eos_threshold=1.5, forbidden=["one"], no_repeat_ngram_size=3, repetition_penalty=1.2
    )
    there = pickle.loads(pickle.dumps(search))
    assert [type(rule) for rule in there.rules.rules] == [type(rule) for rule in search.rules.rules]
    request = Request(torch.tensor([1]))
    for each in (search, there):
        following = torch.zeros(1, 6)
        prefixes = Prefixes(torch.tensor([[BOS]]), torch.tensor([0]), request, torch.tensor([1]))
        each.rules.rules[2](following, prefixes)
        assert following[0, EOS:].tolist() == [0.0, -inf, 0.0]


def test_each_limit_is_that_of_its_option() -> None:
    limits = search_of(
        min_length=3, max_length=90, min_length_ratio=0.4, max_length_ratio=2.5
    ).rules.limits
    assert limits == SearchLimits(3, 90, 0.4, 2.5)
    assert limits.fewest_tokens(torch.tensor([5, 20])).tolist() == [3, 8]
    assert limits.most_tokens(torch.tensor([4, 50])).tolist() == [20, 90]
    assert search_of(max_length_ratio=None).rules.limits.max_length_ratio is None


def test_each_option_of_a_search_reaches_it() -> None:
    for given, expected in (("beam", "exact"), ({"name": "beam", "stopping": "first"}, "first")):
        beam = search_of(search=given)
        assert isinstance(beam, BeamSearch) and beam.stopping == expected
    sampling = search_of(
        search={"name": "sampling", "top_p": 0.9, "epsilon": 0.02, "top_k": 7, "temperature": 0.5}
    )
    assert isinstance(sampling, SamplingSearch)
    told = (sampling.top_p, sampling.epsilon, sampling.top_k, sampling.temperature)
    assert told == (0.9, 0.02, 7, 0.5)


def test_what_is_chosen_by_is_that_of_the_option() -> None:
    assert data.build_reranker(DecodingConfig()) is None
    for name, utility in (("bleu", BleuUtility), ("chrf", ChrfUtility)):
        options = {"mbr": name, "search": "sampling", "n_best": 2}
        chooser = data.build_reranker(DecodingConfig.model_validate(options), "zh")
        assert chooser is not None and type(chooser.utility) is utility
        assert chooser.utility.tokenizer == "zh"
        assert (chooser.n_best, chooser.are_samples) == (2, True)


def spm_model(path: Path, **options: Any) -> Path:
    """A model that SentencePiece itself has trained."""
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["one two .", "eins zwei ."] * 20),
        model_writer=content,
        model_type="bpe",
        vocab_size=30,
        minloglevel=2,
        **options,
    )
    path.write_bytes(content.getvalue())
    return path


def test_a_run_takes_models_of_sentencepiece(config: Config, tmp_path: Path) -> None:
    source = spm_model(tmp_path / "source.model")
    target = spm_model(tmp_path / "target.model", unk_id=3, pad_id=0, user_defined_symbols="eins")
    given = {"shared": False, "source_path": str(source), "target_path": str(target)}
    config = Config.model_validate({**config.model_dump(mode="json"), "tokenizer": given})
    run = RunDirectory(tmp_path / "run")
    made = data.build_tokenizers(config, run)
    assert made.source.pieces(made.source.encode("one two .")) == ["▁one", "▁two", "▁."]
    assert made.target.pieces(made.target.encode("eins .")) == ["▁", "eins", "▁."]
    source.unlink()  # the run has copies
    target.unlink()
    (tmp_path / "run" / "config.yaml").write_text(dump_config(config))
    again = data.load_tokenizers(run)
    assert again.target.fingerprint() == made.target.fingerprint()
    assert again.source.decode(again.source.encode("two one .")) == "two one ."


def test_a_model_of_sentencepiece_needs_its_tokenizer(config: Config, tmp_path: Path) -> None:
    given = {"name": "words", "source_path": str(spm_model(tmp_path / "my.model"))}
    config = Config.model_validate({**config.model_dump(mode="json"), "tokenizer": given})
    message = r"tokenizer.name: 'words' cannot be combined .*my.model.*; set it to sentencepiece"
    with pytest.raises(ConfigError, match=message):
        data.build_tokenizers(config, RunDirectory(tmp_path / "run"))


def test_a_tokenizer_that_is_not_there_is_named(config: Config, tmp_path: Path) -> None:
    tree = {**config.model_dump(mode="json"), "tokenizer": {"source_path": "no.model"}}
    with pytest.raises(RunError, match=r"no.model: no such tokenizer: give the folder of one"):
        data.build_tokenizers(Config.model_validate(tree), RunDirectory(tmp_path / "run"))
