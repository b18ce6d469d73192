"""The optimizers and schedules that a configuration can name."""

from typing import Final

from nmt.training.optim.muon import Muon
from nmt.training.optim.optimizer import Optimizer
from nmt.training.optim.rules import SGD, Adadelta, Adam, AdamW, RAdam
from nmt.training.optim.schedule import Constant, Cosine, InverseSquareRoot, Plateau, Schedule

OPTIMIZERS: Final[dict[str, type[Optimizer]]] = {
    "adam": Adam,
    "adamw": AdamW,
    "radam": RAdam,
    "adadelta": Adadelta,
    "muon": Muon,
    "sgd": SGD,
}

SCHEDULES: Final[dict[str, type[Schedule]]] = {
    "constant": Constant,
    "plateau": Plateau,
    "inverse_square_root": InverseSquareRoot,
    "cosine": Cosine,
}
