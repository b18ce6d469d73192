"""`nmt train`: everything that a configuration implies."""

import argparse
import signal
from pathlib import Path

DESCRIPTION = """Train a model as one YAML file says: make the tokenizer where there is none, encode
the corpus, train, validate, keep the best, score the test set. Everything goes to the folder that
`run:` names. Ctrl-C finishes the update and saves; `--resume` goes on as if nothing had happened.
All options, with their defaults: configs/reference.yaml."""

EXAMPLES = """examples:
  nmt train configs/toy.yaml
  nmt train configs/toy.yaml run=runs/dot model.attention.score=dot seed=2
  nmt train configs/toy.yaml --resume"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a YAML file")
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="an option other than in the file, by its dotted key: model.attention.score=dot",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
    group.add_argument(
        "--overwrite", action="store_true", help="delete the run that is there, and start anew"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train to the end, or until interrupted."""
    from nmt.config_file import load_config

    config = load_config(arguments.config, arguments.overrides)

    from nmt.run import RunDirectory
    from nmt.training.trainer import train

    folder = RunDirectory.create(
        Path(config.run), overwrite=arguments.overwrite, resume=arguments.resume
    )
    result = train(config, folder, resume=arguments.resume)
    return 0 if result.signal is None else 128 + int(signal.Signals(result.signal))
