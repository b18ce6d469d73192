"""Export of a run to a file, which is verified before it is put in place."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
import torch

from nmt.build.tokenizers import load_tokenizers
from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import Config
from nmt.core.errors import ConfigError, RunError
from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.export.beam_search import NUM_EXCLUDED, ExportableBeamSearch
from nmt.export.exported_translator import ExportedTranslator
from nmt.export.onnx_file import MAX_BYTES, METADATA_KEY, ExportMetadata
from nmt.export.onnx_graph import ShortlistGraph, TranslationGraph, make_graph
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import choose_batch_tokens, load_runner
from nmt.nn.model import Model
from nmt.runs.run import BEST, Run
from nmt.search.hypothesis import Hypothesis
from nmt.system.files import CHECKSUM_PLACEHOLDER, atomic_write, write_checksum
from nmt.system.plugins import lines_of, sources
from nmt.text.tokenizer import Tokenizer

Precision = Literal["float32", "int8"]
_NUM_SENTENCES: Final = 32
# Largest accepted difference to the run in the mean log-probability of a token of a translation.
# It applies to the maximum over all sentences in float32, and to the median in int8, where rounding
# may change single translations.
_NEAR: Final = {"float32": 1e-3, "int8": 0.02}
# Without the overhead of Python, smaller batches are faster.
_MOST_BATCH_TOKENS: Final = 1_000
# Options of `decoding` that may be set; the others must have their defaults.
_EXPORTED: Final = {
    *("search", "beam_size", "n_best", "length_penalty", "shortlist"),
    *("min_length", "max_length", "min_length_ratio", "max_length_ratio"),
    *("batch_tokens", "max_source_length"),
    *("dictionary", "mbr_candidates"),  # no effect without other options
}


@dataclass(frozen=True)
class ParityReport:
    """Comparison of a file with its run, on sentences of random tokens.

    Attributes:
        num_sentences: number of sentences.
        num_identical: number of sentences with identical translations, token by token.
        max_difference: maximum over the sentences of the difference between both translations, in
            mean log-probability of a token.
        median_difference: median of the same differences.
    """

    num_sentences: int
    num_identical: int
    max_difference: float
    median_difference: float


def export_run(
    run: Run | str | Path,
    path: Path,
    *,
    checkpoint: str = BEST,
    precision: Precision = "float32",
    decoding: DecodingConfig | Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path | type] = (),
) -> ParityReport:
    """Write a trained model with its search and its tokenizers as one file.

    Args:
        run: the folder of a trained run, or an open run.
        path: of the file.
        checkpoint: best, last or step-N.
        precision: float32 or int8 (see `Model.quantize`).
        decoding: decoding options, as for `Translator.from_run`. Beam size, batch size and number
            of translations can still be changed for each use of the file. Its default batches are
            smaller than the run's, and its default number of translations is 1.
        plugins: files and modules of plug-ins from outside the package (see `allow`).

    Raises:
        RunError: the run is incomplete or corrupted; or PyTorch cannot export its model; or the
            results of the file differ from the run.
        ConfigError: the model reads grids, or an option is not supported in an exported file.
        OSError: the file cannot be written.
    """
    run = Run.of(run, decoding, plugins)
    options, folder = run.config.decoding, run.folder.path
    _require_simple(options)
    tokenizers = load_tokenizers(run)
    source, target = tokenizers.source, tokenizers.target
    if not isinstance(source, Tokenizer):
        raise ConfigError(f"{folder}: grids are not supported; export a run that reads text")
    runner = load_runner(run, tokenizers, [], checkpoint, "cpu", precision, "linear", [])
    shortlist = runner.shortlist
    candidates = None if shortlist is None else ShortlistGraph(shortlist, len(target))
    description = _describe(run.config, source, target, candidates, precision)
    beam = ExportableBeamSearch(runner.search.scoring.length, runner.search.rules.limits)
    model = runner.model.requires_grad_(False)
    assert isinstance(model, Model), "a run without an ensemble has one model"
    try:
        graph = make_graph(TranslationGraph(model, beam), len(source), candidates)
    except Exception as error:  # the exporter may raise anything
        raise _explain(error, folder) from error
    with atomic_write(path) as partial:
        _write(graph, description, partial)
        return _verify(partial, runner, len(source), precision)


def _explain(error: Exception, folder: Path) -> RunError:
    """Return a failed export as one line, with the lines of plug-ins if there are any."""
    first_line = str(error).strip().partition("\n")[0]
    places = ", ".join(lines_of(error) or [source.name for source in sources()])
    advice = f"; make the plug-in traceable for torch.export: {places}" if places else ""
    return RunError(
        f"{folder}: PyTorch {torch.__version__} cannot export its model: {first_line}{advice}"
    )


def _require_simple(decoding: DecodingConfig) -> None:
    """Reject options that the exported search does not support."""
    if decoding.search.name not in ("beam", "greedy"):
        raise ConfigError(
            f"decoding.search: {decoding.search.name!r} cannot be exported; use beam or greedy"
        )
    if (decoding.search.model_extra or {}).get("stopping", "exact") != "exact":
        raise ConfigError("decoding.search.stopping: cannot be exported; set it to exact")
    standard = DecodingConfig()
    for key in DecodingConfig.model_fields.keys() - _EXPORTED:
        if getattr(decoding, key) != getattr(standard, key):
            raise ConfigError(
                f"decoding.{key}: not supported by an exported search; leave it out, or "
                "translate with the run"
            )


def _describe(
    config: Config,
    source: Tokenizer,
    target: Tokenizer,
    candidates: ShortlistGraph | None,
    precision: Precision,
) -> ExportMetadata:
    """Return the metadata of the file.

    Raises:
        ConfigError: the beam is too wide for the vocabulary.
    """
    decoding = config.decoding
    source_language, target_language = config.data.languages()
    fewest = len(target) if candidates is None else int(candidates.everywhere.sum())
    beam_size = 1 if decoding.search.name == "greedy" else decoding.beam_size
    if beam_size > fewest - NUM_EXCLUDED:
        raise ConfigError(
            f"decoding.beam_size: must be at most {max(1, fewest - NUM_EXCLUDED)} for a vocabulary "
            f"(or shortlist) of {fewest} tokens, not {beam_size}"
        )
    return ExportMetadata(
        precision=precision,
        beam_size=beam_size,
        max_beam_size=fewest - NUM_EXCLUDED,
        max_source_length=decoding.max_source_length,
        batch_tokens=min(choose_batch_tokens(decoding, torch.device("cpu")), _MOST_BATCH_TOKENS),
        source=source,
        target=target,
        source_language=source_language,
        target_language=target_language,
    )


def _write(graph: onnx.ModelProto, description: ExportMetadata, path: Path) -> None:
    from nmt.core.version import __version__

    graph.producer_name, graph.producer_version = "nmt", __version__
    onnx.helper.set_model_props(
        graph, {METADATA_KEY: description.to_json(), "seal": CHECKSUM_PLACEHOLDER}
    )
    if graph.ByteSize() >= MAX_BYTES:
        raise RunError(f"export: {graph.ByteSize() / 1e9:.1f} GB, above 2 GB; use a smaller model")
    onnx.checker.check_model(graph)
    onnx.save(graph, path)
    write_checksum(path)


def _verify(
    path: Path, runner: BatchRunner, vocabulary_size: int, precision: Precision
) -> ParityReport:
    """Compare the translations of random tokens by the file and by the run.

    Raises:
        RunError: they differ too much.
    """
    sources = list(_nonsense(vocabulary_size))
    ours = [found[0] for found in runner.run_search(sources)]
    theirs = [found[0] for found in ExportedTranslator.open(path).search(sources)]
    pairs = list(zip(ours, theirs, strict=True))
    distances = [abs(_mean(mine) - _mean(yours)) for mine, yours in pairs]
    num_identical = sum(mine.tokens == yours.tokens for mine, yours in pairs)
    report = ParityReport(len(pairs), num_identical, max(distances), statistics.median(distances))
    distance = report.max_difference if precision == "float32" else report.median_difference
    if distance > _NEAR[precision]:
        raise RunError(
            f"{path.name}: discarded, as it differs from the run by {distance:.2g} in the "
            f"log-probability of a token ({num_identical} of {report.num_sentences} sentences are "
            "identical); report this with the run's configuration"
        )
    return report


def _mean(hypothesis: Hypothesis) -> float:
    """Return the mean log-probability of a token, including EOS."""
    return hypothesis.log_probability / (len(hypothesis.tokens) + 1)


def _nonsense(vocabulary_size: int) -> Iterator[list[int]]:
    """Yield sentences of random tokens, some of them unknown."""
    generator = np.random.default_rng(1)
    for length in generator.integers(1, 30, _NUM_SENTENCES):
        tokens = generator.integers(len(SPECIAL_SYMBOLS), vocabulary_size, length)
        yield np.where(generator.random(length) < 0.1, UNK, tokens).tolist()
