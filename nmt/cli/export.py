"""`nmt export`: export a trained run as one file.

Export a trained run as one ONNX file with the model, its beam search and its tokenizers. The file
runs in ONNX Runtime, without this package and PyTorch. It loads quickly, and is faster than the run
on a CPU. `nmt translate FILE` accepts it in place of a run. The file is compared with the run
before it is saved.

graph: the inputs are `source` (int64 token ids with EOS, which is 3, padded with 0 on the right),
`source_lengths`, `beam_size` (1: greedy search) and `n_best`. The outputs are `scores`,
`log_probabilities`, `lengths` and `tokens` of the best translations of each sentence, best first.
The tokenizers are in the metadata, under `nmt`. Scores are those of the search: with a shortlist,
over its tokens only.

examples:
  nmt export runs/toy -o toy.onnx
  nmt export runs/toy -o toy.int8.onnx --precision int8 --shortlist
  nmt translate toy.onnx book.en -o book.de
"""

import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nmt.cli.arguments import SearchArguments, TrainedRun, option, path, set_options
from nmt.cli.outputs import check_files, is_stream, lock_output, open_binary_output
from nmt.core.errors import UserError

if TYPE_CHECKING:
    from nmt.runs.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Arguments(SearchArguments, TrainedRun):
    """Arguments of the command."""

    output: Path = path("file to write", "-o", "--output", required=True)
    precision: Literal["float32", "int8"] = option(
        None,
        "precision of the decoder; int8 is faster with vocabularies of thousands of entries "
        "(default: float32)",
        default="float32",
        key="precision",
        choices=("float32", "int8"),
    )
    search: str | None = option("NAME", "beam or greedy", key="decoding.search")
    options: list[str] = set_options(
        "max_length_ratio=2; lengths, the shortlist and max_source_length can be exported"
    )


def run(arguments: Arguments) -> int:
    """Check the arguments and the run, then write the file."""
    _require_packages()
    opened, output = arguments.open_run(), arguments.output
    check_files({"-o": output}, [], opened)
    if not is_stream(output):
        with lock_output(output):
            _export(opened, Path(os.path.realpath(output)), arguments)
        return 0
    with tempfile.TemporaryDirectory(prefix="nmt-export-") as folder:
        whole = Path(folder) / "model.onnx"
        _export(opened, whole, arguments)
        with whole.open("rb") as file, open_binary_output(output) as stream:
            shutil.copyfileobj(file, stream)
    return 0


def _export(run: "Run", output: Path, arguments: Arguments) -> None:
    """Write the file, and report its comparison with the run."""
    from nmt.export.exporter import export_run

    logger.info("exporting; this takes half a minute or more")
    report = export_run(run, output, checkpoint=arguments.checkpoint, precision=arguments.precision)
    logger.info(
        f"{arguments.output}: {output.stat().st_size / 1e6:.1f} MB; compared with the run on "
        f"{report.num_sentences} sentences of random tokens: {report.num_identical} identical "
        f"translations, log-probabilities of a token differ by at most {report.max_difference:.1g}"
    )


def _require_packages() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(
            f"nmt export: {', '.join(missing)} not installed; pip install onnx onnxscript "
            "onnxruntime (or this package with its extra `export`)"
        )
