"""A training that diverges ends with an error, not with a model that nobody should use."""

from pathlib import Path

from .conftest import Command


def test_diverged_training_is_refused_again_on_resume(nmt: Command, in_copy: Path) -> None:
    train = ("train", "tiny.yaml", "run=runs/wild", "training.optimizer.learning_rate=20")
    options = ("training.clip_norm=null", "training.validation.every=20", "data.test=null")
    for more in ((), ("--resume",)):
        outcome = nmt(*train, *options, *more)
        outcome.assert_refused(
            "runs/wild: training diverged: the mean loss of updates ",
            "lower training.optimizer.learning_rate (20) or training.clip_norm",
        )
    assert (in_copy / "runs/wild/checkpoints/best/model.safetensors").exists()
    assert not (in_copy / "runs/wild/results.json").exists()
