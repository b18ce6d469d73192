"""What a shortlist has, and that a search among some tokens is one where the others are not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.build.model import build_model
from nmt.build.tokenizers import Tokenizers
from nmt.config.decoding import DecodingConfig
from nmt.config.model import ModelConfig
from nmt.core.errors import RunError
from nmt.core.special_tokens import EOS, PAD, SPECIAL_SYMBOLS
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.inference.shortlist import Shortlist, load_lexicon, save_lexicon
from nmt.nn.ensemble import Ensemble
from nmt.nn.int8 import Int8Linear
from nmt.runs.run import RunDirectory
from nmt.search.request import Constraints
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer
from nmt.word_alignment.ibm1 import Lexicon

SIZE = 60
TOKENIZER = WordTrainer(Normalizer()).train(lambda: iter([" ".join(f"w{i}" for i in range(56))]))
TOKENIZERS = Tokenizers(TOKENIZER, TOKENIZER)


def random_lexicon(seed: int = 1, num_candidates: int = 5) -> Lexicon:
    rng = np.random.default_rng(seed)
    candidates = rng.integers(4, SIZE, (SIZE, num_candidates), dtype=np.int32)
    candidates[7, 2:] = PAD
    return Lexicon(
        candidates,
        rng.random((SIZE, num_candidates), dtype=np.float32),
        np.arange(4, SIZE, dtype=np.int32),
    )


def tokens_of(shortlist: Shortlist, source: Sequence[int], constraint: Constraints) -> set[int]:
    """The tokens of the first of two sentences."""
    subset, allowed = shortlist.choose([source, [20, 21]], [constraint, Constraints()])
    return set(subset.tokens[allowed.mask[0]].tolist())


def test_shortlist_has_candidates_and_frequent_tokens() -> None:
    lexicon = random_lexicon()
    shortlist = Shortlist(lexicon, num_candidates=3, num_frequent=2, copies=False)
    common = {*range(len(SPECIAL_SYMBOLS)), 4, 5}
    likely = {*lexicon.candidates[7, :2].tolist(), *lexicon.candidates[9, :3].tolist()}
    assert tokens_of(shortlist, [7, 9], Constraints()) == common | likely
    asked = Constraints(prefix=(50,), phrases=((51, 52), (50,)))
    assert tokens_of(shortlist, [7, 9], asked) == common | likely | {50, 51, 52}
    copying = replace(shortlist, copies=True)
    assert tokens_of(copying, [7, 9], Constraints()) == common | likely | {7, 9}


def make_runner(
    search: dict[str, object], shortlist: Shortlist | None, kind: str = "one"
) -> BatchRunner:
    torch.manual_seed(1)
    sizes = {
        "embedding": {"size": 64},
        "encoder": {"hidden_size": 32},
        "decoder": {"hidden_size": 64},
    }
    models = [build_model(ModelConfig.model_validate(sizes), SIZE, SIZE).eval() for _ in range(2)]
    with torch.no_grad():
        for model in models:
            model.projection.weight.mul_(8.0)
    if kind == "int8":
        models[0].quantize()
    model = Ensemble(models) if kind == "ensemble" else models[0]
    config = DecodingConfig.model_validate({"max_length": 8, **search})
    return BatchRunner(
        model,
        build_search(config, TOKENIZER),
        torch.device("cpu"),
        torch.float32,
        batch_tokens=1000,
        shortlist=shortlist,
    )


SOURCES = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [30]]
CONSTRAINTS = [
    Constraints(),
    Constraints(prefix=(40,)),
    Constraints(phrases=((41, 42),)),
    Constraints(prefix=(43,), phrases=((44,),)),
]


@pytest.mark.parametrize("kind", ["one", "int8", "ensemble"])
@pytest.mark.parametrize(
    "search",
    [
        {"search": "greedy"},
        {"beam_size": 4, "n_best": 3, "forbidden": ["w10", "w2 w3"], "no_repeat_ngram_size": 2},
        {"search": {"name": "diverse_beam", "groups": 2}, "beam_size": 4},
        {"coverage_penalty": {"name": "gnmt", "beta": 0.3}, "replace_unknown": True},
    ],
    ids=str,
)
def test_shortlist_equals_search_with_other_tokens_forbidden(
    search: dict[str, object], kind: str
) -> None:
    """The full search, whose model gives what is not on the list no probability, finds the same."""
    shortlist = Shortlist(random_lexicon(), num_candidates=5, num_frequent=6, copies=True)
    constraints = CONSTRAINTS if "beam_size" in search else [Constraints()] * 4
    found = make_runner(search, shortlist, kind).run_search(SOURCES, constraints)
    for source, constraint, of_sentence in zip(SOURCES, constraints, found, strict=True):
        subset, allowed = shortlist.choose([source], [constraint])
        full = make_runner(search, None, kind)
        models = full.model.models if isinstance(full.model, Ensemble) else [full.model]
        for model in models:
            bias = torch.full((SIZE,), -1e9)
            bias[subset.tokens[allowed.mask[0]]] = 0.0
            assert isinstance(model.projection, torch.nn.Linear | Int8Linear)
            model.projection.bias.data.add_(bias)
        (expected,) = full.run_search([source], [constraint])
        assert [item.tokens for item in of_sentence] == [item.tokens for item in expected]
        for one, other in zip(of_sentence, expected, strict=True):
            assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
            assert one.score == pytest.approx(other.score, abs=1e-4)


def test_sentence_does_not_depend_on_its_batch() -> None:
    shortlist = Shortlist(random_lexicon(), num_candidates=3, num_frequent=2, copies=True)
    runner = make_runner({"beam_size": 3}, shortlist)
    together = runner.run_search(SOURCES)
    for source, found in zip(SOURCES, together, strict=True):
        (alone,) = runner.run_search([source])
        assert alone[0].tokens == found[0].tokens
        assert alone[0].score == pytest.approx(found[0].score, abs=1e-5)
        assert EOS not in found[0].tokens


def test_a_lexicon_is_kept_in_a_run(tmp_path: Path) -> None:
    run, lexicon = RunDirectory(tmp_path), random_lexicon()
    with pytest.raises(RunError, match=r"has no lexicon.*`nmt lexicon"):
        load_lexicon(run, TOKENIZERS)
    save_lexicon(run, lexicon, TOKENIZERS)
    loaded = load_lexicon(run, TOKENIZERS)
    for name in ("candidates", "probabilities", "frequent"):
        assert np.array_equal(getattr(loaded, name), getattr(lexicon, name))
    other = WordTrainer(Normalizer()).train(lambda: iter(["a b"]))
    with pytest.raises(
        RunError, match=r"lexicon: not a lexicon .* \(it was made with another tokenizer\)"
    ):
        load_lexicon(run, Tokenizers(other, TOKENIZER))
    (run.lexicon / "model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError, match=r"corrupted.* make it again with `nmt lexicon"):
        load_lexicon(run, TOKENIZERS)


@pytest.mark.parametrize(
    ("name", "value", "misfit"),
    [
        ("candidates", SIZE, "candidates has tokens outside the target vocabulary"),
        ("candidates", EOS, "candidates has tokens outside the target vocabulary"),
        ("frequent", SIZE, "frequent has tokens outside the target vocabulary"),
        ("frequent", PAD, "frequent has tokens outside the target vocabulary"),
        ("probabilities", -0.1, "probabilities are negative, infinite or NaN"),
        ("probabilities", np.nan, "probabilities are negative, infinite or NaN"),
    ],
)
def test_a_lexicon_of_impossible_numbers_is_refused(
    name: str, value: float, misfit: str, tmp_path: Path
) -> None:
    run, lexicon = RunDirectory(tmp_path), random_lexicon()
    getattr(lexicon, name)[-1] = value
    save_lexicon(run, lexicon, TOKENIZERS)
    with pytest.raises(RunError, match=rf"lexicon: not a lexicon of this run \({misfit}\)"):
        load_lexicon(run, TOKENIZERS)
