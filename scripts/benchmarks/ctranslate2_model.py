"""A Transformer of CTranslate2 with random weights in int8, and translation of a file with it.

    pip install ctranslate2
    python scripts/benchmarks/ctranslate2_model.py MODEL SOURCE_TOKENIZER TARGET_TOKENIZER INPUT
           --beam-size 5 --pieces 15 --batch-tokens 1024 --threads 2

Random weights take as much time as trained ones if all translations have the same length.
`ctranslate2` imports PyTorch where it is installed, but does not need it. It is hidden here, so
that a command starts as fast as it can.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK
from nmt.text.storage import load_tokenizer
from nmt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TransformerSizes:
    """Sizes of the Transformer: as many layers in the decoder as in the encoder, pre-norm.

    Attributes:
        feed_forward: size of the feed-forward layers.
        width: size of embeddings and states; embeddings of a joint vocabulary are tied.
        num_layers: layers on each side.
        num_heads: attention heads.
    """

    feed_forward: int = 1024
    width: int = 256
    num_layers: int = 3
    num_heads: int = 4


def import_ctranslate2() -> ModuleType:
    """Return the package.

    Raises:
        SystemExit: it is not installed.
    """
    if importlib.util.find_spec("ctranslate2") is None:
        sys.exit("--ctranslate2: ctranslate2 is not installed; run `pip install ctranslate2`")
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    import ctranslate2

    return ctranslate2  # type: ignore[no-any-return]


def save_model(
    folder: Path, sizes: TransformerSizes, source: Sequence[str], target: Sequence[str]
) -> int:
    """Save a Transformer with random weights in int8, and return its number of parameters.

    Args:
        folder: of the model, which must not exist.
        sizes: of the model.
        source: pieces of the source vocabulary.
        target: pieces of the target vocabulary; if equal, the embeddings are shared.
    """
    specs = import_ctranslate2().specs
    spec = specs.TransformerSpec.from_config(sizes.num_layers, sizes.num_heads)
    num_parameters = _fill(spec, sizes, source, target)
    spec.register_source_vocabulary(list(source))
    spec.register_target_vocabulary(list(target))
    config = spec.config
    config.unk_token, config.bos_token, config.eos_token = (
        SPECIAL_SYMBOLS[token] for token in (UNK, BOS, EOS)
    )
    config.decoder_start_token, config.add_source_eos = config.bos_token, True
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir()
    spec.save(str(folder))
    return num_parameters


def _fill(spec: Any, sizes: TransformerSizes, source: Sequence[str], target: Sequence[str]) -> int:
    """Set the weights of the specification, and return their number without repeats."""
    rng = np.random.default_rng(1)
    width, inner = sizes.width, sizes.feed_forward
    count = 0

    def draw(rows: int, columns: int) -> Any:
        nonlocal count
        count += rows * columns
        return rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)

    def linear(part: Any, rows: int, columns: int) -> None:
        nonlocal count
        count += rows
        part.weight, part.bias = draw(rows, columns), np.zeros(rows, dtype=np.float32)

    def norm(part: Any) -> None:
        nonlocal count
        count += 2 * width
        part.gamma = np.ones(width, dtype=np.float32)
        part.beta = np.zeros(width, dtype=np.float32)

    embedding = draw(len(target), width)
    spec.decoder.embeddings.weight = embedding
    spec.encoder.embeddings[0].weight = embedding if source == target else draw(len(source), width)
    spec.decoder.projection.weight = embedding
    bias = np.zeros(len(target), dtype=np.float32)
    bias[[PAD, UNK, BOS]] = -1e4  # as in `nmt translate`, which never writes them
    spec.decoder.projection.bias = bias
    count += len(target)
    for side in (spec.encoder, spec.decoder):
        norm(side.layer_norm)
        for layer in side.layer:
            _fill_layer(layer, side is spec.decoder, width, inner, linear, norm)
    return count


def _fill_layer(
    layer: Any,
    is_decoder: bool,
    width: int,
    inner: int,
    linear: Callable[[Any, int, int], None],
    norm: Callable[[Any], None],
) -> None:
    norm(layer.self_attention.layer_norm)
    linear(layer.self_attention.linear[0], 3 * width, width)  # queries, keys and values
    linear(layer.self_attention.linear[1], width, width)
    if is_decoder:
        norm(layer.attention.layer_norm)
        linear(layer.attention.linear[0], width, width)
        linear(layer.attention.linear[1], 2 * width, width)  # keys and values
        linear(layer.attention.linear[2], width, width)
    norm(layer.ffn.layer_norm)
    linear(layer.ffn.linear_0, inner, width)
    linear(layer.ffn.linear_1, width, inner)


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    """Return the vocabulary of a tokenizer."""
    return tokenizer.pieces(range(len(tokenizer)))


def translate(translator: Any, sentences: list[list[str]], options: argparse.Namespace) -> Any:
    """Return pieces of the best translation of each sentence of pieces.

    Raises:
        SystemExit: a translation has another number of pieces than `options.pieces`.
    """
    results = translator.translate_batch(
        sentences,
        beam_size=options.beam_size,
        max_batch_size=options.batch_tokens,
        batch_type="tokens",
        min_decoding_length=options.pieces,
        max_decoding_length=options.pieces,
    )
    found = [result.hypotheses[0] for result in results]
    if any(len(pieces) != options.pieces for pieces in found):
        sys.exit(f"CTranslate2: a translation does not have {options.pieces} pieces")
    return found


def main() -> int:
    """Translate a file to stdout, line by line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="folder that `save_model` made")
    parser.add_argument("source", help="folder of the source's tokenizer")
    parser.add_argument("target", help="folder of the target's tokenizer")
    parser.add_argument("input", help="text file; an empty line stays empty")
    for option in ("--beam-size", "--pieces", "--batch-tokens", "--threads"):
        parser.add_argument(option, type=int, required=True)
    options = parser.parse_args()
    translator = import_ctranslate2().Translator(
        options.model, compute_type="int8", inter_threads=options.threads, intra_threads=1
    )
    source = load_tokenizer(Path(options.source))
    is_shared = options.source == options.target
    target = source if is_shared else load_tokenizer(Path(options.target))
    lines = Path(options.input).read_text(encoding="utf-8").splitlines()
    sentences = [source.pieces(source.encode(line)) for line in lines]
    found = iter(translate(translator, [pieces for pieces in sentences if pieces], options))
    ids = {piece: index for index, piece in enumerate(pieces_of(target))}
    for pieces in sentences:
        print(target.decode([ids[piece] for piece in next(found)]) if pieces else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
