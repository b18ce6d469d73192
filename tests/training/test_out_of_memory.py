import pytest
import torch

from nmt.process_group import LostProcess, talk
from nmt.training.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), True),
        (RuntimeError("in rank 1:\ntorch.OutOfMemoryError: CUDA out of memory."), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_what_says_that_there_is_no_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_process_without_memory_is_not_taken_for_the_death_of_another() -> None:
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(torch.OutOfMemoryError):
        talk(lambda: fail(torch.OutOfMemoryError("CUDA out of memory.")))
    with pytest.raises(LostProcess, match=r"has died \(Connection closed by peer\)"):
        talk(lambda: fail(RuntimeError("Connection closed by peer")))
