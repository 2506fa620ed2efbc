"""A GPU that is none: tensors that say they are on "cuda", compute on the CPU and mind where others are.

What a real GPU refuses is refused: operations on tensors of different devices (but for scalars), and NumPy
arrays of tensors that were not brought to the CPU. Threads that are started while there is such a GPU see it,
too. `watched` counts what would take a real one's time: operations, and how often the CPU waits for it.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
_MOVES = ("aten::_to_copy", "aten::copy_")
_WAIT = (
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::_unique2",
    "aten::_linalg_check_errors",
)
_WITH_MASKS = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")


@dataclass
class Watched:
    """What was asked of the GPU."""

    waits: Counter[str] = field(default_factory=Counter)
    """Operation -> how often the CPU waited for its result: copies from and to the CPU, and what depends on
    values there."""
    launches: Counter[str] = field(default_factory=Counter)
    """Operation -> how often it was called; views are none."""


_watching: list[Watched] = []


@contextlib.contextmanager
def watched() -> Iterator[Watched]:
    """Counts what is asked of the GPU within it, by any thread."""
    found = Watched()
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.remove(found)


class FakeCudaTensor(torch.Tensor):
    """Holds its values in a tensor on the CPU."""

    @staticmethod
    def __new__(cls, values: torch.Tensor):
        fake = torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device="meta",  # torch's own code would look for a driver
            requires_grad=values.requires_grad,
        )
        fake.values_ = values
        return fake

    @property
    def device(self) -> torch.device:
        return CUDA

    def new_tensor(self, data, *, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=CUDA)

    def tolist(self) -> list:
        _count(("waits", "tolist"))
        return self.values_.tolist()

    def __getitem__(self, index):
        return super().__getitem__(_indices(index))

    def __setitem__(self, index, value) -> None:
        super().__setitem__(_indices(index), value)

    def __repr__(self) -> str:
        return f"FakeCudaTensor({self.values_!r})"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _indices(index):
    """An index with tensors in place of lists: torch would make those on "meta", and their values be lost."""
    if isinstance(index, tuple):
        return tuple(_indices(part) for part in index)
    return torch.tensor(index, device=CUDA) if isinstance(index, list) else index


class _Factories(TorchDispatchMode):
    """Catches what makes tensors on the GPU out of nothing."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function._can_decompose():  # in inference mode they come whole
            with self:
                found = function.decompose(*args, **kwargs)
            if found is not NotImplemented:
                return found
        return _run(function, args, kwargs)


def _run(function, args, kwargs):
    name = function._schema.name
    if name == "aten::_pin_memory":
        return args[0].clone()
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    fakes = [value for value in tensors if isinstance(value, FakeCudaTensor)]
    if any(t.is_meta for t in tensors if not isinstance(t, FakeCudaTensor)):
        raise RuntimeError(f"{name}: a tensor without values")  # what came of it would be anything
    asked = kwargs.get("device")
    # To torch's own code the fakes are on "meta", so that is what it asks for.
    onto_gpu = bool(fakes) if asked is None else torch.device(asked).type in ("cuda", "meta")
    if fakes and name not in _MOVES:
        strangers = [t for t in tensors if not isinstance(t, FakeCudaTensor) and t.ndim]
        index = name in ("aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_")
        if strangers and not (index and isinstance(args[0], FakeCudaTensor)):
            raise RuntimeError(f"{name}: tensors on the CPU and on the GPU")
    if fakes or onto_gpu:
        _count(*_costs(function, args, fakes=fakes, onto_gpu=onto_gpu))
    if asked is not None and onto_gpu:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}

    def bare(value):
        return value.values_ if isinstance(value, FakeCudaTensor) else value

    found = function(*tree_map(bare, args), **tree_map(bare, kwargs))
    if name == "aten::copy_":
        onto_gpu = isinstance(args[0], FakeCudaTensor)
    if not onto_gpu:
        return found
    known = {id(value.values_): value for value in fakes}

    def wrapped(value):
        if not isinstance(value, torch.Tensor) or isinstance(value, FakeCudaTensor):
            return value
        return known.get(id(value)) if id(value) in known else FakeCudaTensor(value)

    return tree_map(wrapped, found)


def _costs(function, args, *, fakes: list, onto_gpu: bool) -> Iterator[tuple[str, str]]:
    """What a call takes, ("waits" or "launches", operation)."""
    name = function._schema.name
    written = [value.alias_info for value in function._schema.returns]
    if not any(alias is not None and not alias.is_write for alias in written):
        yield "launches", name
    masks = name in _WITH_MASKS and any(index is not None and index.dtype == torch.bool for index in args[1])
    if name == "aten::_to_copy":
        moves = onto_gpu != bool(fakes)
    else:
        moves = name == "aten::copy_" and isinstance(args[0], FakeCudaTensor) != isinstance(
            args[1], FakeCudaTensor
        )
    if name in _WAIT or masks or moves:
        yield "waits", name


def _count(*costs: tuple[str, str]) -> None:
    for found in _watching:
        for kind, name in costs:
            getattr(found, kind)[name] += 1


def _enter_no_grad(self) -> None:
    self.no_grad_ = torch.no_grad()
    self.no_grad_.__enter__()


def _exit_no_grad(self, *error) -> None:
    self.no_grad_.__exit__(*error)


@contextlib.contextmanager
def fake_gpu(monkeypatch) -> Iterator[torch.device]:
    """Within it `torch.device("cuda")` can be used as if there were one."""
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check = "_accelerator_graph_capture_health_check"  # asks the driver
    monkeypatch.setattr(torch.optim.Optimizer, check, lambda self: None, raising=False)
    # Views of such tensors cannot be made in inference mode; without gradient will do.
    monkeypatch.setattr(torch.inference_mode, "__enter__", _enter_no_grad)
    monkeypatch.setattr(torch.inference_mode, "__exit__", _exit_no_grad)
    run = threading.Thread.run

    def run_seeing_it(thread: threading.Thread) -> None:
        with _seen_by_this_thread():
            run(thread)

    monkeypatch.setattr(threading.Thread, "run", run_seeing_it)
    with _seen_by_this_thread():
        yield CUDA


@contextlib.contextmanager
def _seen_by_this_thread() -> Iterator[None]:
    # torch.tensor() makes its tensor on the CPU and moves it where the mode sees it.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with _Factories():
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
