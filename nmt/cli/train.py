"""`nmt train`: train the model of a configuration.

Train a model from a YAML file: train or load the tokenizer, encode the corpus, train, validate,
keep the best checkpoint, and score the test set. All results go to the folder `run`. Ctrl-C
finishes the current update and saves; `--resume` then continues exactly where it stopped.
All options and their defaults are in configs/reference.yaml.

examples:
  nmt train configs/toy.yaml
  nmt train configs/toy.yaml run=runs/general model.attention.score=general seed=2
  nmt train configs/toy.yaml --resume
  torchrun --nproc-per-node 4 -m nmt train configs/toy.yaml
"""

from dataclasses import dataclass

from nmt.cli.arguments import flag
from nmt.cli.config_checks import ConfigArguments, load_checked
from nmt.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Arguments(ConfigArguments):
    """Arguments of the command."""

    resume: bool = flag("resume an interrupted run")
    overwrite: bool = flag("delete an existing run and start again")


def run(arguments: Arguments) -> int:
    """Train to the end, or until interrupted."""
    if arguments.resume and arguments.overwrite:
        raise UserError("--overwrite cannot be combined with --resume; leave one of them out")
    config = load_checked(arguments, resume=arguments.resume, overwrite=arguments.overwrite)

    from nmt.distributed.process_group import init_process_group
    from nmt.system.device import resolve_device
    from nmt.training.train import train

    with init_process_group(resolve_device(config.device).type) as group:
        result = train(config, resume=arguments.resume, overwrite=arguments.overwrite, group=group)
    return 0 if result.signal is None else 128 + result.signal
