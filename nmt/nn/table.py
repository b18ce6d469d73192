"""The bridges that a configuration can name."""

from typing import Final

from nmt.nn.bridge import Bridge, FinalBridge, MeanBridge, ZeroBridge

BRIDGES: Final[dict[str, type[Bridge]]] = {
    "final": FinalBridge,
    "mean": MeanBridge,
    "zero": ZeroBridge,
}
