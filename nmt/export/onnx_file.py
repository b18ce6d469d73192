"""The ONNX file that `nmt export` writes: its inputs, outputs and metadata."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from nmt.core.errors import RunError, UserError
from nmt.core.languages import normalize_tag
from nmt.system.files import open_regular, parse_json
from nmt.text.storage import restore_tokenizer
from nmt.text.tokenizer import SavedTokenizer, Tokenizer

FORMAT_VERSION: Final = 1
# Key in the file's metadata of a JSON object with the fields of `ExportMetadata`.
METADATA_KEY: Final = "nmt"
# Inputs of the graph: tokens with EOS, padded with 0 on the right; their lengths; K; N.
INPUTS: Final = {
    "source": ("int64", ("B", "S")),
    "source_lengths": ("int64", ("B",)),
    "beam_size": ("int64", ()),
    "n_best": ("int64", ()),
}
# Outputs of the graph: hypotheses, best first; a score of -inf: no hypothesis.
OUTPUTS: Final = {
    "scores": ("float", ("B", "N")),
    "log_probabilities": ("float", ("B", "N")),
    "lengths": ("int64", ("B", "N")),
    "tokens": ("int64", ("B", "N", "T")),
}
MAX_BYTES: Final = 2**31  # limit of a protocol buffer
_MAX_NUMBER: Final = 2**31


@dataclass(frozen=True)
class ExportMetadata:
    """Metadata of an exported file, stored next to the graph.

    Attributes:
        precision: float32 or int8.
        beam_size: default number of places in the beam; 1 is greedy search.
        max_beam_size: the widest beam that the vocabulary allows.
        max_source_length: maximum number of tokens of a line; the rest is cut.
        batch_tokens: maximum number of source tokens in a batch, including padding.
        source: tokenizer of the source.
        target: tokenizer of the target; may be the same object.
        source_language: BCP 47 tag, if known.
        target_language: BCP 47 tag, if known.
    """

    precision: str
    beam_size: int
    max_beam_size: int
    max_source_length: int
    batch_tokens: int
    source: Tokenizer
    target: Tokenizer
    source_language: str | None = None
    target_language: str | None = None

    @property
    def languages(self) -> tuple[str | None, str | None]:
        """Return the languages of source and target."""
        return self.source_language, self.target_language

    def to_json(self) -> str:
        """Return the metadata as JSON."""
        target = None if self.source is self.target else _pack(self.target)
        known = {key: value for key, value in vars(self).items() if value is not None}
        fields = {"format": FORMAT_VERSION, **known}
        return json.dumps({**fields, "source": _pack(self.source), "target": target})

    @classmethod
    def from_json(cls, text: str, origin: Path) -> Self:
        """Read metadata written by `to_json`.

        Args:
            text: JSON of the metadata.
            origin: the file, for messages.

        Raises:
            ValueError, KeyError, TypeError: the metadata is not valid.
            RunError: this version does not have its tokenizer.
        """
        fields = parse_json(text)
        if not isinstance(fields, dict):
            raise TypeError("not an object")
        number, packed = fields.pop("format"), fields.pop("target")
        if number != FORMAT_VERSION:
            raise ValueError(f"format {number} is not supported, only {FORMAT_VERSION}")
        source = _unpack(fields.pop("source"), origin)
        target = source if packed is None else _unpack(packed, origin)
        described = cls(**fields, source=source, target=target)
        described._check()
        return described

    def _check(self) -> None:
        if self.precision not in ("float32", "int8"):
            raise ValueError(f"precision: {self.precision!r}")
        for name, most in (
            ("max_beam_size", len(self.target)),
            ("beam_size", self.max_beam_size),
            ("max_source_length", _MAX_NUMBER),
            ("batch_tokens", _MAX_NUMBER),
        ):
            number = getattr(self, name)
            if type(number) is not int or not 1 <= number <= most:
                raise ValueError(f"{name}: must be a whole number from 1 to {most}, not {number!r}")
        for tag in self.languages:
            if tag is not None and normalize_tag(tag) != tag:
                raise ValueError(f"language: must be {normalize_tag(tag)}, not {tag}")


def _pack(tokenizer: Tokenizer) -> dict[str, Any]:
    saved = tokenizer.saved_with_class()
    return saved.describe() | {"model": base64.b64encode(saved.model).decode("ascii")}


def _unpack(fields: dict[str, Any], origin: Path) -> Tokenizer:
    saved = SavedTokenizer.from_description(
        fields, base64.b64decode(fields["model"], validate=True)
    )
    if saved.describe() != {key: value for key, value in fields.items() if key != "model"}:
        raise ValueError("its tokenizer is corrupted, or has another format")
    return restore_tokenizer(saved, origin)


def load_session(path: Path) -> Any:
    """Return a session of ONNX Runtime for a file.

    Raises:
        RunError: the file cannot be read, or was not written by `nmt export`.
        UserError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise UserError(
            f"{path}: an exported model needs ONNX Runtime; pip install onnxruntime"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # batches run in parallel, so that no thread has to wait
    options.log_severity_level = 4  # the exception has the same message as the log
    try:
        with open_regular(path, MAX_BYTES):
            pass
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of ONNX Runtime have no common base
        raise RunError(
            f"{path}: neither a run nor a valid exported model; name a run, or export it again "
            "(`nmt export RUN -o FILE`)"
        ) from error
    for needed, found in ((INPUTS, session.get_inputs()), (OUTPUTS, session.get_outputs())):
        types = {name: (f"tensor({kind})", len(sizes)) for name, (kind, sizes) in needed.items()}
        if {item.name: (item.type, len(item.shape)) for item in found} != types:
            raise RunError(
                f"{path}: not an exported model of this version, as its inputs or outputs differ; "
                "export it again (`nmt export RUN -o FILE`)"
            )
    return session


def read_metadata(path: Path, session: Any) -> ExportMetadata:
    """Return the metadata of a file.

    Raises:
        RunError: the metadata is missing or not valid.
    """
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise RunError(f"{path}: not written by `nmt export`; give a run, or a file that it wrote")
    try:
        return ExportMetadata.from_json(text, path)
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: its metadata cannot be read ({error}); export it again with this version"
        ) from error
