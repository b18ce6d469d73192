"""The API of a trained model: translate, score and align lines of text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import torch

from nmt.build.tokenizers import load_tokenizers
from nmt.config.decoding import DecodingConfig
from nmt.core.errors import ConfigError, RunError
from nmt.core.special_tokens import EOS
from nmt.data.formats.grids import Source
from nmt.distributed.rank_pool import lead, serve
from nmt.inference.forced_decoding import SentenceAlignment, SentenceScore, read_log_probabilities
from nmt.inference.inputs import Input as Input, LineWarnings, Pair, no_report
from nmt.inference.loading import build_reranker, load_dictionary, load_runner
from nmt.inference.postprocessing import PostProcessor
from nmt.inference.trace import Trace
from nmt.inference.translation import ExtraOutputs as ExtraOutputs, Translation as Translation
from nmt.inference.windows import WindowReader
from nmt.nn.ensemble import Space
from nmt.runs.run import BEST, Run
from nmt.search.rules import Rule
from nmt.system.device import AUTO
from nmt.word_alignment.units import AlignmentUnits

NO_EXTRA_OUTPUTS: Final = ExtraOutputs()


@dataclass(frozen=True, eq=False)
class Translator(PostProcessor):
    """A model with its tokenizers, search and post-processing.

    Input is raw text, or grids if the model reads grids. Output is detokenized text in input order.
    The input is read ahead in bounded windows, sorted by length, and computed in batches. Batching
    does not affect the results, except for rounding.

    Attributes:
        max_source_length: maximum number of tokens of a line; the rest is cut, with a warning.
    """

    max_source_length: int = field(kw_only=True)

    @classmethod
    def from_run(
        cls,
        run: Run | str | Path,
        *,
        checkpoint: str = BEST,
        device: str | torch.device = AUTO,
        precision: str | torch.dtype | None = None,
        decoding: DecodingConfig | Mapping[str, Any] | None = None,
        ensemble: Sequence[str | Path] = (),
        average: Space = "linear",
        rules: Sequence[Rule] = (),
        alignment_units: AlignmentUnits = "auto",
        plugins: Sequence[str | Path | type] = (),
    ) -> Self:
        """Load a trained model.

        Args:
            run: the folder of a trained run, or an open run.
            checkpoint: best, last or step-N.
            device: auto, cpu, cuda or cuda:N.
            precision: auto, float32, bfloat16, or int8 (see `Model.quantize`); None: the training
                precision if the device supports it.
            decoding: all or some options of `decoding`, if the run is a folder: `{"n_best": 10}`.
            ensemble: further runs with the same vocabulary, to translate as an ensemble.
            average: average log or linear probabilities of the ensemble (see `Ensemble`).
            rules: custom rules, such as a language model, applied after those of the options.
            alignment_units: units that alignments link (see the attribute).
            plugins: files and modules of plug-ins from outside the package (see `allow`).

        Raises:
            RunError: the folder is not a run, or is incomplete or corrupted.
            ConfigError: the device, precision or decoding is not supported, or vocabularies differ.
        """
        run = Run.of(run, decoding, plugins)
        options = run.config.decoding
        tokenizers = load_tokenizers(run)
        runner = load_runner(
            run, tokenizers, ensemble, checkpoint, device, precision, average, rules
        )
        return cls(
            runner,
            source_reader=tokenizers.source,
            target_tokenizer=tokenizers.target,
            max_source_length=options.max_source_length,
            reranker=build_reranker(options, run.config.training.validation.bleu_tokenizer),
            dictionary=load_dictionary(options),
            alignment_units=alignment_units,
        )

    def __repr__(self) -> str:
        return f"Translator({self.runner.summary})"

    @property
    def has_attention(self) -> bool:
        """Return whether the model has attention, which alignments need."""
        return self.runner.model.has_attention

    def require_attention(self) -> None:
        """Reject alignment with a model without attention.

        Raises:
            RunError: the model has no attention.
        """
        if not self.has_attention:
            raise RunError("model.attention: null, so without alignments; use a run with attention")

    @contextmanager
    def with_workers(self, number: int) -> Iterator[Self]:
        """Return a translator that computes this many batches at the same time, in threads.

        Results are the same for every number. Without it, a translator on the CPU uses as many
        threads as torch, at most eight.

        Raises:
            ConfigError: the model is not on the CPU.
        """
        device = self.runner.device
        if device.type != "cpu":
            raise ConfigError(
                f"--workers: only supported on the CPU, not on {device}; use larger batches there "
                "(--batch-tokens)"
            )
        yield replace(self, runner=replace(self.runner, num_threads=number))

    @contextmanager
    def with_ranks(self, identity: str) -> Iterator[Self]:
        """Return a translator that computes in all torchrun processes; the others `serve_ranks`.

        Args:
            identity: of the model and its options, which must be the same in all processes.

        Raises:
            RunError: the processes have different models or options.
        """
        with lead(self.runner, f"{identity} {self.runner.precision}") as ranks:
            yield replace(self, runner=replace(self.runner, ranks=ranks))

    def serve_ranks(self, identity: str) -> None:
        """Compute for the first torchrun process until it is done.

        Raises:
            RunError: the first process has died, or has another model.
        """
        serve(self.runner, f"{identity} {self.runner.precision}")

    def translate(
        self,
        lines: Sequence[Source | Input],
        *,
        with_alignments: bool = False,
        with_scores: bool = False,
        with_token_scores: bool = False,
    ) -> list[Translation]:
        """Translate lines of raw text, or grids; see `translate_stream` and `ExtraOutputs`."""
        extra = ExtraOutputs(with_alignments, with_scores, with_token_scores)
        return list(self.translate_stream(lines, extra))

    def translate_stream(
        self, lines: Iterable[Source | Input], extra: ExtraOutputs = NO_EXTRA_OUTPUTS
    ) -> Iterator[Translation]:
        """Translate any number of lines in constant memory, reading some thousands ahead.

        Args:
            lines: raw text, grids, or an `Input` with constraints. Each line gives exactly one
                translation; a blank line gives an empty text.
            extra: the additional outputs to compute.

        Raises:
            TypeError: a line is not a text (or grid) or an `Input`, or `lines` is a single string.
            ConfigError: an `Input` has phrases, and the search does not support them.
        """
        for window in self.translate_windows(lines, extra):
            yield from (translation for _, translation in window)

    def translate_windows(
        self,
        lines: Iterable[Source | Input],
        extra: ExtraOutputs = NO_EXTRA_OUTPUTS,
        *,
        warnings: LineWarnings | None = None,
        report: Callable[[int], object] = no_report,
    ) -> Iterator[list[tuple[Input, Translation]]]:
        """Yield lines with their translations, one window at a time.

        The lines of a window are sorted into batches together. Windows do not depend on the number
        of workers. A translation that is resumed at the end of a window continues with the same
        windows.

        Args:
            lines: as for `translate_stream`.
            extra: as for `translate_stream`.
            warnings: about the lines; None: only about lines that are cut.
            report: called with the number of lines whenever a batch has been searched.
        """
        read = self._reader(warnings).read_lines(lines, self.runner.search)
        if extra.alignments:
            self.require_attention()
        for window, found in self.runner.search_windows(read, report):
            translations = self.postprocess(window, found, extra)
            yield list(zip(window.lines, translations, strict=True))

    def score(
        self, pairs: Iterable[Pair], warnings: LineWarnings | None = None
    ) -> Iterator[SentenceScore]:
        """Yield the log-probabilities of each target, given its source.

        For a translation by this model, they are what `translate` reports `with_scores`. Sources
        and targets longer than `max_source_length` are cut.

        Args:
            pairs: source (raw text or a grid) and target; a text may be empty.
            warnings: about the pairs; None: only about lines that are cut.

        Raises:
            TypeError: an item is not such a pair.
        """
        for sources, targets in self._reader(warnings).read_pairs(pairs, "score"):
            found = self.runner.run_forced(sources, targets, read_log_probabilities)
            for target, log_probabilities in zip(targets, found, strict=True):
                pieces = self.target_tokenizer.pieces([*target.ids, EOS])
                yield SentenceScore(tuple(pieces), log_probabilities)

    def align(
        self,
        pairs: Iterable[Pair],
        warnings: LineWarnings | None = None,
        *,
        with_scores: bool = False,
    ) -> Iterator[SentenceAlignment]:
        """Yield the word alignment of each pair from the attention weights.

        Args:
            pairs: source (raw text or a grid) and target; a text may be empty.
            warnings: about the pairs; None: only about lines that are cut.
            with_scores: also return the log-probabilities of the target's tokens.

        Raises:
            TypeError: an item is not such a pair.
        """
        for sources, targets in self._reader(warnings).read_pairs(pairs, "align"):
            self.require_attention()
            yield from self.align_encoded(sources, targets, with_scores=with_scores)

    def trace(self, source: Source, *, prefix: str = "") -> Trace:
        """Translate one sentence and return everything that is computed for it, in float32.

        Args:
            source: raw text, or a grid if the model reads grids.
            prefix: text that the translation must start with (see `Input.prefix`).

        Raises:
            TypeError: the source is neither text nor a grid, as the model reads.
            ConfigError: the translator has an ensemble, or its weights are quantised.
            DataError: the sentence is blank.
            RunError: a module of the model, such as a plug-in, cannot be copied.
        """
        from nmt.inference.tracing import trace_sentence

        return trace_sentence(self, source, prefix=prefix)

    def _reader(self, warnings: LineWarnings | None) -> WindowReader:
        readers = self.source_reader, self.target_tokenizer
        return WindowReader(*readers, self.max_source_length, warnings or LineWarnings())
