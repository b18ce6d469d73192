import json
from pathlib import Path

import torch

from nmt.training.logs.environment import write_environment


def test_environment_lists_versions_and_hardware(tmp_path: Path) -> None:
    write_environment(tmp_path / "environment.json", torch.device("cpu"), torch.bfloat16)
    facts = json.loads((tmp_path / "environment.json").read_text())
    assert facts["torch"] == torch.__version__
    assert facts["precision"] == "bfloat16"
    assert facts["num_threads"] == torch.get_num_threads()
    assert {"nmt", "python", "platform", "numpy", "sacrebleu", "device"} <= facts.keys()
