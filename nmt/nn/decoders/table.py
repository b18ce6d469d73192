"""The decoders that a configuration can name."""

from typing import Final

from nmt.nn.decoders import bahdanau, conditional, gnmt, luong, sutskever
from nmt.nn.decoders.decoder import Decoder

DECODERS: Final[dict[str, type[Decoder]]] = {
    "bahdanau": bahdanau.BahdanauDecoder,
    "conditional": conditional.ConditionalDecoder,
    "luong": luong.LuongDecoder,
    "gnmt": gnmt.GNMTDecoder,
    "sutskever": sutskever.SutskeverDecoder,
}
