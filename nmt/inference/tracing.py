"""Tracing of one sentence: translate it, record the model along the translation, describe parts."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch
from numpy.typing import NDArray

from nmt.core.errors import ConfigError, DataError
from nmt.core.special_tokens import BOS, EOS, SPECIAL_SYMBOLS, UNK
from nmt.data.formats.grids import Grid, Source
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.formulas import describe_part
from nmt.inference.inputs import Input
from nmt.inference.recorder import Recording, copy_structure, record
from nmt.inference.trace import CellStep, NextWord, Trace, TracedPart, TraceStep
from nmt.inference.translation import Translation
from nmt.nn.attention.alignments.alignment import Alignment
from nmt.nn.attention.attention import BaseAttention
from nmt.nn.attention.scores.score import Score
from nmt.nn.bridge import Bridge
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.encoders.encoder import Encoder
from nmt.nn.model import Model
from nmt.nn.recurrent.cell import Cell
from nmt.search.beam_tree import BeamTree
from nmt.search.coverage_penalty import NoCoverage
from nmt.search.search import Search
from nmt.text.reader import SourceReader, Tokens
from nmt.text.tokenizer import Tokenizer
from nmt.visualization.attention_view import mean_entropy

if TYPE_CHECKING:
    from nmt.inference.translator import Translator

_NUM_LIKELIEST: Final = 5
_ENCODER_CELL: Final = "cell of the encoder"
_DECODER_CELL: Final = "cell of the decoder"
# The kinds of parts, in the order in which they are described.
_KINDS: Final[dict[str, type[Any]]] = {
    _ENCODER_CELL: Cell,
    "encoder": Encoder,
    "bridge": Bridge,
    "score": Score,
    "alignment": Alignment,
    "attention": BaseAttention,
    _DECODER_CELL: Cell,
    "decoder": Decoder,
}


def trace_sentence(translator: "Translator", source: Source, *, prefix: str = "") -> Trace:
    """Translate one sentence and return everything that was computed for it.

    It is computed on the CPU in float32, as by `nmt translate --precision float32`. The arrays are
    over the whole vocabulary, also if the search uses a shortlist.

    Args:
        translator: of one model.
        source: raw text, or a grid.
        prefix: text that the translation must start with (see `Input.prefix`).

    Raises:
        TypeError: the source is neither text nor a grid, as the model reads.
        ConfigError: the translator has an ensemble, or its weights are quantised.
        DataError: the sentence is blank.
        RunError: a module of the model cannot be copied.
    """
    runner = translator.runner
    original = _require_plain(runner)
    ids = _encode(translator, source)
    model, search = copy_structure(original), runner.search
    tree = None if search.draws_samples else BeamTree(search)
    cpu = torch.device("cpu")
    watched = replace(runner, model=model, device=cpu, precision=torch.float32, ranks=None)
    (translation,) = replace(translator, runner=replace(watched, observer=tree)).translate(
        [Input(source, prefix)], with_alignments=model.has_attention
    )
    tokens = translation.hypotheses[0].tokens
    parts = tuple(_parts(model, search))
    recording = record(model, ids, tokens)
    tokenizer = translator.target_tokenizer
    num_forced = len(tokenizer.encode(prefix))
    tree = tree if tree is not None and tree.nodes else None
    shown = sorted({node.token for node in tree.nodes} if tree else ())
    return Trace(
        text=(str(source), translation.text),
        translation=translation,
        prefix=prefix if 0 < num_forced <= search.rules.limits.max_length else "",
        grid=source if isinstance(source, Grid) else None,
        source=_source_texts(translator, source, ids),
        target=tuple(tokenizer.pieces([*tokens, EOS])),
        arrays=recording.arrays,
        parameters=recording.parameters,
        parts=parts,
        steps=tuple(_steps(recording, model, tokenizer, tokens)),
        tree=tree,
        token_texts=dict(zip(shown, tokenizer.pieces(shown), strict=True)),
        alignment=translation.alignment,
        lacks=tuple(_lacks(translator, tree, translation, recording, num_forced)),
    )


def _require_plain(runner: BatchRunner) -> Model:
    """Return the model, if it is a single one that is not quantised."""
    if not isinstance(runner.model, Model):
        raise ConfigError("--ensemble: not supported by a trace; trace one run at a time")
    if runner.precision == torch.int8:
        raise ConfigError(
            "int8: cannot be traced, because weights are rounded; load the run in float32"
        )
    return runner.model


def _encode(translator: "Translator", source: Source) -> Tokens:
    """Return the tokens of a source, at most as many as the translator reads."""
    reader: SourceReader[Any] = translator.source_reader
    if not isinstance(source, reader.item_type):
        kind = type(source).__name__
        raise TypeError(f"trace: the sentence must be {reader.item_type.__name__}, not {kind}")
    ids = reader.encode_words(source).ids[: translator.max_source_length]
    if not len(ids):
        raise DataError("the sentence: is blank; give a text of at least one word")
    return ids


def _source_texts(translator: "Translator", source: Source, ids: Any) -> tuple[str, ...]:
    """Return the source tokens for display, with EOS; the cells of a grid."""
    if isinstance(translator.source_reader, Tokenizer):
        return tuple(translator.source_reader.pieces([*ids, EOS]))
    return tuple(translator.source_reader.encode_words(source).words[: len(ids)])


def _steps(
    recording: Recording, model: Model, tokenizer: Tokenizer, tokens: Sequence[int]
) -> Iterator[TraceStep]:
    """Yield the steps of the decoder along these tokens."""
    arrays = recording.arrays
    cells = [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, Cell) and path.startswith("decoder.")
    ]
    weights = arrays.get("decoder.attention.weights")
    for number, token in enumerate([*tokens, EOS]):
        log_probabilities = torch.from_numpy(arrays["log_probabilities"][number]).double()
        probabilities = log_probabilities.exp().numpy()
        best = log_probabilities.topk(min(_NUM_LIKELIEST, len(probabilities))).indices.tolist()
        previous = BOS if number == 0 else tokens[number - 1]
        texts = tokenizer.pieces([previous, token, *best])
        likeliest = (
            NextWord(
                text, float(probabilities[one]), _forced_text(tokenizer, [*tokens[:number], one])
            )
            for text, one in zip(texts[2:], best, strict=True)
        )
        yield TraceStep(
            texts[0],
            texts[1],
            float(probabilities[token]),
            tuple(likeliest),
            mean_entropy(probabilities[None]),
            None if weights is None else mean_entropy(weights[number : number + 1]),
            tuple(_cell_step(arrays, number, path, cell) for path, cell in cells),
        )


def _forced_text(tokenizer: Tokenizer, tokens: Sequence[int]) -> str | None:
    """Return the text that forces these tokens; None if no text does.

    None does if they end the sentence, are unknown, or only begin a word without any letter of it.
    """
    is_text = tokens[-1] >= len(SPECIAL_SYMBOLS) and UNK not in tokens
    return (is_text and tokenizer.decode(tokens)) or None


def _cell_step(arrays: dict[str, NDArray[Any]], number: int, path: str, cell: Cell) -> CellStep:
    state = torch.from_numpy(arrays[f"{path}.state"][number])
    norm = float(cell.hidden(state).double().norm())
    gate = arrays.get(f"{path}.{cell.kept_gate}")
    return CellStep(path, norm, None if gate is None else float(gate[number].mean()))


def _parts(model: Model, search: Search) -> Iterator[TracedPart]:
    """Yield the configured parts, each class of a kind once."""
    found: dict[tuple[str, type[Any]], list[str]] = {}
    for path, module in model.named_modules():
        kind = next((kind for kind, base in _KINDS.items() if isinstance(module, base)), None)
        if kind == _ENCODER_CELL and path.startswith("decoder."):
            kind = _DECODER_CELL
        if kind is not None:
            found.setdefault((kind, type(module)), []).append(path)
    order = list(_KINDS)
    for (kind, part), paths in sorted(found.items(), key=lambda item: order.index(item[0][0])):
        yield TracedPart(kind, tuple(paths), describe_part(part))
    yield TracedPart("length penalty", (), describe_part(type(search.scoring.length)))
    if not isinstance(search.scoring.coverage, NoCoverage):
        yield TracedPart("coverage penalty", (), describe_part(type(search.scoring.coverage)))


def _lacks(
    translator: "Translator",
    tree: BeamTree | None,
    translation: Translation,
    recording: Recording,
    num_forced: int,
) -> Iterator[str]:
    """Yield what is not in a trace, and why.

    Args:
        translator: of the sentence.
        tree: the beam; None: the search has none.
        translation: of the sentence.
        recording: of its best hypothesis.
        num_forced: tokens of the prefix.
    """
    runner, tokens = translator.runner, translation.hypotheses[0].tokens
    if not translator.has_attention:
        yield "attention: the model has none, so there are no scores, weights and links"
    if runner.search.draws_samples:
        yield "a beam: sampling draws one word at each step"
    elif tree is None:
        yield f"a beam: {type(runner.search).__name__} does not report its steps"
    elif (best := tree.best()) is not None:
        path = tuple(node.token for node in tree.path(best))
        if path != (*tokens, EOS):
            yield "the reranking, which has chosen another hypothesis than the best of the beam"
    if runner.shortlist is not None:
        yield "words outside the shortlist in the beam, whose probabilities are among its words"
    if num_forced > (limit := runner.search.rules.limits.max_length):
        yield f"the prefix: it has {num_forced} tokens, above decoding.max_length ({limit})"
    if runner.precision != torch.float32:
        name = str(runner.precision).removeprefix("torch.")
        yield f"the numbers of {name}, the precision of the translator, which may give other words"
    for name in recording.not_recorded:
        yield f"the arrays of {name}, a class from outside, are not recorded"
