"""A GPU that is none: tensors of a CPU that say they are on one, and are refused as they would be.

What it shows of code that runs with it: tensors meet only those of their own device, nothing on a
GPU is taken for numpy's, no generator of the CPU draws there, random layers there draw from a
stream of their own, and the types that mixed precision gives go together.

What it does not show: kernels, their rounding and their memory, streams, drivers, speed; anything
that torch's functions do within themselves; which types its own mixed precision gives in the end.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")

#: What mixed precision computes in few bits, and what in all, of what backbones call.
_FEW = {"linear", "conv2d", "matmul", "bmm", "addmm", "einsum", "scaled_dot_product_attention"}
_ALL = {"layer_norm", "group_norm", "softmax", "log_softmax", "cross_entropy", "pow", "exp", "norm"}
#: What is no container.
_SINGLE = {int, float, bool, str, type(None), torch.dtype, torch.device, torch.memory_format}
#: What may be given tensors of both devices.
_BOTH = {"copy_", "__set__", "set_data", "_has_compatible_shallow_copy_type"}


class OnGpu(Tensor):
    """A tensor that says it is on a GPU, in memory of the CPU's."""

    #: The state of the GPU's stream of random numbers.
    random: Tensor

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, there):
        return Tensor._make_subclass(cls, there, device_for_backend_keys=GPU)

    def __repr__(self):
        return f"{brought(self)!r} on a GPU"

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            with torch.no_grad():
                memo[id(self)] = copied = OnGpu(brought(self)).requires_grad_(self.requires_grad)
            copied.__dict__.update(self.__dict__)
        return memo[id(self)]

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        with torch.inference_mode(False):
            return cls._computed(func, args, kwargs or {})

    @classmethod
    def _computed(cls, func, args, kwargs):
        outside = {}

        def within(tensor):
            same = _memory(tensor)
            outside[id(same)] = same, tensor
            return same

        args, kwargs = _changed(OnGpu, within, (args, kwargs))
        given = {id(leaf) for leaf in _leaves((args, kwargs))}
        draws = torch.Tag.nondeterministic_seeded in func.tags and not kwargs.get("generator")
        if draws:
            cls.random = _exchanged(cls.random)
        try:
            made = func(*args, **kwargs)
        finally:
            if draws:
                cls.random = _exchanged(cls.random)

        def without(tensor):
            if id(tensor) in outside:
                return outside[id(tensor)][1]
            return tensor if id(tensor) in given else OnGpu(tensor)

        return _changed(Tensor, without, made)


def _leaves(value):
    """As ``tree_leaves``, in a fraction of the time for what calls are mostly given."""
    if isinstance(value, Tensor) or type(value) in _SINGLE:
        return [value]
    if type(value) in (tuple, list):
        return [leaf for part in value for leaf in _leaves(part)]
    if type(value) is dict:
        return [leaf for part in value.values() for leaf in _leaves(part)]
    return tree_leaves(value)


def _changed(kind, change, value):
    """As ``tree_map_only``, likewise."""
    if isinstance(value, Tensor):
        return change(value) if isinstance(value, kind) else value
    if type(value) in _SINGLE:
        return value
    if type(value) in (tuple, list):
        return type(value)([_changed(kind, change, part) for part in value])
    if type(value) is dict:
        return {name: _changed(kind, change, part) for name, part in value.items()}
    return tree_map_only(kind, change, value)


def brought(tensor):
    """Return a copy on the CPU."""
    return _memory(tensor).clone()


def _memory(tensor):
    with torch.no_grad():
        shape = tensor.storage_offset(), tensor.size(), tensor.stride()
        return torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage(), *shape)


def _exchanged(state):
    """Have torch draw from a state; return the one before."""
    before = torch.get_rng_state()
    torch.set_rng_state(state)
    return before


