"""Formats of `nmt translate`: text, n-best lists, JSON, a table of attention."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from nmt.core.console import print_notice

if TYPE_CHECKING:
    from nmt.cli.attention_outputs import WriteTranslation
    from nmt.data.formats.grids import Source
    from nmt.inference.translator import Translation


@dataclass(frozen=True)
class Format:
    """Output format of translations.

    Attributes:
        with_scores: also write the score and the log-probability.
        n_best: write all hypotheses, one per line.
        json: write one JSON object per line, with all information.
    """

    with_scores: bool
    n_best: bool
    json: bool

    @property
    def has_lists(self) -> bool:
        """Return whether one line of the input may become several lines."""
        return self.n_best and not self.json


@dataclass
class TranslationWriter:
    """Writer of translations and their extra outputs, in the order of the input.

    Attributes:
        output: stream of the translations.
        format: output format.
        pieces: function that returns target tokens as text.
        num_lines: number of input lines written so far.
        alignments: stream of the alignments; None: they are not written.
        shows_attention: whether to print an attention table for each translation on stderr.
        page: function that appends a translation to a page; None: there is no page.
    """

    output: TextIO
    format: Format
    pieces: "Callable[[Sequence[int]], list[str]]"
    num_lines: int = 0
    alignments: TextIO | None = None
    shows_attention: bool = False
    page: "WriteTranslation | None" = None

    def write(self, window: "Iterable[tuple[Source, Translation]]") -> None:
        """Write the translations of some lines, and flush the files."""
        from nmt.visualization.attention_table import attention_table
        from nmt.word_alignment.pharaoh import format_pharaoh

        for source, translation in window:
            alignment = translation.alignment
            self.output.write(self._format(source, translation))
            if self.shows_attention and translation.text:
                assert alignment is not None, "it was asked for"
                self.output.flush()  # keeps their order on a terminal
                found = alignment.weights, alignment.source_words, alignment.target_words
                print_notice(attention_table(*found, width=shutil.get_terminal_size().columns))
            if self.alignments is not None:
                assert alignment is not None, "it was asked for"
                self.alignments.write(f"{format_pharaoh(alignment.links)}\n")
            self.num_lines += 1
            if self.page is not None:
                self.page(self.num_lines, source, translation)
        self.output.flush()
        if self.alignments is not None:
            self.alignments.flush()

    def _format(self, source: "Source", translation: "Translation") -> str:
        """Return the output for the next line of the input, line ends included."""
        if self.format.json:
            return json.dumps(self._fields(source, translation), ensure_ascii=False) + "\n"
        hypotheses = list(zip(translation.texts, translation.hypotheses, strict=True))
        if not self.format.n_best:
            text, best = hypotheses[0]
            if self.format.with_scores:
                return f"{best.score:.6f}\t{best.log_probability:.6f}\t{text}\n"
            return f"{text}\n"
        rows = []
        for text, hypothesis in hypotheses:
            fields = [str(self.num_lines), text, f"{hypothesis.score:.6f}"]
            if self.format.with_scores:
                fields.append(f"{hypothesis.log_probability:.6f}")
            rows.append(" ||| ".join(fields) + "\n")
        return "".join(rows)

    def _fields(self, source: "Source", translation: "Translation") -> dict[str, object]:
        """Return the JSON object for the next line of the input."""
        from nmt.word_alignment.pharaoh import format_pharaoh

        hypotheses: list[dict[str, object]] = [
            {
                "translation": text,
                "score": round(hypothesis.score, 6),
                "log_probability": round(hypothesis.log_probability, 6),
                "tokens": self.pieces(hypothesis.tokens),
            }
            for text, hypothesis in zip(translation.texts, translation.hypotheses, strict=True)
        ]
        of_tokens = translation.token_log_probabilities
        if of_tokens is not None:
            for hypothesis, numbers in zip(hypotheses, of_tokens, strict=True):
                hypothesis["token_log_probabilities"] = [round(number, 6) for number in numbers]
        fields: dict[str, object] = {
            "line": self.num_lines + 1,
            "source": source if isinstance(source, str) else source.name,
            **hypotheses[0],
            "hypotheses": hypotheses,
        }
        if translation.alignment is not None:
            fields["alignment"] = {
                "source": translation.alignment.source_words,
                "target": translation.alignment.target_words,
                "units": translation.alignment.units,
                "pairs": format_pharaoh(translation.alignment.links),
                "weights": translation.alignment.weights.round(6).tolist(),
            }
        return fields
