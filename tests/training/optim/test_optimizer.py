import inspect
import math
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import pytest
import torch
from annotated_types import Ge, Le
from torch import nn
from torch.nn.utils import parameters_to_vector

from nmt.config import registry
from nmt.core.errors import ConfigError
from nmt.runs.checkpoint import find_misfit
from nmt.training.logs.running_metrics import RunningMetrics
from nmt.training.objective.cross_entropy import label_smoothed_cross_entropy
from nmt.training.optim.muon import Muon, hidden_matrices
from nmt.training.optim.optimizer import (
    Optimizer,
    apply_gradients,
    optimizer_shapes,
    optimizer_tensors,
    parameter_groups,
    restore_optimizer,
)
from nmt.training.optim.rules import SGD, Adam, AdamW
from nmt.training.optim.table import OPTIMIZERS
from tests.training.conftest import tiny_model

FINE = torch.tensor(1.0)
ADOPTED = {
    kind.__name__: kind
    for kind in vars(torch.optim).values()
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    and kind.__name__ not in ("Optimizer", "LBFGS", "SparseAdam", "Muon")
}
NAMES = [*OPTIMIZERS, *ADOPTED]


def make(name: str, model: nn.Module) -> Optimizer:
    if name == "sgd":
        return SGD(model, momentum=0.9)
    if name in ADOPTED:
        return Optimizer.adopt(ADOPTED[name])(model, learning_rate=1e-2)
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


def test_first_step_of_adam_equals_the_learning_rate() -> None:
    model = nn.Linear(2, 1, bias=False)
    before = model.weight.detach().clone()
    model.weight.grad = torch.tensor([[1e-3, -50.0]])
    apply_gradients(Adam(model, learning_rate=0.01), FINE, None)
    torch.testing.assert_close(model.weight - before, torch.tensor([[-0.01, 0.01]]))


class Both:
    """Muon for matrices, and AdamW for vectors."""

    def __init__(
        self,
        groups: list[dict[str, Any]],
        learning_rate: float = 0.02,
        momentum: float = 0.95,
        adamw_learning_rate: float = 1e-3,
        **_: float,
    ) -> None:
        matrices = [group for group in groups if group["params"][0].ndim == 2]
        others = [group for group in groups if group["params"][0].ndim != 2]
        self.muon = torch.optim.Muon(matrices, learning_rate, momentum=momentum)
        self.adamw = torch.optim.AdamW(others, adamw_learning_rate, foreach=False)

    def step(self) -> None:
        self.muon.step()
        self.adamw.step()


