"""`nmt demo`: a tour in two minutes: a toy language, a small model, and its attention.

Write a corpus of a toy language to data/toy in this folder, train a small model on it, score the
model, and show where it looks. Each step is a command that you can run yourself. An existing run is
never deleted: a second `nmt demo` continues it, or uses it if it is finished.

examples:
  nmt demo
  nmt demo training.max_epochs=1
"""

import importlib.util
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from nmt.cli.arguments import CommandArguments, positional

_CORPUS: Final = Path("data/toy")
_RUN: Final = Path("runs/toy")
_SIZES: Final = {"train": 30_000, "valid": 500, "test": 500}
_COPIES: Final = {"toy.yaml": Path("configs/toy.yaml"), "tour.en": _CORPUS / "tour.en"}
_PROMPT: Final = "$ nmt "


@dataclass(frozen=True, kw_only=True)
class Arguments(CommandArguments):
    """Options of the training."""

    overrides: list[str] = positional(
        "key=value", "an option of the training, as in `nmt train`", nargs="*", default=[]
    )


def run(arguments: Arguments) -> int:
    """Run the commands of the tour; return the exit code of the first that fails, or 0."""
    for step in files("nmt.toy").joinpath("tour.txt").read_text(encoding="utf-8").split("\n\n"):
        text, _, command = step.partition(_PROMPT)
        print(f"\n{text}", flush=True)
        code = _run(shlex.split(command), arguments) if command else 0
        if code != 0:
            return code
    return 0


def _run(words: list[str], arguments: Arguments) -> int:
    """Run a command of the tour, and return its exit code."""
    if words[0] == "train":
        _write_missing()
        words += [*arguments.overrides, *(["--resume"] if _RUN.exists() else [])]
    if "--plot" in words and importlib.util.find_spec("matplotlib") is None:
        print("left out, as matplotlib is not installed; pip install 'nmt[plots]'")
        return 0
    words += [f"--plugin={name}" for name in arguments.plugins]
    print(_PROMPT + shlex.join(words), flush=True)
    # Option P: import no module of the working folder in place of an installed one.
    return subprocess.run([sys.executable, "-Pm", "nmt", *words], check=False).returncode


def _write_missing() -> None:
    """Write the configuration and the corpus, unless they exist."""
    from nmt.toy.corpus import write_corpus

    if not (_CORPUS / "test.align").exists():  # the last file to be written
        write_corpus(_CORPUS, _SIZES, max_length=15)
    for name, path in _COPIES.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files("nmt.toy").joinpath(name).read_bytes())
