"""Translation with an exported model in ONNX Runtime, without PyTorch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import ConfigError, RunError
from nmt.core.special_tokens import EOS, PAD
from nmt.export.onnx_file import OUTPUTS, ExportMetadata, load_session, read_metadata
from nmt.inference import inputs
from nmt.inference.inputs import LineWarnings, no_report
from nmt.inference.translation import Translation
from nmt.search.hypothesis import NOTHING, Hypothesis, NBest
from nmt.system import process
from nmt.system.files import verify_checksum
from nmt.system.plugins import allow
from nmt.text.reader import Tokens
from nmt.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class ExportedTranslator:
    """A model file from `nmt export`, run on a CPU, faster than the original run.

    Input is raw text. Batching does not affect the results, except for rounding. Batches run in
    parallel, each in one thread. Scores are those of the search, over the shortlist if there is
    one. They belong to the tokens found, which may differ from the tokenizer's tokens of the text.

    Attributes:
        session: session of ONNX Runtime.
        description: metadata of the file.
        num_threads: number of batches in parallel.
        beam_size: places in the beam; 1 is greedy search.
        n_best: translations of each line.
        batch_tokens: maximum number of source tokens in a batch, including padding.
    """

    session: Any
    description: ExportMetadata
    num_threads: int
    beam_size: int
    n_best: int
    batch_tokens: int

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        beam_size: int | None = None,
        n_best: int = 1,
        batch_tokens: int | None = None,
        num_threads: int | None = None,
        plugins: Sequence[str | Path | type] = (),
    ) -> Self:
        """Load a file.

        Args:
            path: of the file.
            beam_size: places in the beam; 1 is greedy search; None: the default of the file.
            n_best: translations of each line, at most the beam size.
            batch_tokens: maximum number of source tokens in a batch; None: the default of the file.
            num_threads: None: OMP_NUM_THREADS, or the number of cores.
            plugins: files and modules of tokenizers from outside the package (see `allow`).

        Raises:
            RunError: the file is not an exported model, cannot be read, or has another version.
            ConfigError: a number is out of range.
            UserError: ONNX Runtime is not installed.
        """
        allow(plugins)
        session = load_session(Path(path))
        description = read_metadata(Path(path), session)
        if not verify_checksum(Path(path)):
            raise RunError(
                f"{path}: corrupted: SHA-256 mismatch; copy it again, or export it again "
                "(`nmt export RUN -o FILE`)"
            )
        return cls(
            session,
            description,
            num_threads=process.num_threads() if num_threads is None else num_threads,
            beam_size=description.beam_size if beam_size is None else beam_size,
            n_best=n_best,
            batch_tokens=description.batch_tokens if batch_tokens is None else batch_tokens,
        )

    def __post_init__(self) -> None:
        limits = {"beam_size": self.description.max_beam_size, "n_best": self.beam_size}
        for name in ("beam_size", "n_best", "batch_tokens", "num_threads"):
            number, most = getattr(self, name), limits.get(name, inf)
            if not 1 <= number <= most:
                allowed = "1 or more" if most == inf else f"1 to {most}"
                raise ConfigError(f"{name}: must be {allowed} for this model, not {number}")

    @property
    def source_reader(self) -> Tokenizer:
        """Return the tokenizer of the source."""
        return self.description.source

    @property
    def target_tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the target."""
        return self.description.target

    def translate(self, lines: Sequence[str]) -> list[Translation]:
        """Translate lines of raw text.

        Raises:
            TypeError: a line is not a text, or `lines` is a single string.
        """
        return [item for window in self.translate_windows(lines) for _, item in window]

    def translate_windows(
        self,
        lines: Iterable[str],
        *,
        warnings: LineWarnings | None = None,
        report: Callable[[int], object] = no_report,
    ) -> Iterator[list[tuple[str, Translation]]]:
        """Yield lines with their translations, one window that is read ahead at a time.

        Args:
            lines: any number of lines of raw text.
            warnings: about the lines; None: only about lines that are cut.
            report: called with the number of lines whenever a batch is done.

        Raises:
            TypeError: a line is not a text, or `lines` is a single string.
        """
        warnings = warnings or LineWarnings()
        first_number = warnings.next_number("source")
        checked = inputs.check_lines(lines, str, first_number=first_number)
        reader, max_tokens = self.source_reader, self.description.max_source_length
        for window in inputs.windows(checked, len):
            sentences = inputs.read_words(reader, window, "source", max_tokens, warnings)
            found = self.search([sentence.ids for sentence in sentences], report)
            translations = [self._write(hypotheses) for hypotheses in found]
            yield list(zip(window, translations, strict=True))

    def search(
        self, sources: Sequence[Tokens], report: Callable[[int], object] = no_report
    ) -> NBest:
        """Return the best hypotheses of each sentence, in order.

        Args:
            sources: tokens of each sentence, without EOS; an empty sentence has an empty
                translation.
            report: called with the number of sentences whenever a batch is done.
        """
        found: dict[int, list[Hypothesis]] = {}
        batches = inputs.full_batches(sources, self.batch_tokens)
        jobs = [[sources[index] for index in batch] for batch in batches]
        with ThreadPoolExecutor(self.num_threads) as pool:
            for batch, results in zip(batches, pool.map(self._search_batch, jobs), strict=True):
                found.update(zip(batch, results, strict=True))
                report(len(batch))
        report(len(sources) - len(found))
        return [found.get(index, [NOTHING]) for index in range(len(sources))]

    def _search_batch(self, sources: Sequence[Tokens]) -> NBest:
        lengths = np.array([len(tokens) + 1 for tokens in sources], dtype=np.int64)
        source = np.full((len(sources), int(lengths.max())), PAD, dtype=np.int64)
        for row, tokens in enumerate(sources):
            source[row, : lengths[row]] = [*tokens, EOS]
        given = {
            "source": source,
            "source_lengths": lengths,
            "beam_size": np.array(self.beam_size, dtype=np.int64),
            "n_best": np.array(self.n_best, dtype=np.int64),
        }
        try:
            found = self.session.run(list(OUTPUTS), given)
        except Exception as error:  # the exceptions of ONNX Runtime have no common base
            first_line = str(error).strip().partition("\n")[0]
            raise RunError(f"exported model: failed ({first_line}); export it again") from error
        tokens, lengths = found[3], found[2]
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < len(self.target_tokenizer):
            raise RunError("exported model: writes tokens outside its vocabulary; export it again")
        if found[0].shape != lengths.shape or len(lengths) != len(sources):
            raise RunError("exported model: its outputs have the wrong shape; export it again")
        return read_hypotheses(found)

    def _write(self, hypotheses: Sequence[Hypothesis]) -> Translation:
        decode = self.target_tokenizer.decode
        return Translation(tuple(decode(item.tokens) for item in hypotheses), tuple(hypotheses))


def read_hypotheses(outputs: Sequence[NDArray[Any]]) -> NBest:
    """Convert the outputs of the graph to hypotheses.

    Args:
        outputs: in the order of `OUTPUTS`. Scores are best first; -inf: no hypothesis.

    Raises:
        RunError: a sentence has no hypothesis, because the model computed NaN.
    """
    found = [
        [
            Hypothesis(tuple(row[:length].tolist()), float(log_probability), float(score))
            for score, log_probability, length, row in zip(*sentence, strict=True)
            if score > -np.inf
        ]
        for sentence in zip(*outputs, strict=True)
    ]
    if not all(found):
        raise RunError("exported model: computes NaN; export another checkpoint")
    return found
