"""Translate with a file of `nmt export`, without this package and without PyTorch.

    pip install numpy onnxruntime sentencepiece
    python scripts/translate_exported.py FILE < INPUT > OUTPUT

An example to copy, or to rewrite in another language. It has all the code that your own program
needs to use such a file with SentencePiece tokenizers. For large files `nmt translate FILE` is
better: it sorts lines by length and translates batches in parallel.
"""

import argparse
import base64
import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TextIO

import numpy as np
import onnxruntime
from sentencepiece import SentencePieceProcessor

PAD, UNK, EOS, NUM_SPECIAL = 0, 1, 3, 4
BATCH = 32  # lines
LONGEST = 1_000_000  # characters of a line; a longer one is read as an empty line
BLANK, BLANK_IN_TEXT = "▁", "\ue581"


class Tokenizer:
    """Conversion of text to tokens and back.

    Args:
        fields: tokenizer fields of the file's description; see `SavedTokenizer.describe`.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        if fields["name"] != "sentencepiece":
            sys.exit(
                f"this example reads tokenizers of SentencePiece, and none of {fields['name']}"
            )
        self.normalizer = fields["normalizer"]
        self.processor = SentencePieceProcessor(model_proto=base64.b64decode(fields["model"]))

    def encode(self, line: str) -> list[int]:
        """Return the tokens of a line, word by word."""
        words = self._normalize(line).replace(BLANK, BLANK_IN_TEXT).split()
        return [token for tokens in self.processor.encode(words) for token in tokens]

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens, on one line."""
        content = b"".join(map(self._bytes, tokens)).decode(errors="replace")
        words = ["".join(word.split()) for word in content.split(BLANK)]
        return " ".join(word for word in words if word).replace(BLANK_IN_TEXT, BLANK)

    def _bytes(self, token: int) -> bytes:
        piece: str = self.processor.id_to_piece(token)
        if self.processor.is_byte(token):
            return bytes.fromhex(piece[3:-1])  # <0x41>
        if token < NUM_SPECIAL:
            return "⁇".encode() if token == UNK else b""
        return piece.encode()

    def _normalize(self, line: str) -> str:
        text = self._compose(line)
        return self._compose(text.lower()) if self.normalizer["lowercase"] else text

    def _compose(self, text: str) -> str:
        form = self.normalizer["normalization"]
        return text if form == "none" else unicodedata.normalize(form.upper(), text)


def main() -> None:
    """Translate standard input, batch by batch."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s FILE < INPUT > OUTPUT",
        description="Translate text on standard input with a file of `nmt export`.",
    )
    parser.add_argument("file", metavar="FILE", help="the file that `nmt export` wrote")
    path = parser.parse_args().file
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        description = json.loads(session.get_modelmeta().custom_metadata_map["nmt"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        reason = " ".join(str(error).split())
        parser.error(f"{path}: not a readable file of `nmt export`: {reason}")
    source = Tokenizer(description["source"])
    target = source if description["target"] is None else Tokenizer(description["target"])
    lines = bounded(sys.stdin)
    while batch := list(islice(lines, BATCH)):
        ids = [[*source.encode(line)[: description["max_source_length"]], EOS] for line in batch]
        for tokens in translate(session, ids, description["beam_size"]):
            print(target.decode(tokens))


def bounded(stream: TextIO) -> Iterator[str]:
    """Yield lines; one that is too long is skipped and yielded as an empty line."""
    while line := stream.readline(LONGEST + 1):
        rest = line
        while len(rest) > LONGEST and not rest.endswith("\n"):
            rest = stream.readline(LONGEST + 1)
        yield line if rest is line else ""


def translate(session: Any, ids: list[list[int]], beam_size: int) -> Iterator[list[int]]:
    """Return the best translation of each sentence; no tokens for a blank line (only EOS)."""
    longest = max(map(len, ids))
    _, _, lengths, tokens = session.run(
        None,
        {
            "source": np.array([pad(row, longest) for row in ids], dtype=np.int64),
            "source_lengths": np.array([len(row) for row in ids], dtype=np.int64),
            "beam_size": np.array(beam_size, dtype=np.int64),
            "n_best": np.array(1, dtype=np.int64),
        },
    )
    for sentence, length, row in zip(ids, lengths[:, 0], tokens[:, 0], strict=True):
        yield row[:length].tolist() if len(sentence) > 1 else []


def pad(row: Iterable[int], length: int) -> list[int]:
    """Pad sentences with PAD on the right."""
    return [*row, *[PAD] * length][:length]


if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace", newline="\n")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    main()
