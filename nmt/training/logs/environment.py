"""The environment of a run: package versions and hardware."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch

from nmt.core.version import __version__
from nmt.system.files import write_text

_PACKAGES: Final = ("numpy", "sentencepiece", "sacrebleu", "safetensors")


def write_environment(
    path: Path, device: torch.device, precision: torch.dtype, num_processes: int = 1
) -> None:
    """Write versions, the hardware of this process and the number of processes as JSON."""
    is_gpu = device.type == "cuda"
    facts = {
        "nmt": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,  # includes the build
        **{name: version(name) for name in _PACKAGES},
        "device": torch.cuda.get_device_name(device) if is_gpu else platform.machine(),
        "precision": str(precision).removeprefix("torch."),
        "num_processes": num_processes,
        "num_threads": torch.get_num_threads(),
    }
    write_text(path, json.dumps(facts, indent=2) + "\n")