# Of each optimizer: its rule in torch, one tensor after the other, with the options of torch.
PLAIN: dict[str, Callable[..., Any]] = {
    "adam": lambda groups, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8: (
        torch.optim.Adam(groups, learning_rate, (beta1, beta2), epsilon, foreach=False)
    ),
    "adamw": lambda groups, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, **_: (
        torch.optim.AdamW(groups, learning_rate, (beta1, beta2), epsilon, foreach=False)
    ),
    "radam": lambda groups, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8: (
        torch.optim.RAdam(groups, learning_rate, (beta1, beta2), epsilon, foreach=False)
    ),
    "adadelta": lambda groups, learning_rate=1.0, rho=0.95, epsilon=1e-6: torch.optim.Adadelta(
        groups, learning_rate, rho, epsilon, foreach=False
    ),
    "muon": Both,
    "sgd": lambda groups, learning_rate=1.0, momentum=0.0, **_: torch.optim.SGD(
        groups, learning_rate, momentum, foreach=False
    ),
}
DECAY = {"adamw": 0.01, "muon": 0.01}
NUM_STEPS = {"radam": 8}  # its first five steps are those of momentum
ODD = {
    "learning_rate": 0.03,
    "beta1": 0.5,
    "beta2": 0.7,
    "epsilon": 0.3,
    "weight_decay": 0.4,
    "momentum": 0.6,
    "rho": 0.4,
    "adamw_learning_rate": 0.2,
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
    """A few steps with one option off its default, weight decay being for matrices only."""
    options = {option: ODD[option]}

    def several_steps(make: Callable[[nn.Module], Any]) -> torch.Tensor:
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        optimizer = make(model)
        for step in range(NUM_STEPS.get(name, 3)):
            with_gradients(model, step)
            optimizer.step()
        return parameters_to_vector(model.parameters()).detach()

    def plain(model: nn.Module) -> Any:
        decay = options.get("weight_decay", DECAY.get(name, 0.0))
        groups = [
            {"params": [parameter], "weight_decay": decay if parameter.ndim > 1 else 0.0}
            for parameter in model.parameters()
        ]
        return PLAIN[name](groups, **options)

    found = several_steps(lambda model: OPTIMIZERS[name](model, **options))
    torch.testing.assert_close(found, several_steps(plain))
    assert not torch.allclose(found, several_steps(OPTIMIZERS[name]), atol=1e-5)


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


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_training_continues_after_a_bad_step(model: nn.Module, name: str) -> None:
    optimizer = make(name, model)
    with_gradients(model, 1)
    apply_gradients(optimizer, torch.tensor(math.nan), 1.0)
    before = model[0].weight.detach().clone()  # type: ignore[index]
    with_gradients(model, 1)
    apply_gradients(optimizer, FINE, 1.0)
    assert not torch.equal(before, model[0].weight)  # type: ignore[index]


@pytest.mark.parametrize("name", NAMES)
def test_restored_optimizer_continues_exactly(name: str) -> None:
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


class Tied(nn.Module):
    """A model with a weight that two layers share, and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second, self.frozen = (nn.Linear(3, 3) for _ in range(3))
        self.second.weight = self.first.weight
        self.frozen.requires_grad_(False)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_update_between_three_steps_changes_nothing(name: str) -> None:
    """Compare with the optimizer of torch, in three steps without the bad update."""
    model, reference = Tied(), Tied()
    optimizer = make(name, model)
    groups = [
        {"params": [p], "weight_decay": DECAY.get(name, 0.0) if p.ndim > 1 else 0.0}
        for p in reference.parameters()
        if p.requires_grad
    ]
    if name in ADOPTED:
        decay = optimizer.param_groups[0]["weight_decay"]
        groups = [
            {**group, "weight_decay": decay if group["params"][0].ndim > 1 else 0.0}
            for group in groups
        ]
        rule: Any = ADOPTED[name](groups, lr=1e-2)
    else:
        rule = PLAIN[name](groups, **({"momentum": 0.9} if name == "sgd" else {}))
    for step, bad in enumerate([False, True, False, False]):
        for each in (model, reference):
            with_gradients(each, step)
            each.frozen.zero_grad(set_to_none=True)
        if bad:
            model.first.bias.grad[1] = math.nan  # type: ignore[index]
        else:
            rule.step()
        apply_gradients(optimizer, FINE, None)
    torch.testing.assert_close(model.state_dict(), reference.state_dict())


def test_muon_trains_hidden_matrices() -> None:
    model = tiny_model()
    trained = {id(p) for p in hidden_matrices(model)}
    names = {name for name, p in model.named_parameters() if id(p) in trained}
    shapes = {name: p.ndim for name, p in model.named_parameters()}
    vocabulary = ("source_embedding.", "target_embedding.", "projection.")
    matrices = {n for n, dim in shapes.items() if dim == 2 and not n.startswith(vocabulary)}
    direction = "decoder.attention.score.direction.weight"  # a vector as a matrix of one row
    assert direction in matrices
    assert names == matrices - {direction}
    parts = {name.split(".")[0] for name in names}
    assert parts == {"encoder", "bridge", "decoder"}
    assert any("attention" in name for name in names)
    hidden, *others = OPTIMIZERS["muon"](model).param_groups
    assert {id(p) for p in hidden["params"]} == trained
    everything = [p for group in (hidden, *others) for p in group["params"]]
    assert len(everything) == len({id(p) for p in everything}) == len(list(model.parameters()))


def test_muon_and_adamw_have_rates_of_their_own(model: nn.Module) -> None:
    optimizer = Muon(model, learning_rate=0.5, adamw_learning_rate=0.25)
    optimizer.set_learning_rate(0.125)  # a quarter of the learning rate
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.0625, 0.0625]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (torch.optim.LBFGS, "LBFGS computes the loss several times in a step; choose another"),
        (torch.optim.SparseAdam, "SparseAdam needs sparse gradients, and the model has none; cho"),
        (
            nn.Linear,
            "Linear is not an optimizer with the argument lr; extend nmt.training.optim.op",
        ),
    ],
)
def test_optimizers_that_cannot_be_used_are_refused(kind: type, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        Optimizer.adopt(kind)


def test_a_subclass_of_lbfgs_is_refused() -> None:
    with pytest.raises(ConfigError, match="Mine computes the loss several times in a step"):
        type("Mine", (Optimizer, torch.optim.LBFGS), {})


def test_options_of_an_adopted_optimizer_are_its_numbers_and_flags(model: nn.Module) -> None:
    kind = Optimizer.adopt(torch.optim.NAdam)
    assert Optimizer.adopt(torch.optim.NAdam) is kind
    assert Optimizer.adopt(kind) is kind
    options = {
        name: parameter.default
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    chosen = ("learning_rate", "betas", "eps", "weight_decay", "momentum_decay")
    assert {name: options[name] for name in chosen} == {
        "learning_rate": 2e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0,
        "momentum_decay": 4e-3,
    }
    assert options.keys().isdisjoint({"lr", "foreach", "capturable", "differentiable"})
    optimizer: Any = kind(model, learning_rate=0.5, weight_decay=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.0]


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        (torch.optim.AdamW, "betas", (0.8, 0.9)),
        (torch.optim.Adam, "betas", (0.8, 0.9)),
        (torch.optim.SGD, "weight_decay", 0.5),
        (torch.optim.SGD, "nesterov", False),
    ],
)
def test_options_that_torch_also_takes_as_tensors(
    kind: type, option: str, value: object, model: nn.Module
) -> None:
    adopted: Any = Optimizer.adopt(kind)
    annotation = inspect.signature(adopted).parameters[option].annotation
    number = Annotated[float, Ge(-1e9), Le(1e9)]
    assert annotation in (tuple[number, number], number, bool)
    optimizer = adopted(model, learning_rate=0.1, **{option: value})
    assert optimizer.param_groups[0][option] == value


def test_a_value_that_torch_refuses_is_one_line(model: nn.Module) -> None:
    nadam: Any = Optimizer.adopt(torch.optim.NAdam)
    with pytest.raises(ConfigError) as caught:
        nadam(model, learning_rate=0.1, eps=-1.0)
    assert str(caught.value) == (
        "training.optimizer: Invalid epsilon value: -1.0; choose another value"
    )
    muon: Any = Optimizer.adopt(torch.optim.Muon)
    with pytest.raises(
        ConfigError, match=r"^training\.optimizer: Muon only supports 2D parameters"
    ):
        muon(model, learning_rate=0.1)


class Counting(Optimizer, torch.optim.SGD):
    """Keeps a number that is no tensor."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(parameter_groups(model, 0.0), lr=0.1)

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["count"] = 7


def test_state_must_be_tensors(model: nn.Module) -> None:
    optimizer = Counting(model)
    assert optimizer_tensors(optimizer) == {}
    optimizer.step()
    with pytest.raises(ConfigError) as caught:
        optimizer_tensors(optimizer)
    assert str(caught.value) == (
        "training.optimizer: Counting keeps 'count' as int, which cannot be saved; make it a tensor"
    )


@pytest.mark.parametrize("name", NAMES)
def test_saved_tensors_are_those_that_a_resume_needs(model: nn.Module, name: str) -> None:
    optimizer = make(name, model)
    assert optimizer_shapes(optimizer, {}) == {}
    with_gradients(model, 1)
    apply_gradients(optimizer, FINE, None)
    saved = optimizer_tensors(optimizer)
    assert saved or name == "SGD", "torch's has no momentum by default"
    assert find_misfit(saved, optimizer_shapes(optimizer, saved)) is None
    more = {**saved, "99.step": torch.tensor(1.0)}
    assert find_misfit(more, optimizer_shapes(optimizer, more)) is not None
    if optimizer.state_keys is not None and len(optimizer.state_keys) > 1:
        del saved[f"0.{optimizer.state_keys[-1]}"]
        assert find_misfit(saved, optimizer_shapes(optimizer, saved)) is not None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_on_a_gpu_a_step_waits_once(name: str) -> None:
    model = nn.Linear(3, 2).cuda()
    optimizer = make(name, model)
    metrics = RunningMetrics(torch.device("cuda"))
    logits = torch.randn(2, 3, 8, device="cuda", requires_grad=True)
    labels = torch.randint(4, 8, (2, 3), device="cuda")
    for bad in (False, True):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, math.nan if bad else 1.0)
        before = model.weight.detach().clone()
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                loss = label_smoothed_cross_entropy(logits, labels, 0.1)
                loss.objective.backward()
                norm = apply_gradients(optimizer, loss.objective.detach(), 1.0)
                metrics.add(loss.objective.detach(), loss.negative_log_likelihood, 6, norm)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert len(waits) == 1, "to know whether the norm is finite"
        assert torch.equal(before, model.weight) == bad
    assert metrics.most_bad_in_a_row() == 1
