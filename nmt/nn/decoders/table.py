"""The decoders that a configuration can name."""

from typing import Final

from nmt.nn.decoders.bahdanau import BahdanauDecoder
from nmt.nn.decoders.conditional import ConditionalDecoder
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.gnmt import GNMTDecoder
from nmt.nn.decoders.luong import LuongDecoder
from nmt.nn.decoders.sutskever import SutskeverDecoder

DECODERS: Final[dict[str, type[Decoder]]] = {
    "bahdanau": BahdanauDecoder,
    "conditional": ConditionalDecoder,
    "luong": LuongDecoder,
    "gnmt": GNMTDecoder,
    "sutskever": SutskeverDecoder,
}
