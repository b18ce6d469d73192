"""Alignments and translations as views of attention, for pages and notebooks."""

import math
from html import escape

import numpy as np
from numpy.typing import NDArray

from nmt.data.formats.grids import Source
from nmt.inference.forced_decoding import SentenceAlignment
from nmt.inference.translation import Translation
from nmt.visualization.attention_view import AttentionView, Matrix
from nmt.visualization.grid_plots import grid_colours
from nmt.visualization.views import notebook_html
from nmt.word_alignment.error_rate import count_links
from nmt.word_alignment.from_attention import hard_alignment
from nmt.word_alignment.pharaoh import GoldAlignment

Languages = tuple[str | None, str | None]


def view_of_alignment(
    alignment: SentenceAlignment,
    line: int = 1,
    *,
    pair: tuple[Source, str] | None = None,
    score: float | None = None,
    log_probability: float | None = None,
    gold: GoldAlignment | None = None,
    languages: Languages = (None, None),
) -> AttentionView:
    """Return the view of an alignment.

    Args:
        alignment: of a sentence pair.
        line: number of the line, from 1.
        pair: source and target as read; None: the words joined by spaces.
        score: of the translation; None: the log-probability per token, if the alignment has it.
        log_probability: of the target; None: as in the alignment, if it has it.
        gold: links by annotators, for the alignment error rate.
        languages: BCP 47 tags of source and target.
    """
    of_tokens = alignment.token_log_probabilities
    if of_tokens is not None and log_probability is None:
        log_probability = math.fsum(of_tokens)
        score = log_probability / len(of_tokens)
    text, grid = _text_and_grid(pair)
    all_links = [alignment.links, *map(hard_alignment, alignment.heads)]
    rates = [count_links(links, gold).error_rate for links in all_links if gold is not None]
    words, pieces = _matrices(alignment)
    return AttentionView(
        line,
        words,
        pieces,
        alignment.links,
        tuple(all_links[1:]),
        units=alignment.units,
        picks_one=alignment.picks_one,
        score=score,
        log_probability=log_probability,
        gold=None if gold is None else (gold.sure, gold.possible),
        error_rates=tuple(rates),
        grid=grid,
        text=text,
        languages=languages,
    )


def view_of_translation(
    translation: Translation,
    line: int = 1,
    source: Source | None = None,
    *,
    languages: Languages = (None, None),
) -> AttentionView:
    """Return the view of the best translation of a line; without alignment, it has only texts."""
    best, alignment = translation.hypotheses[0], translation.alignment
    pair = None if source is None else (source, translation.text)
    if alignment is None:
        return AttentionView(
            line,
            None,
            score=best.score,
            log_probability=best.log_probability,
            text=(source if isinstance(source, str) else "", translation.text),
            languages=languages,
        )
    return view_of_alignment(
        alignment,
        line,
        pair=pair,
        score=best.score,
        log_probability=best.log_probability,
        languages=languages,
    )


def translation_html(translation: Translation) -> str:
    """Return a translation for a notebook: its attention, or its texts and scores."""
    if translation.alignment is not None:
        return notebook_html(view_of_translation(translation))
    rows = "".join(
        f"<li>{escape(text)} <small>({hypothesis.score:.2f})</small></li>"
        for text, hypothesis in zip(translation.texts, translation.hypotheses, strict=True)
    )
    hint = "translate(…, with_alignments=True) shows the attention"
    return f"<ol>{rows}</ol><p><small>{hint}</small></p>"


def _matrices(alignment: SentenceAlignment) -> tuple[Matrix, Matrix | None]:
    """Return the attention between units, and between tokens unless they are the units."""
    heads = np.stack(alignment.heads) if alignment.heads else None
    words = Matrix(alignment.source_words, alignment.target_words, alignment.weights, heads)
    tokens = alignment.tokens
    if tokens is None or alignment.units == "pieces":
        return words, None
    return words, Matrix(tokens.source, tokens.target, tokens.weights, tokens.heads)


def _text_and_grid(
    pair: tuple[Source, str] | None,
) -> tuple[tuple[str, str] | None, NDArray[np.uint8] | None]:
    if pair is None:
        return None, None
    source, target = pair
    if isinstance(source, str):
        return (source, target), None
    colours = np.rint(255 * grid_colours(source.values)).astype(np.uint8)
    return ("", target), colours
