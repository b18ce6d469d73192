import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from nmt.config import registry
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.cross_entropy import label_smoothed_cross_entropy
from nmt.training.optim.optimizer import (
    SGD,
    Adam,
    AdamW,
    Optimizer,
    apply_gradients,
    optimizer_tensors,
    parameter_groups,
    restore_optimizer,
)
from nmt.training.optim.table import OPTIMIZERS

FINE = torch.tensor(1.0)


def make(name: str, model: nn.Module) -> Optimizer:
    if name == "sgd":
        return SGD(model, momentum=0.9)
    return OPTIMIZERS[name](model)


def with_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def test_sgd_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(2.0)
    optimizer = SGD(model, learning_rate=0.5, momentum=0.5)
    for gradient, expected in [(1.0, 1.5), (1.0, 0.75)]:  # steps of 0.5 and of 0.5 * (1 + 0.5)
        model.weight.grad = torch.tensor([[gradient]])
        apply_gradients(optimizer, FINE, None)
        assert model.weight.item() == pytest.approx(expected)


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient() -> None:
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[1e-3, -50.0]])
    apply_gradients(Adam(model, learning_rate=0.01), FINE, None)
    torch.testing.assert_close(model.weight - before, torch.tensor([[-0.01, 0.01]]))


# Of each optimizer: its rule in torch, one tensor after the other, with the options of torch.
PLAIN: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda groups, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8: (
        torch.optim.Adam(groups, learning_rate, (beta1, beta2), epsilon, foreach=False)
    ),
    "adamw": lambda groups, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, **_: (
        torch.optim.AdamW(groups, learning_rate, (beta1, beta2), epsilon, foreach=False)
    ),
    "sgd": lambda groups, learning_rate=1.0, momentum=0.0, **_: torch.optim.SGD(
        groups, learning_rate, momentum, foreach=False
    ),
}
DECAY = {"adam": 0.0, "adamw": 0.01, "sgd": 0.0}
ODD = {
    "learning_rate": 0.03,
    "beta1": 0.5,
    "beta2": 0.7,
    "epsilon": 0.3,
    "weight_decay": 0.4,
    "momentum": 0.6,
}


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name in OPTIMIZERS
        for option in registry.OPTIMIZERS.options(name).model_fields
    ],
)
def test_every_option_has_the_effect_that_it_has_in_torch(name: str, option: str) -> None:
    """Three steps with one option off its default, weight decay being for matrices only."""
    options = {option: ODD[option]}

    def three_steps(make: Callable[[nn.Module], torch.optim.Optimizer]) -> torch.Tensor:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        optimizer = make(model)
        for step in range(3):
            with_gradients(model, step)
            optimizer.step()
        return parameters_to_vector(model.parameters()).detach()

    def plain(model: nn.Module) -> torch.optim.Optimizer:
        decay = options.get("weight_decay", DECAY[name])
        groups = [
            {"params": [parameter], "weight_decay": decay if parameter.ndim > 1 else 0.0}
            for parameter in model.parameters()
        ]
        return PLAIN[name](groups, **options)

    found = three_steps(lambda model: OPTIMIZERS[name](model, **options))
    torch.testing.assert_close(found, three_steps(plain))
    assert not torch.allclose(found, three_steps(OPTIMIZERS[name]), atol=1e-5)


def test_only_matrices_decay(model: nn.Module) -> None:
    optimizer = AdamW(model, learning_rate=0.1, weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    apply_gradients(optimizer, FINE, None)
    for name, parameter in model.named_parameters():
        share = 0.95 if parameter.ndim == 2 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * share)


def test_tied_and_frozen_parameters_are_listed_once_and_not_at_all() -> None:
    tied = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2), "c": nn.Linear(2, 2)})
    tied["a"].weight = tied["b"].weight
    tied["c"].requires_grad_(False)
    groups = parameter_groups(tied, 0.1)
    assert [len(list(group["params"])) for group in groups] == [1, 2]  # type: ignore[call-overload]


