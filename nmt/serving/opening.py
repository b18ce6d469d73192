"""Opening of the models that a server serves: trained runs and exported files."""

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from nmt.core.errors import ConfigError
from nmt.serving.languages import split_direction
from nmt.serving.models import ModelRegistry, ServedFile, ServedModel, ServedRun


def open_models(
    paths: Sequence[str],
    languages: Sequence[str] = (),
    *,
    checkpoint: str = "best",
    device: str = "auto",
    precision: str | None = None,
) -> ModelRegistry:
    """Load runs and exported files.

    Args:
        paths: folders of runs, and files of `nmt export`.
        languages: directions for the models in their order, as in `en-de` or `zh-Hans:en`; empty:
            those that the models name.
        checkpoint: of the runs: best, last or step-N.
        device: of the runs.
        precision: of the runs; None: the training precision.

    Raises:
        UserError: a model cannot be opened, reads grids, or its languages are not known.
    """
    if languages and len(languages) != len(paths):
        raise ConfigError(
            f"--languages: given {len(languages)} times for {len(paths)} models; give it once for "
            "each model, in their order"
        )
    given: Sequence[tuple[str, str] | None] = list(map(split_direction, languages))
    given = given or [None] * len(paths)
    models: list[ServedModel] = []
    names: list[str] = []
    for path, direction in zip(paths, given, strict=True):
        names.append(_new_name(Path(path), names))
        if Path(path).is_dir():
            models.append(_open_run(path, names[-1], direction, checkpoint, device, precision))
        else:
            models.append(_open_file(path, names[-1], direction))
    return ModelRegistry(models)


def _open_run(
    path: str,
    name: str,
    direction: tuple[str, str] | None,
    checkpoint: str,
    device: str,
    precision: str | None,
) -> ServedRun:
    from nmt.inference.translator import Translator
    from nmt.runs.run import Run
    from nmt.text.tokenizer import Tokenizer

    run = Run.open(path)
    translator = Translator.from_run(run, checkpoint=checkpoint, device=device, precision=precision)
    if not isinstance(translator.source_reader, Tokenizer):
        raise ConfigError(f"{path}: reads grids, which are not served; use `nmt translate`")
    direction = _require_languages(path, direction or run.config.data.languages())
    return ServedRun(name, direction, translator, run.config.decoding)


def _open_file(path: str, name: str, direction: tuple[str, str] | None) -> ServedFile:
    from nmt.export.exported_translator import ExportedTranslator

    translator = ExportedTranslator.open(path, num_threads=1)
    direction = _require_languages(path, direction or translator.description.languages)
    return ServedFile(name, direction, translator)


def _require_languages(path: str, found: tuple[str | None, str | None]) -> tuple[str, str]:
    source, target = found
    if source is None or target is None:
        raise ConfigError(f"{path}: its languages are not known; give --languages en-de")
    return source, target


def _new_name(path: Path, names: Sequence[str]) -> str:
    """Return the name of a model: its folder's or file's, with a number if there is one already."""
    stem = path.stem if path.suffix == ".onnx" else path.resolve().name
    return next(
        name
        for name in chain([stem], (f"{stem}-{number}" for number in count(2)))
        if name not in names
    )
