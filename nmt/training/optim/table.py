"""The optimizers and schedules that a configuration can name."""

from typing import Final

from nmt.training.optim.optimizer import SGD, Adam, AdamW, Optimizer
from nmt.training.optim.schedule import Constant, Cosine, InverseSquareRoot, Plateau, Schedule

OPTIMIZERS: Final[dict[str, type[Optimizer]]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}

SCHEDULES: Final[dict[str, type[Schedule]]] = {
    "constant": Constant,
    "plateau": Plateau,
    "inverse_square_root": InverseSquareRoot,
    "cosine": Cosine,
}
