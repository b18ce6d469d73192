import pytest
import torch

from nmt.core.errors import ConfigError
from nmt.system.device import has_bfloat16, has_int8, resolve_device, resolve_precision, to_host

CPU = torch.device("cpu")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """Pretends that the machine has so many GPUs."""
    count: int = request.param
    monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    return count


def pretend_cpu(monkeypatch: pytest.MonkeyPatch, *, avx512: bool, amx: bool) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)


@pytest.mark.parametrize(
    ("gpus", "name", "device"),
    [
        (0, "auto", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_devices(name: str, device: str) -> None:
    assert resolve_device(name) == torch.device(device)


@pytest.mark.parametrize(
    ("gpus", "rank", "device"),
    [(2, 1, "cuda:1"), (2, 2, "cuda:0"), (0, 1, "cpu")],
    indirect=["gpus"],
)
def test_each_process_of_torchrun_takes_its_own_gpu(
    gpus: int, rank: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))
    assert resolve_device("auto") == torch.device(device)
    if gpus:
        assert resolve_device("cuda") == torch.device(device)
        assert resolve_device("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize(
    ("gpus", "name", "message"),
    [
        (0, "cuda", "device: 'cuda' not found on this machine; available: cpu$"),
        (
            2,
            "cuda:2",
            "device: 'cuda:2' not found on this machine; available: cpu, cuda:0, cuda:1$",
        ),
        (0, "gpu", "device: 'gpu' not found on this machine; available: cpu$"),
        (0, "cuda:", "device: 'cuda:' not found on this machine; available: cpu$"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_missing_device_is_an_error(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_device(name)


@pytest.mark.parametrize(("avx512", "amx"), [(True, False), (False, True), (True, True)])
def test_auto_is_bfloat16_on_a_cpu_that_has_it(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool
) -> None:
    pretend_cpu(monkeypatch, avx512=avx512, amx=amx)
    assert resolve_precision("auto", CPU) == torch.bfloat16
    assert resolve_precision("bfloat16", CPU) == torch.bfloat16
    assert resolve_precision("float32", CPU) == torch.float32


def test_bfloat16_is_refused_on_a_cpu_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_cpu(monkeypatch, avx512=False, amx=False)
    assert resolve_precision("auto", CPU) == torch.float32
    assert resolve_precision("float32", CPU) == torch.float32
    with pytest.raises(ConfigError, match="'bfloat16' is not supported on this cpu; use float32"):
        resolve_precision("bfloat16", CPU)


def test_torch_can_check_the_cpu() -> None:
    assert has_bfloat16(CPU) in (True, False)
    assert has_int8() in (True, False)


def test_int8_is_refused_without_vnni_and_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda: True)
    assert resolve_precision("int8", CPU) == torch.int8
    with pytest.raises(
        ConfigError, match="'int8' is only supported on the CPU, not on cuda:0; use"
    ):
        resolve_precision("int8", torch.device("cuda:0"))
    monkeypatch.setattr("torch.cpu._is_vnni_supported", lambda: False)
    with pytest.raises(ConfigError, match=r"'int8' is not supported on this CPU, .*; use float32"):
        resolve_precision("int8", CPU)


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_gpus_have_bfloat16_since_ampere(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: str
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda:0")) == getattr(torch, dtype)


def test_unknown_precision() -> None:
    message = "precision: unknown precision 'float16'; allowed: auto, float32, bfloat16, int8"
    with pytest.raises(ConfigError, match=message):
        resolve_precision("float16", CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu_is_found() -> None:
    device = resolve_device("auto")
    assert torch.zeros(1, device=device).device == device
    assert resolve_precision("auto", device) in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("values", [True, 3, 0.5, [1, 2], [[0.5], [1.5]]])
def test_values_on_the_host_are_numbers_of_python(values: object) -> None:
    assert to_host(torch.tensor(values)) == values


def test_a_dtype_and_a_device_are_checked_as_their_names_are() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision(torch.float32, cpu) == torch.float32
    with pytest.raises(ConfigError, match="unknown precision 'float16'; allowed: auto, float32"):
        resolve_precision(torch.float16, cpu)
    assert resolve_device(cpu) == cpu
    with pytest.raises(ConfigError, match="'meta' not found on this machine"):
        resolve_device(torch.device("meta"))