def test_the_learning_rate_holds_for_every_group(model: nn.Module) -> None:
    optimizer = Adam(model)
    optimizer.set_learning_rate(0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


def test_gradients_are_clipped_to_the_norm() -> None:
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    norm = apply_gradients(SGD(model, learning_rate=1.0), FINE, 0.5)
    assert norm.item() == pytest.approx(5.0)
    torch.testing.assert_close(before - model.weight, torch.tensor([[0.3, 0.4]]))
    assert model.weight.grad is None


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bad", ["gradient nan", "gradient inf", "loss inf"])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_bad_step_changes_nothing(
    model: nn.Module, name: str, bad: str, clip_norm: float | None
) -> None:
    optimizer = make(name, model)
    with_gradients(model, 1)
    apply_gradients(optimizer, FINE, clip_norm)
    weights = [p.detach().clone() for p in model.parameters()]
    momenta = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()}
    with_gradients(model, 2)
    loss = FINE
    if bad == "loss inf":
        loss = torch.tensor(math.inf)
    else:
        next(iter(model.parameters())).grad[0, 1] = float(bad.split()[1])  # type: ignore[index]
    norm = apply_gradients(optimizer, loss, clip_norm)
    assert not math.isfinite(norm.item())
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        assert torch.equal(parameter, weight)
    for key, tensor in optimizer_tensors(optimizer).items():
        assert torch.equal(tensor, momenta[key])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_bad_first_step_leaves_no_trace(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As good as none, even where memory that nobody has set holds anything."""
    empty_like = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", lambda *a, **o: empty_like(*a, **o).fill_(1e3))
    results = []
    for bad in (True, False):
        torch.manual_seed(1)
        model = nn.Linear(3, 2)
        optimizer = make(name, model)
        if bad:
            with_gradients(model, 1)
            apply_gradients(optimizer, torch.tensor(math.nan), 1.0)
        for step in (2, 3):
            with_gradients(model, step)
            apply_gradients(optimizer, FINE, 1.0)
        results.append(model.weight.detach())
    assert torch.equal(*results)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_a_bad_step_training_goes_on(model: nn.Module, name: str) -> None:
    optimizer = make(name, model)
    with_gradients(model, 1)
    apply_gradients(optimizer, torch.tensor(math.nan), 1.0)
    before = model[0].weight.detach().clone()  # type: ignore[index]
    with_gradients(model, 1)
    apply_gradients(optimizer, FINE, 1.0)
    assert not torch.equal(before, model[0].weight)  # type: ignore[index]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_optimizer_goes_on_as_if_nothing_had_been(name: str) -> None:
    results = []
    for interrupted in (False, True):
        torch.manual_seed(1)
        model = nn.Linear(3, 2)
        optimizer = make(name, model)
        for step in range(6):
            if interrupted and step == 3:
                saved = {key: value.clone() for key, value in optimizer_tensors(optimizer).items()}
                optimizer = make(name, model)
                restore_optimizer(optimizer, saved)
            with_gradients(model, step)
            apply_gradients(optimizer, FINE, 1.0)
        results.append(model.weight.detach())
    assert torch.equal(*results)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_on_a_gpu_a_step_waits_for_nothing(name: str) -> None:
    model = nn.Linear(3, 2).cuda()
    optimizer = make(name, model)
    metrics = RunningMetrics(torch.device("cuda"))
    logits = torch.randn(2, 3, 8, device="cuda", requires_grad=True)
    labels = torch.randint(4, 8, (2, 3), device="cuda")
    for bad in (False, True):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, math.nan if bad else 1.0)
        before = model.weight.detach().clone()
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss = label_smoothed_cross_entropy(logits, labels, 0.1)
            loss.objective.backward()
            norm = apply_gradients(optimizer, loss.objective.detach(), 1.0)
            metrics.add(loss.objective.detach(), loss.negative_log_likelihood, 6, norm)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert torch.equal(before, model.weight) == bad
    assert metrics.most_bad_in_a_row() == 1
