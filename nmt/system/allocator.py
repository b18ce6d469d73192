"""Memory that is kept for the next batch: what was freed, and the last compiled kernels."""

import ctypes
import os
import sys
from typing import Final

# From glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGE = 2**30
_LARGEST_FOR_SOME = 2**25  # older versions refuse more

_CACHES: Final = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Of oneDNN, and of PyTorch's way to it, which hold 1,024 kernels each by default."""

FOR_SEARCH: Final = (64, 16)
FOR_TRAINING: Final = (256, 64)  # whose batches repeat much the same shapes


def keep_freed_memory() -> None:
    """Stop the C allocator from mapping and unmapping the memory of every large tensor.

    By default glibc returns a freed tensor of more than some megabytes to the system, and the next
    one of the same size is paged in afresh, zero by zero: about a quarter of an update on a CPU,
    and more of a beam search.
    Does nothing where the C library is another.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        if not mallopt(_M_MMAP_THRESHOLD, _LARGE):
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_FOR_SOME)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)


def return_freed_memory() -> None:
    """Return to the system, once, what `keep_freed_memory` has kept.

    Does nothing where the C library is another.
    """
    if sys.platform != "linux":
        return
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def limit_kernel_caches(numbers: tuple[int, int]) -> None:
    """Limit the compiled kernels that oneDNN caches; call before its first product.

    On a CPU it compiles one for each shape of a product. A search meets ever new shapes, as
    hypotheses end, and so does training with batches of all lengths: the caches of default size
    grow to a gigabyte. A limit that the environment already sets is kept.

    Args:
        numbers: of kernels in each of the caches.
    """
    for name, number in zip(_CACHES, numbers, strict=True):
        os.environ.setdefault(name, str(number))
