"""The decoders that a configuration can name."""

from typing import Final

from nmt.nn.bahdanau import BahdanauDecoder
from nmt.nn.decoder import Decoder
from nmt.nn.luong import LuongDecoder

DECODERS: Final[dict[str, type[Decoder]]] = {
    "bahdanau": BahdanauDecoder,
    "luong": LuongDecoder,
}
