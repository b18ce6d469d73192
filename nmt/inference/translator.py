"""Using a model: translate, score and align text, line for line."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import torch

from nmt.build.tokenizers import load_tokenizers
from nmt.config.decoding import DecodingConfig
from nmt.core.errors import ConfigError, RunError
from nmt.core.special_tokens import EOS
from nmt.data.formats.grids import Source
from nmt.distributed.rank_pool import lead, serve
from nmt.distributed.worker_pool import WorkerPool
from nmt.evaluation.minimum_bayes_risk import MinimumBayesRisk
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import SentenceAlignment, SentenceScore, read_log_probabilities
from nmt.inference.inputs import Input as Input, LineWarnings, Pair, no_report
from nmt.inference.loading import build_reranker, load_dictionary, load_runner
from nmt.inference.postprocessing import PostProcessor
from nmt.inference.translation import ExtraOutputs as ExtraOutputs, Translation as Translation
from nmt.inference.unknown_words import Dictionary
from nmt.inference.windows import read_pairs, read_windows
from nmt.nn.ensemble import Space
from nmt.runs.run import BEST, Run
from nmt.search.rules import Rule
from nmt.system.device import AUTO
from nmt.system.process import num_threads
from nmt.text.reader import SourceReader
from nmt.text.tokenizer import Tokenizer
from nmt.word_alignment.units import AlignmentUnits

NO_EXTRA_OUTPUTS: Final = ExtraOutputs()


@dataclass(frozen=True, eq=False)
class Translator:
    """A model with all that it takes to use it on text.

    Input is raw text, or grids where the model reads these; output is detokenized text, in the
    order of what goes in. The input is read ahead in bounded windows, sorted by length, and
    computed in batches. What is in a batch together changes no result (but for rounding).

    Attributes:
        runner: the model at work. The model is left in the mode (training or evaluation) in
            which it was.
        source_reader: the tokenizer that the model was trained with, or what reads its grids.
        target_tokenizer: of the other side; may be the same object.
        max_source_length: tokens of a line that are read; what is beyond is cut, with a warning.
        reranker: chooses among what the search finds; None: the search does.
        dictionary: what source words become that stand for unknown ones; None: the search writes
            none (`Rules`).
        alignment_units: what alignments link: words, characters, pieces of the tokenizers; "auto":
            words, and characters of scripts without spaces. The words of very long lines are not
            split into characters.
    """

    runner: BatchRunner
    source_reader: SourceReader[Any]
    target_tokenizer: Tokenizer
    max_source_length: int
    reranker: MinimumBayesRisk | None = None
    dictionary: Dictionary | None = None
    alignment_units: AlignmentUnits = "auto"

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
    ) -> Self:
        """Load a trained model.

        Args:
            run: the folder that training made, or the run, open.
            checkpoint: best, last or step-N.
            device: auto, cpu, cuda or cuda:N.
            precision: auto, float32, bfloat16, or int8 (see `Model.quantize`); None: as the run was
                trained where the device can.
            decoding: how to translate, where the run is a folder. A mapping of options is laid over
                those of its configuration: `{"beam_size": 10, "n_best": 10}`; None: as that says.
            ensemble: other runs, over the same vocabulary, that translate together with it.
            average: of the probabilities of an ensemble: log or linear (see `Ensemble`).
            rules: of your own, after those of the options, such as a language model's.
            alignment_units: what alignments link (see the attribute).

        Raises:
            RunError: the folder is not a run, or is incomplete or corrupted.
            ConfigError: this machine lacks the device or the precision; an option of `decoding` is
                not valid or needs attention; or a run of the ensemble has another vocabulary.
        """
        run = Run.of(run, decoding)
        options = run.config.decoding
        tokenizers = load_tokenizers(run)
        runner = load_runner(
            run, tokenizers, ensemble, checkpoint, device, precision, average, rules
        )
        bleu_tokenizer = run.config.training.validation.bleu_tokenizer
        return cls(
            runner,
            source_reader=tokenizers.source,
            target_tokenizer=tokenizers.target,
            max_source_length=options.max_source_length,
            reranker=build_reranker(options, bleu_tokenizer),
            dictionary=load_dictionary(options),
            alignment_units=alignment_units,
        )

    @property
    def has_attention(self) -> bool:
        """Whether the model looks anywhere, so that words can be aligned."""
        return self.runner.model.has_attention

    def require_attention(self) -> None:
        """Refuse to align words with a model that looks nowhere.

        Raises:
            RunError: the model has no attention.
        """
        if not self.has_attention:
            raise RunError(
                "the model has no attention (model.attention: null), so there is nothing to align"
            )

    @contextmanager
    def with_workers(self, number: int) -> Iterator[Self]:
        """Return the same, computing in so many processes, which share the cores.

        They end with the context. The results are the same to the last bit, except for what threads
        of torch do to sums. Batches go to the processes, so it pays from some hundreds of lines on.

        Raises:
            ConfigError: the model is not on the CPU.
        """
        device = self.runner.device
        if device.type != "cpu":
            raise ConfigError(
                f"--workers: processes are for the CPU, and the model is on {device}: use larger "
                "batches there (--batch-tokens)"
            )
        with WorkerPool(self.runner, number, num_threads=num_threads(number)) as workers:
            yield replace(self, runner=replace(self.runner, workers=workers))

    @contextmanager
    def with_ranks(self, identity: str) -> Iterator[Self]:
        """Return the same, computing in all processes of torchrun; the others `serve_ranks`.

        Args:
            identity: of the model and its options, which must be the same in all of them.

        Raises:
            RunError: they are not.
        """
        with lead(self.runner, f"{identity} {self.runner.precision}") as ranks:
            yield replace(self, runner=replace(self.runner, workers=ranks))

    def serve_ranks(self, identity: str) -> None:
        """Compute for the first process of torchrun, until it is done.

        Raises:
            RunError: it has died, or another model.
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
        """Translate any number of lines; memory does not grow with their number.

        Args:
            lines: raw text, or grids, or an `Input` with what its translation must have; one
                translation comes out for each, whatever it holds; a blank line gives an empty
                text. Some thousands are read ahead.
            extra: what is computed besides the texts.

        Raises:
            TypeError: a line is neither a text (or grid) nor an `Input`, or lines are one string.
            ConfigError: phrases must appear, and the search does not support them.
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
        """Yield lines with their translations, by windows: those that are sorted into batches.

        Windows are the same whatever computes them: workers are given more of them at a time. What
        begins at the end of a window gets the same windows as if it had not been interrupted.

        Args:
            lines: as for `translate_stream`.
            extra: likewise.
            warnings: about the lines; None: of those that are cut.
            report: called whenever a batch has been searched, with the number of its lines.
        """
        read = read_windows(
            lines,
            self.source_reader,
            self.target_tokenizer,
            self.runner.search,
            max_tokens=self.max_source_length,
            warnings=warnings,
        )
        if extra.alignments:
            self.require_attention()
        for window, found in self.runner.search_windows(read, report):
            translations = self._postprocessor(window, found, extra)
            yield list(zip(window.lines, translations, strict=True))

    def score(
        self, pairs: Iterable[Pair], warnings: LineWarnings | None = None
    ) -> Iterator[SentenceScore]:
        """Yield how probable the model finds each target, given its source.

        Of a translation by this model it is what `translate` reports `with_scores`. Of lines longer
        than `max_source_length`, source or target, the beginning is scored.

        Args:
            pairs: source (raw text or a grid) and target; a text may be empty.
            warnings: about the pairs; None: of those that are cut.

        Raises:
            TypeError: a pair is something else.
        """
        readers = self.source_reader, self.target_tokenizer
        read = read_pairs(pairs, readers, "score", self.max_source_length, warnings)
        for sources, targets in read:
            found = self.runner.run_forced(sources, targets, read_log_probabilities)
            for target, log_probabilities in zip(targets, found, strict=True):
                pieces = self.target_tokenizer.pieces([*target.ids, EOS])
                yield SentenceScore(tuple(pieces), log_probabilities)

    def align(
        self, pairs: Iterable[Pair], warnings: LineWarnings | None = None
    ) -> Iterator[SentenceAlignment]:
        """Yield which source words the model looked at for each target word.

        Args:
            pairs: source (raw text or a grid) and target; a text may be empty.
            warnings: about the pairs; None: of those that are cut.

        Raises:
            TypeError: a pair is something else.
        """
        readers = self.source_reader, self.target_tokenizer
        read = read_pairs(pairs, readers, "align", self.max_source_length, warnings)
        for sources, targets in read:
            self.require_attention()
            yield from self._postprocessor.align(sources, targets)

    @property
    def _postprocessor(self) -> PostProcessor:
        return PostProcessor(
            self.runner,
            self.source_reader,
            self.target_tokenizer,
            self.reranker,
            self.dictionary,
            self.alignment_units,
        )
