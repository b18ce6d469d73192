"""From a run to a file, which is tried out before it gets its name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
import torch

from nmt.build import Tokenizers, build_search, load_tokenizers
from nmt.build_model import load_model
from nmt.config import DecodingConfig
from nmt.errors import ConfigError, RunError
from nmt.exported import KEY, Description, ExportedTranslator
from nmt.exporting.graph import make_graph
from nmt.exporting.parts import Candidates
from nmt.files import whole_file
from nmt.inference import Inference
from nmt.loading import load_decoding, load_shortlist
from nmt.run import BEST, RunDirectory
from nmt.search.beam_graph import NUM_NEVER, GraphBeam
from nmt.shortlist import Shortlist
from nmt.symbols import SPECIAL_SYMBOLS
from nmt.text.tokenizer import Tokenizer

Precision = Literal["float32", "int8"]
_NUM_TRIED: Final = 32  # sentences
_NEAR: Final = {"float32": 1e-3, "int8": 0.1}
"""How far the score of a translation may be from the run's: int8 rounds, and so may tip over."""
_UNKNOWN: Final = (
    "no_repeat_ngram_size",
    "repetition_penalty",
    "eos_threshold",
    "forbidden",
    "replace_unknown",
    "coverage_penalty",
    "mbr",
)
"""Options of `decoding` of which a graph knows nothing."""


@dataclass(frozen=True)
class Trial:
    """How the file did beside the run, on sentences of tokens drawn at random.

    Attributes:
        num_tried: sentences.
        num_same: of them with the same translation, token for token.
        furthest: the greatest difference between the scores of two translations.
    """

    num_tried: int
    num_same: int
    furthest: float


def export_run(
    run: str | Path,
    path: Path,
    *,
    checkpoint: str = BEST,
    precision: Precision = "float32",
    decoding: DecodingConfig | Mapping[str, Any] | None = None,
) -> Trial:
    """Write a trained model with its search and its tokenizers as one file.

    Args:
        run: the folder that training made.
        path: of the file.
        checkpoint: best, last or step-N.
        precision: float32 or int8 (see `Model.quantize`).
        decoding: how it is to translate, as for `Translator.from_run`; beam size, number of
            translations and size of batches may still be changed when it is used.

    Raises:
        RunError: the run is incomplete or damaged; or the file does not do what the run does.
        ConfigError: it reads grids, or its options ask for what a file cannot do.
    """
    folder = RunDirectory.open(run)
    decoding = load_decoding(folder, decoding)
    _require_simple(decoding)
    tokenizers = load_tokenizers(folder)
    source = tokenizers.source
    if not isinstance(source, Tokenizer):
        raise ConfigError(f"{folder.path}: reads grids; models that read text alone are exported")
    model = load_model(folder, checkpoint, torch.device("cpu")).eval().requires_grad_(False)
    if precision == "int8":
        model.quantize()
    shortlist = load_shortlist(decoding, folder, tokenizers)
    search = build_search(decoding, tokenizers.target)
    graph = make_graph(
        model,
        GraphBeam(search.scoring.length, search.rules.limits),
        len(source),
        None if shortlist is None else _candidates(shortlist, len(tokenizers.target)),
    )
    with whole_file(path) as partial:
        _write(graph, _describe(decoding, source, tokenizers.target, precision), partial)
        inference = Inference(
            *(model, search, torch.device("cpu")),
            torch.int8 if precision == "int8" else torch.float32,
            decoding.batch_tokens,
            shortlist=shortlist,
        )
        return _try(partial, inference, tokenizers, precision)


def _require_simple(decoding: DecodingConfig) -> None:
    """What a graph does not know must not be asked for."""
    if decoding.search.name not in ("beam", "greedy"):
        raise ConfigError(
            f"decoding.search: {decoding.search.name} is not exported; beam and greedy are"
        )
    if (decoding.search.model_extra or {}).get("stopping", "exact") != "exact":
        raise ConfigError("decoding.search.stopping: an exported beam stops exactly; set it so")
    standard = DecodingConfig()
    for key in _UNKNOWN:
        value = getattr(decoding, key)
        if value != getattr(standard, key):
            raise ConfigError(f"decoding.{key}: an exported search knows nothing of it; unset it")


def _candidates(shortlist: Shortlist, vocabulary_size: int) -> Candidates:
    lexicon = shortlist.lexicon
    return Candidates(
        torch.from_numpy(lexicon.candidates[:, : shortlist.num_candidates].astype(np.int64)),
        torch.from_numpy(lexicon.frequent[: shortlist.num_frequent].astype(np.int64)),
        vocabulary_size,
        copies=shortlist.copies,
    )


def _describe(
    decoding: DecodingConfig, source: Tokenizer, target: Tokenizer, precision: Precision
) -> Description:
    fewest = len(target)
    if decoding.shortlist is not None:
        fewest = len(SPECIAL_SYMBOLS) + min(decoding.shortlist.frequent, fewest)
    most_places = max(1, fewest - NUM_NEVER)
    is_greedy = decoding.search.name == "greedy"
    return Description(
        precision=precision,
        beam_size=1 if is_greedy else min(decoding.beam_size, most_places),
        most_places=most_places,
        max_source_length=decoding.max_source_length,
        batch_tokens=_batch_tokens(decoding),
        source=source,
        target=target,
    )


def _batch_tokens(decoding: DecodingConfig) -> int:
    """Where nothing in Python is to be made up for, smaller batches are faster."""
    return min(decoding.batch_tokens, 1_000)


def _write(graph: onnx.ModelProto, description: Description, path: Path) -> None:
    from nmt import __version__

    graph.producer_name, graph.producer_version = "nmt", __version__
    onnx.helper.set_model_props(graph, {KEY: description.to_json()})
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _try(path: Path, inference: Inference, tokenizers: Tokenizers, precision: Precision) -> Trial:
    """Translate nonsense with both.

    Raises:
        RunError: they differ.
    """
    exported = ExportedTranslator.open(path)
    sources = list(_nonsense(len(tokenizers.source)))
    ours = [found[0] for found in inference.run_search(sources)]
    theirs = [found[0] for found in exported.search(sources)]
    pairs = list(zip(ours, theirs, strict=True))
    trial = Trial(
        len(pairs),
        sum(mine.tokens == yours.tokens for mine, yours in pairs),
        max(abs(mine.score - yours.score) for mine, yours in pairs),
    )
    if trial.furthest > _NEAR[precision]:
        raise RunError(
            f"{path.name}: the exported model scores its translations otherwise than the run, by "
            f"{trial.furthest:.2g}; it is not kept. Please report it with the run's configuration"
        )
    return trial


def _nonsense(vocabulary_size: int) -> Iterator[list[int]]:
    generator = np.random.default_rng(1)
    for length in generator.integers(1, 30, _NUM_TRIED):
        yield generator.integers(len(SPECIAL_SYMBOLS), vocabulary_size, length).tolist()
