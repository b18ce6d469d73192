"""The encoders that a configuration can name."""

from typing import Final

from nmt.nn.encoders.encoder import Encoder
from nmt.nn.encoders.grid import GridEncoder
from nmt.nn.encoders.recurrent import RecurrentEncoder

ENCODERS: Final[dict[str, type[Encoder]]] = {
    "recurrent": RecurrentEncoder,
    "grid": GridEncoder,
}
