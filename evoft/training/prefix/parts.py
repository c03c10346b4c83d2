"""Parts of a model: code that can be pickled, and that code bound to a model's own modules."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from evoft.training.prefix.dataflow import drop_rate_of


class Bound(nn.Module):
    """A part of a model with the model's own modules, under the names that they have there."""

    def __init__(self, code: Callable[..., Any], model: nn.Module, targets: Iterable[str]) -> None:
        super().__init__()
        self._code = code
        self.drop_rate = drop_rate_of(model)
        root = nn.Module()
        root.model = model
        for target in targets:
            *outer, name = target.split(".")
            there: Any = root
            here: Any = self
            for part in outer:
                there = getattr(there, part)
                if not hasattr(here, part):
                    setattr(here, part, nn.Module())
                here = getattr(here, part)
            if here is not there:
                setattr(here, name, getattr(there, name))

    def forward(self, *values: Tensor) -> Any:
        """Return what the part gives for the values that it starts from."""
        return self._code(self, *values)


@dataclass(frozen=True)
class Part:
    """A part of a model, not bound to a model's parameters; it can be pickled."""

    #: The part as the Python code of a method.
    source: str
    #: What the code calls, by the names that it has there.
    names: dict[str, Any]
    #: The modules, parameters and buffers of the model that it uses, by name.
    targets: tuple[str, ...]
    #: Tensors met while tracing that are no part of the model's state.
    constants: dict[str, Tensor]

    @functools.cached_property
    def _code(self) -> Callable[..., Any]:
        """The method: compiled once, for whatever model the part is bound to."""
        names = dict(self.names)
        exec(compile(self.source, "<part of a model>", "exec"), names)
        code: Callable[..., Any] = names["forward"]
        return code

    def __reduce__(self) -> tuple[Callable[..., Part], tuple[Any, ...]]:
        modules = {k: v.__name__ for k, v in self.names.items() if isinstance(v, ModuleType)}
        others = {k: v for k, v in self.names.items() if k not in modules}
        return _unpickled, (self.source, modules, others, self.targets, self.constants)

    def bind(self, model: nn.Module) -> Bound:
        """Return the part with a model's own modules, parameters and ``drop_rate``."""
        bound = Bound(self._code, model, self.targets)
        for name, tensor in self.constants.items():
            bound.register_buffer(name, tensor)
        return bound


def _unpickled(
    source: str,
    modules: dict[str, str],
    others: dict[str, Any],
    targets: tuple[str, ...],
    constants: dict[str, Tensor],
) -> Part:
    imported = {name: importlib.import_module(module) for name, module in modules.items()}
    return Part(source, {**others, **imported}, targets, constants)
