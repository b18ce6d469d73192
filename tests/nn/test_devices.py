"""A training step and a decoding step on a device that is not the CPU, without having one.

Fake tensors of PyTorch live on a device that exists in name only. They refuse to mix two devices,
and any value that the host asks for, which would make it wait for the device. Naming a device
changes torch for the whole process, so all of it runs in one of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import dataclasses
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("npy")
torch.npy.get_amp_supported_dtype = lambda: [torch.bfloat16, torch.float16]

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import make_batch
from nmt.core.batch import to
from nmt.training.objective.objective import Objective
from nmt.training.objective.output_loss import LabelSmoothing

DEVICE = torch.device("npy")
COMBINATIONS = [
    {"decoder": {"style": style, "cell": cell, "num_layers": 2}, "attention": attention}
    for style, cell, attention in [
        ("bahdanau", "gru", {"score": "additive"}),
        ("conditional", "lstm", {"score": "coverage_gru", "alignment": "sparsemax"}),
        ("luong", "gru", {"score": "general", "alignment": "local_p"}),
        ("gnmt", "lstm", {"score": "location_aware", "num_heads": 2}),
        ("bahdanau", "layer_norm_gru", {"score": "location", "alignment": "hard"}),
        ("sutskever", "lstm", None),
    ]
]


def run(options, precision, host_value=False):
    options["decoder"]["hidden_size"] = 16
    options["encoder"] = {"hidden_size": 8, "cell": options["decoder"]["cell"], "num_layers": 2}
    options["embedding"] = {"size": 8, "word_dropout": 0.1}
    with FakeTensorMode():
        with DEVICE:
            model = build_model(ModelConfig.model_validate(options), 50, 50)
        batch = to(make_batch([[4, 5, 6], [7, 8]], [[4, 5], [6, 7, 8, 9]]), DEVICE)
        losses = Objective((LabelSmoothing(weight=0.1),), precision)(model.train(), batch)
        losses.objective.backward()
        if host_value:
            float(losses.objective)
        model.eval()
        with torch.no_grad():
            state = model.start(model.encode(batch.source, batch.source_lengths))
            log_probabilities, _ = model.step(batch.source[:, 0], state)
        given = {p.grad.device for p in model.parameters() if p.grad is not None}
        assert {device.type for device in given} == {"npy"}, given
        assert log_probabilities.device.type == "npy"


for options in COMBINATIONS:
    run(options, torch.float32)
    print(options["decoder"]["style"])
try:
    run(COMBINATIONS[0], torch.float32, host_value=True)
except Exception as error:
    print(type(error).__name__)
"""


def test_updates_and_steps_mix_no_devices_and_wait_for_nothing() -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert ended.returncode == 0, ended.stderr
    *styles, caught = ended.stdout.split()
    assert styles == ["bahdanau", "conditional", "luong", "gnmt", "bahdanau", "sutskever"]
    assert caught == "DataDependentOutputException", "a value for the host is noticed"
