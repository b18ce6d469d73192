"""The whole computation of one sentence: its arrays, its steps, its beam and the formulas.

`Translator.trace` computes it. An exported file only gives the translation, which
`Trace.of_exported` wraps, so nothing heavy is imported here.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from nmt.inference.formulas import PartFormula
from nmt.inference.translation import Translation
from nmt.visualization.attention_view import short

if TYPE_CHECKING:
    from nmt.data.formats.grids import Grid
    from nmt.inference.forced_decoding import SentenceAlignment
    from nmt.search.beam_tree import BeamTree

VERSION: Final = 1
_NUM_SHOWN: Final = 8  # numbers of a vector in a page
# Arrays over the vocabulary, of which a page shows the likeliest words.
_OF_VOCABULARY: Final = ("projection.logits", "log_probabilities")
# Paths of modules that run at each step, the arrays in them that do not change from step to step,
# and those with a number for each source token.
_OF_STEPS: Final = ("decoder", "target_embedding")
_OF_SOURCE: Final = ("keys", "values", "vector")
_OVER_SOURCE: Final = ("scores", "weights")
_OF_GRAPH: Final = (
    "states, gates, attention and beam, which stay inside the exported graph; trace the run that "
    "was exported"
)


@dataclass(frozen=True)
class NextWord:
    """A token that the model considers likely at a step.

    Attributes:
        word: the token, for display.
        probability: by the model.
        prefix: the translation so far with this token, as text that can be forced; None: no text
            forces it, as for the end of the sentence.
    """

    word: str
    probability: float
    prefix: str | None


@dataclass(frozen=True)
class CellStep:
    """A recurrent cell of the decoder at one step.

    Attributes:
        path: of its module.
        norm: length of its new state.
        kept: mean of the gate that keeps the state, from 0 to 1; None: it has no such gate.
    """

    path: str
    norm: float
    kept: float | None


@dataclass(frozen=True)
class TraceStep:
    """One step of the decoder along the best translation.

    Attributes:
        previous: the token before, for display.
        word: the token that the step gives, for display.
        probability: of this token, by the model.
        likeliest: the five likeliest tokens, best first.
        entropy: of the next token, in nats.
        attention_entropy: of the weights (the mean of the heads), in nats; None: no attention.
        cells: each cell of the decoder.
    """

    previous: str
    word: str
    probability: float
    likeliest: tuple[NextWord, ...]
    entropy: float
    attention_entropy: float | None
    cells: tuple[CellStep, ...]


@dataclass(frozen=True)
class TracedPart:
    """A configured part of the model, or of the scores of the search.

    Attributes:
        kind: what it is: score, alignment, cell of the decoder, …
        paths: of its modules; empty: it is no module.
        formula: what it computes, and where.
    """

    kind: str
    paths: tuple[str, ...]
    formula: PartFormula


@dataclass(frozen=True, eq=False)
class Trace:
    """Everything that is computed for one sentence, in float32.

    Attributes:
        text: the source as typed (the name of a grid), and its translation.
        translation: of the sentence; its best hypothesis is traced.
        prefix: text that the translation was forced to start with.
        grid: the source, if it is a grid; None: it is the text.
        source: S tokens for display, the last one EOS; or the cells of a grid.
        target: T tokens for display, the last one EOS.
        arrays: by name: the path of a module and a word (see `nmt.inference.recorder`). Arrays of
            the decoder have T rows.
        parameters: path of a module -> names of the weights that its arrays are computed with.
        parts: the configured parts, in the order in which they compute.
        steps: the steps of the decoder, one for each target token.
        tree: the beam; None: the search has none.
        token_texts: tokens in the tree, for display.
        alignment: between words; None: the model has no attention.
        lacks: what is not in the trace, and why.
    """

    text: tuple[str, str]
    translation: Translation
    prefix: str = ""
    grid: "Grid | None" = None
    source: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parts: tuple[TracedPart, ...] = ()
    steps: tuple[TraceStep, ...] = ()
    tree: "BeamTree | None" = None
    token_texts: Mapping[int, str] = field(default_factory=dict)
    alignment: "SentenceAlignment | None" = None
    lacks: tuple[str, ...] = ()

    @classmethod
    def of_exported(cls, source: str, translation: Translation) -> "Trace":
        """Return the trace of a text that an exported file has translated: its translation."""
        return cls((source, translation.text), translation, lacks=(_OF_GRAPH,))

    def to_json(self) -> str:
        """Return everything as JSON: arrays as shape and values, with nine digits (exact)."""
        import json

        best = self.translation.hypotheses[0]
        fields = {
            "version": VERSION,
            "text": self.text,
            "prefix": self.prefix,
            "source": self.source,
            "target": self.target,
            "score": short(best.score),
            "log_probability": short(best.log_probability),
            "lacks": self.lacks,
            "steps": [asdict(step) for step in self.steps],
            "parts": [_part_json(part) for part in self.parts],
            "parameters": self.parameters,
            "tree": self._tree_json(),
        }
        text = json.dumps(_finite(fields), ensure_ascii=False)
        arrays = ", ".join(
            f"{json.dumps(name)}: {_array_json(array)}" for name, array in self.arrays.items()
        )
        return f'{text[:-1]}, "arrays": {{{arrays}}}}}\n'

    def view(
        self,
        force: "Callable[[str], str] | None" = None,
        *,
        languages: tuple[str | None, str | None] = (None, None),
    ) -> dict[str, Any]:
        """Return what a page or a terminal shows: scalars, and the first numbers of each vector.

        Args:
            force: returns the command that continues from a forced prefix; None: no commands.
            languages: BCP 47 tags of source and target.
        """
        best = self.translation.hypotheses[0]
        steps = [
            {
                **asdict(step),
                "likeliest": [
                    {
                        **asdict(one),
                        "command": force(one.prefix) if force and one.prefix is not None else None,
                    }
                    for one in step.likeliest
                ],
            }
            for step in self.steps
        ]
        view = {
            "v": VERSION,
            "text": self.text,
            "languages": languages,
            "prefix": self.prefix,
            "source": self.source,
            "target": self.target,
            "score": best.score,
            "log_probability": best.log_probability,
            "lacks": self.lacks,
            "steps": steps,
            "parts": [_part_json(part) for part in self.parts],
            "parameters": self.parameters,
            "arrays": dict(self._shown_arrays()),
            "tree": self._tree_json(),
            "attention": self._attention_json(languages),
        }
        shortened: dict[str, Any] = _finite(view)
        return shortened

    def _attention_json(self, languages: tuple[str | None, str | None]) -> dict[str, Any] | None:
        """Return the view of the attention; None: the model has none."""
        if self.alignment is None:
            return None
        from nmt.inference.views import view_of_alignment

        best = self.translation.hypotheses[0]
        return view_of_alignment(
            self.alignment,
            pair=(self.text[0] if self.grid is None else self.grid, self.text[1]),
            score=best.score,
            log_probability=best.log_probability,
            languages=languages,
        ).to_json()

    def _shown_arrays(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the arrays of a page: whole rows over the source, the first numbers of others."""
        for name, array in self.arrays.items():
            if name in _OF_VOCABULARY or not array.size:
                continue
            path, _, word = name.rpartition(".")
            rows = array[None] if word == "vector" else array
            rows = rows.reshape(len(rows), -1)
            if word not in _OVER_SOURCE:
                rows = rows[:, :_NUM_SHOWN]
            is_step = path.startswith(_OF_STEPS) and word not in _OF_SOURCE
            yield name, {"shape": array.shape, "is_step": is_step, "rows": rows.tolist()}

    def _tree_json(self) -> dict[str, Any] | None:
        """Return the nodes of the tree as lists, in the order of `fields`."""
        if self.tree is None:
            return None
        nodes = [asdict(node) for node in self.tree.nodes]
        for node in nodes:
            node["token"] = self.token_texts.get(node["token"], str(node["token"]))
        best = self.tree.best()
        return {
            "places": self.tree.num_places,
            "fields": list(nodes[0]) if nodes else [],
            "nodes": [list(node.values()) for node in nodes],
            "stops": self.tree.stops,
            "stop_reason": self.tree.stop_reason,
            "best": None if best is None else best.id,
        }


def _part_json(part: TracedPart) -> dict[str, Any]:
    return {"kind": part.kind, "paths": part.paths, **asdict(part.formula)}


def _array_json(array: NDArray[Any]) -> str:
    """Return an array as JSON; a number that is not finite becomes null."""
    shape = ", ".join(map(str, array.shape))
    values = ", ".join(
        f"{value:.9g}" if math.isfinite(value) else "null" for value in array.ravel().tolist()
    )
    return f'{{"shape": [{shape}], "values": [{values}]}}'


def _finite(tree: Any) -> Any:
    """Return a tree of JSON values with six digits, and None for numbers that are not finite."""
    if isinstance(tree, float):
        return short(tree)
    if isinstance(tree, Mapping):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(value) for value in tree]
    return tree
