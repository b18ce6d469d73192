"""The attention of one sentence pair as data for a page: its JSON and its statistics."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating]
Links = frozenset[tuple[int, int]]

# Longer sentences are shown without weights: a browser takes seconds to draw more cells.
MOST_UNITS: Final = 300
_LARGEST: Final = 65_535  # weights are written as integers from 0 to this


@dataclass(frozen=True)
class Matrix:
    """Attention between the units of two sentences: their words, or the pieces of a tokenizer.

    Attributes:
        source: S units.
        target: T units.
        weights: `[T S]`, between 0 and 1.
        heads: `[N T S]`, the weights of each head; None: there is one.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: Weights
    heads: Weights | None = None

    def __post_init__(self) -> None:
        shape = (len(self.target), len(self.source))
        assert self.weights.shape == shape, "weights and units must agree"
        assert self.heads is None or self.heads.shape[1:] == shape, "heads and units must agree"

    @property
    def is_long(self) -> bool:
        """Return whether there are too many units to show their weights."""
        return max(len(self.source), len(self.target)) > MOST_UNITS

    @property
    def all_heads(self) -> Sequence[Weights]:
        """Return the weights of each head; empty if there is one."""
        return () if self.heads is None else tuple(self.heads)

    def to_json(self, *, with_weights: bool = True) -> dict[str, Any]:
        """Return units and weights; weights are 16-bit integers in base64 (see `pack_weights`)."""
        units = {"source": self.source, "target": self.target}
        if not with_weights:
            return units
        packed = {"weights": pack_weights(self.weights)}
        if self.heads is None:
            return units | packed
        return units | packed | {"heads": [pack_weights(head) for head in self.heads]}


@dataclass(frozen=True)
class AttentionView:
    """One sentence pair as a page shows it.

    Attributes:
        line: number of the line, from 1.
        words: attention between words (or other units); None: the model has no attention.
        pieces: attention between the tokenizer's pieces, with EOS as the last of both sides.
        links: pairs of source and target word.
        head_links: the links of each head.
        units: the kind of `words`.
        picks_one: whether the model attends to one position at a time.
        score: of the translation, as the search ranks it.
        log_probability: of the target sentence.
        gold: sure and possible links by annotators.
        error_rates: alignment error rate of `links`, then of the links of each head.
        grid: `[rows columns 3]`, the picture whose cells are the source words.
        text: source and target as typed; None: the words joined by spaces.
        languages: BCP 47 tags of source and target, if known.
    """

    line: int
    words: Matrix | None
    pieces: Matrix | None = None
    links: Links = frozenset()
    head_links: tuple[Links, ...] = ()
    units: str = "words"
    picks_one: bool = False
    score: float | None = None
    log_probability: float | None = None
    gold: tuple[Links, Links] | None = None
    error_rates: tuple[float, ...] = ()
    grid: NDArray[np.uint8] | None = None
    text: tuple[str, str] | None = None
    languages: tuple[str | None, str | None] = (None, None)

    def __post_init__(self) -> None:
        assert self.words is not None or self.text is not None, "a view has words or texts"

    @property
    def omitted(self) -> str | None:
        """Return why the weights are not shown; None: they are."""
        if self.words is None:
            return "the model has no attention"
        if self.words.is_long:
            sizes = f"{len(self.words.source)} x {len(self.words.target)}"
            return f"too long: {sizes} {self.units}"
        return None if np.isfinite(self.words.weights).all() else "the model computes NaN"

    def to_json(self) -> dict[str, Any]:
        """Return the data of a page; `docs/design.md` describes the fields."""
        words, pieces = self.words, self.pieces
        has_weights = words is not None and not words.is_long
        if words is not None and self.text is None:
            text = " ".join(words.source), " ".join(words.target)
        else:
            assert self.text is not None
            text = self.text
        view: dict[str, Any] = {
            "v": 1,
            "line": self.line,
            "text": text,
            "languages": self.languages,
            "units": self.units,
            "score": short(self.score),
            "log_probability": short(self.log_probability),
            "picks_one": self.picks_one,
            "omitted": self.omitted,
            "links": sorted(self.links),
            "gold": None,
            "grid": None if self.grid is None else _grid_json(self.grid),
            "pieces": None,
        }
        if self.gold is not None:
            sure, possible = map(sorted, self.gold)
            view["gold"] = {"sure": sure, "possible": possible}
        if words is not None:
            view["words"] = words.to_json(with_weights=has_weights)
            view |= self.statistics
        if pieces is not None and has_weights and not pieces.is_long:
            view["pieces"] = pieces.to_json()
        return view

    @property
    def statistics(self) -> dict[str, Any]:
        """Return entropy, coverage and error rate of the sentence, and of each head.

        The entropy is the mean over target pieces without EOS. Pieces, because the row of a word
        lacks its weight on EOS.
        """
        assert self.words is not None, "the model has no attention"
        weights = [self.words.weights, *self.words.all_heads]
        rows = weights
        if self.pieces is not None:
            rows = [one[:-1] for one in (self.pieces.weights, *self.pieces.all_heads)]
        rates = self.error_rates or (None,) * len(weights)
        whole, *of_heads = (
            {
                "entropy": short(mean_entropy(row)),
                "coverage_error": short(coverage_error(weight)),
                "aer": short(rate),
            }
            for row, weight, rate in zip(rows, weights, rates, strict=True)
        )
        return {
            **whole,
            "coverage": [short(float(one)) for one in self.words.weights.sum(axis=0)],
            "by_head": [
                {**head, "links": sorted(links)}
                for head, links in zip(of_heads, self.head_links, strict=True)
            ],
        }


def pack_weights(weights: Weights) -> str:
    """Return weights as little-endian 16-bit integers, row by row, in base64.

    The integers are ``max(1, round(65535 w))``, and 0 only for a weight of exactly 0 (or NaN), so
    a zero and a very small weight stay different.
    """
    finite = np.nan_to_num(np.asarray(weights, np.float64), nan=0.0)
    scaled = np.rint(_LARGEST * finite.clip(0.0, 1.0))
    whole = np.where(finite > 0.0, np.maximum(scaled, 1.0), 0.0).astype("<u2")
    return base64.b64encode(whole.tobytes()).decode("ascii")


def mean_entropy(weights: Weights) -> float:
    """Return the mean entropy of rows, in nats; each is divided by its sum (a zero row: 0)."""
    if weights.size == 0:
        return 0.0
    total = weights.sum(axis=1, keepdims=True, dtype=np.float64)
    shares = np.divide(weights, total, out=np.zeros(weights.shape), where=total != 0.0)
    logs = np.log(shares, out=np.zeros(weights.shape), where=shares > 0.0)
    return float(-(shares * logs).sum(axis=1).mean())


def coverage_error(weights: Weights) -> float:
    """Return the mean distance of the sum of each column from 1: words looked at once have 0."""
    covered = weights.sum(axis=0, dtype=np.float64)
    return float(np.abs(covered - 1.0).mean()) if covered.size else 0.0


def short(value: float | None) -> float | None:
    """Return a number with six digits; None if it is not finite, which JSON cannot write."""
    return float(f"{value:.6g}") + 0.0 if value is not None and math.isfinite(value) else None


def _grid_json(grid: NDArray[np.uint8]) -> dict[str, Any]:
    rows, columns, _ = grid.shape
    colours = base64.b64encode(np.ascontiguousarray(grid, np.uint8).tobytes()).decode("ascii")
    return {"rows": rows, "columns": columns, "rgb": colours}