class _Torch(TorchFunctionMode):
    """Torch's functions, as they are where there is a GPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", str(func))
        given = _leaves((args, kwargs))
        if any(isinstance(leaf, Proxy) for leaf in given):
            with self:
                return Proxy.__torch_function__(func, types, args, kwargs)
        there = [leaf for leaf in given if isinstance(leaf, OnGpu)]
        match name:
            case "to":
                return _moved(*args, **kwargs)
            case "cpu":
                return _moved(args[0], CPU)
            case "numpy" | "__array__" if there:
                raise TypeError("can't convert cuda:0 device type tensor to numpy")
            case "tolist" if there:
                return brought(args[0]).tolist()
        device = kwargs.get("device")
        on_gpu = torch.device(device).type == "cuda" if device is not None else bool(there)
        _check(name, args, kwargs, there, on_gpu)
        if device is not None:
            kwargs["device"] = CPU
        if there and torch.is_autocast_enabled("cuda"):
            args, kwargs = _cast(name, args, kwargs)
        made = func(*args, **kwargs)
        if not on_gpu or isinstance(made, torch.Size):
            return made
        return _changed(Tensor, lambda t: t if isinstance(t, OnGpu) else _sent(t), made)


def _check(name, args, kwargs, there, on_gpu):
    if kwargs.get("generator") is not None and on_gpu:
        raise RuntimeError(f"{name}: expected a 'cuda' device type for generator but found 'cpu'")
    if not there or name in _BOTH:
        return
    met = args
    if name in ("__getitem__", "__setitem__"):  # which take a CPU's places in what is on a GPU
        met = args[0], *args[2:]
        if not isinstance(args[0], OnGpu):
            raise RuntimeError(f"{name}: indices should be on the same device as what is indexed")
    for leaf in _leaves((met, kwargs)):
        if isinstance(leaf, Tensor) and not isinstance(leaf, OnGpu) and leaf.ndim:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device")


def _cast(name, args, kwargs):
    if name not in _FEW | _ALL:
        return args, kwargs
    dtype = torch.get_autocast_dtype("cuda") if name in _FEW else torch.float32

    def cast(tensor):
        return Tensor.to(tensor, dtype) if tensor.is_floating_point() else tensor

    return _changed(OnGpu, cast, (args, kwargs))


def _moved(tensor, *args, copy=False, **kwargs):
    if args and isinstance(args[0], Tensor):
        args = args[0].device, args[0].dtype, *args[1:]
    device, dtype, _, form = torch._C._nn._parse_to(*args, **kwargs)
    here = isinstance(tensor, OnGpu)
    if device is not None and (device.type == "cuda") != here:
        tensor, copy = brought(tensor) if here else _sent(tensor.clone()), False
    wanted = {"dtype": dtype, "memory_format": form}
    return Tensor.to(tensor, copy=copy, **{k: v for k, v in wanted.items() if v is not None})


def _sent(tensor):
    assert tensor.grad_fn is None, "its gradient would not come back"
    return OnGpu(tensor.detach()).requires_grad_(tensor.requires_grad)


@contextmanager
def pretended_gpu(monkeypatch, *, major=8, memory=16 * 2**30):
    """Have torch find one GPU for a while.

    Args:
        monkeypatch: Pytest's.
        major: Of its compute capability: from 8 on it has bfloat16.
        memory: Its bytes.
    """
    about = SimpleNamespace(major=major, total_memory=memory, L2_cache_size=2**22, name="none")

    def seed(number):
        OnGpu.random = torch.Generator().manual_seed(number ^ 1).get_state()

    def set_random(state, device=None):
        OnGpu.random = state.clone()

    answers = {
        "is_available": True, "device_count": 1, "current_device": 0, "memory_reserved": 0,
        "get_device_properties": about, "get_device_name": about.name, "_lazy_init": None,
        "mem_get_info": (memory, memory), "memory_allocated": 1, "max_memory_reserved": 1,
        "reset_peak_memory_stats": None, "empty_cache": None, "synchronize": None,
        "set_device": None, "is_initialized": True,
    }  # fmt: skip
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seed)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device=None: OnGpu.random.clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", set_random)
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        monkeypatch.setattr(Optimizer, name, lambda self: None, raising=False)
    seed(0)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Torch():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
