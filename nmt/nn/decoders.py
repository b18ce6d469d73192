"""The decoders that a configuration can name."""

from typing import Final

from nmt.nn.bahdanau import BahdanauDecoder
from nmt.nn.conditional import ConditionalDecoder
from nmt.nn.decoder import Decoder
from nmt.nn.gnmt import GNMTDecoder
from nmt.nn.luong import LuongDecoder
from nmt.nn.sutskever import SutskeverDecoder

DECODERS: Final[dict[str, type[Decoder]]] = {
    "bahdanau": BahdanauDecoder,
    "conditional": ConditionalDecoder,
    "luong": LuongDecoder,
    "gnmt": GNMTDecoder,
    "sutskever": SutskeverDecoder,
}
