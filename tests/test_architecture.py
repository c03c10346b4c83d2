"""The import table of docs/design.md, read from the code itself; and no random state but our own.

CI checks the same table with import-linter, which follows indirect imports too; this one also sees
imports inside functions.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import evoft

PACKAGE = Path(evoft.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {
    "kernels", "search", "training", "lineage", "workers", "analysis", "cli", "fine_tuning",
    "testing",
}  # fmt: skip
#: Modules at the top that are no part of the contract.
ABOVE = {
    "run", "desk", "evolution", "scheduling", "ledger", "elders", "migration", "arguments",
    "library", "fitness_loop", "environment", "__init__", "__main__",
}  # fmt: skip

#: What each room may import of evoft, beside the contract and itself.
KNOWS = {
    "contract": set[str](),
    "kernels": set[str](),
    "search": {"kernels"},
    "training": set[str](),
    "lineage": set[str](),
    "workers": set[str](),
    "analysis": {"lineage", "kernels"},
    "testing": {"search"},
    "environment": set[str](),
    "__main__": {"cli"},
    "scheduling": set[str](),
    "evolution": {"search", "lineage", "ledger"},
    "desk": {"evolution", "scheduling"},
    "run": {"evolution", "desk", "scheduling"},
    "ledger": {"lineage"},
    "elders": {"search", "lineage"},
    "migration": {"search", "lineage"},
    "arguments": {"search"},
    "fitness_loop": {"workers", "arguments", "evolution", "run"},
    "library": {
        "search",
        "lineage",
        "arguments",
        "elders",
        "migration",
        "evolution",
        "fitness_loop",
        "ledger",
        "environment",
    },
    "fine_tuning": {
        "search",
        "lineage",
        "workers",
        "training",
        "elders",
        "migration",
        "evolution",
        "run",
        "scheduling",
        "environment",
    },
}
#: Other people's packages that each room may never import.
NEVER = {
    "contract": {
        "torch",
        "timm",
        "torchvision",
        "deap",
        "h5py",
        "click",
        "scipy",
        "sklearn",
        "PIL",
        "numba",
    },
    "kernels": {"torch", "timm", "torchvision", "deap", "h5py", "click", "scipy", "sklearn", "PIL"},
    "search": {"torch", "timm", "torchvision", "h5py", "click"},
    "training": {"deap", "h5py", "click", "numba"},
    "lineage": {"deap", "torch", "timm", "torchvision", "click", "numba"},
    "workers": {"deap", "h5py", "click", "torch", "timm", "torchvision"},
    "scheduling": {"torch", "timm", "torchvision", "click", "deap", "h5py", "numpy"},
    "run": {"torch", "timm", "torchvision", "click"},
    "desk": {"torch", "timm", "torchvision", "click"},
    "evolution": {"torch", "timm", "torchvision", "click"},
    "ledger": {"torch", "timm", "torchvision", "click", "deap"},
    "elders": {"torch", "timm", "torchvision", "click"},
    "migration": {"torch", "timm", "torchvision", "click"},
    "arguments": {"torch", "timm", "torchvision", "deap", "h5py", "click"},
    "fitness_loop": {"torch", "timm", "torchvision", "click", "h5py", "deap"},
    "library": {"torch", "timm", "torchvision", "click"},
    "analysis": {"torch", "timm", "torchvision", "deap", "click"},
    "testing": {"torch", "timm", "torchvision", "h5py", "click"},
}
#: Never imported while a module is being imported, but for training's own heavy modules.
LATE = {"torch", "timm", "torchvision", "sklearn", "numba"}


@dataclass(frozen=True)
class Import:
    """One imported module, where, and whether it is imported with the file itself."""

    name: str
    line: int
    at_once: bool


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def room_of(path: Path) -> str:
    part = part_of(path)
    return part if part in ROOMS | ABOVE else "contract"


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_in(node: ast.AST, at_once: bool = True) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, at_once)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: a relative import"
            assert child.module
            for alias in child.names:
                yield Import(f"{child.module}.{alias.name}", child.lineno, at_once)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            late = inside or (isinstance(child, ast.stmt) and is_for_types(child))
            yield from imports_in(child, at_once and not late)


@functools.cache
def imports_of(path: Path) -> list[Import]:
    return list(imports_in(ast.parse(path.read_text())))


def test_every_file_is_in_a_room_of_the_design() -> None:
    assert len(FILES) > 50
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders == ROOMS | {"settings"}
    contract = {name_of(p) for p in FILES if room_of(p) == "contract"}
    assert {"errors.py", "seeds.py", "recipe.py", "outcome.py", "trial.py"} <= contract


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_the_rooms_that_it_knows(path: Path) -> None:
    room = room_of(path)
    if room not in KNOWS:  # cli and evoft/__init__ know all of them
        assert room in {"cli", "__init__"}
        return
    contract = {part_of(p) for p in FILES if room_of(p) == "contract"}
    allowed = KNOWS[room] | contract | {room}
    for found in imports_of(path):
        parts = found.name.split(".")
        if parts[0] == "evoft":
            assert parts[1] in allowed, f"line {found.line}: {room} imports {found.name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_never_imports_what_its_row_forbids(path: Path) -> None:
    for found in imports_of(path):
        package = found.name.split(".")[0]
        assert package not in NEVER.get(room_of(path), set()), f"line {found.line}: {found.name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_torch_is_imported_only_when_it_is_needed(path: Path) -> None:
    """Outside training nothing heavy is imported with a module; nor what imports it."""
    if room_of(path) in {"training", "kernels"}:
        return
    assert "evoft.training.loop" in heavy()
    for found in at_once(path):
        assert found.name.split(".")[0] not in LATE, f"line {found.line}: {found.name}"
        assert found.name.rpartition(".")[0] not in heavy(), f"line {found.line}: {found.name}"


@functools.cache
def heavy() -> set[str]:
    """Return the modules of training and kernels that import something heavy with themselves."""
    return {
        "evoft." + str(p.relative_to(PACKAGE).with_suffix("")).replace("/", ".")
        for p in FILES
        if room_of(p) in {"training", "kernels"}
        and any(f.name.split(".")[0] in LATE for f in at_once(p))
    }


def at_once(path: Path) -> list[Import]:
    return [found for found in imports_of(path) if found.at_once]


MODULES = ["evoft", "evoft.cli.main", "evoft.fine_tuning", "evoft.workers.nursery"]


@pytest.mark.parametrize("module", MODULES)
def test_the_parent_of_a_run_has_not_imported_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({LATE!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


#: Names through which a module's own, hidden random state is used.
GLOBAL_RANDOM = {
    "random", "np.random", "numpy.random", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all",
    "torch.seed", "torch.set_rng_state", "torch.get_rng_state", "torch.random",
}  # fmt: skip
#: What makes a generator of one's own.
OWN = {"Generator", "default_rng", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
#: Where a library reads a global generator (docs/design.md, rule 1).
LENT = {
    # What DEAP's modules are given in place of the global one: a generator, seeded for each use.
    "search/variation.py": {"random.Random"},
    # Where torch has no place for a generator: dropout, and the start weights of layers.
    "training/loop.py": {"torch.manual_seed"},
    "training/streams.py": {"torch.get_rng_state", "torch.set_rng_state"},
    "training/start.py": {"torch.manual_seed"},
    "training/backbone.py": {"torch.manual_seed"},
    # What is traced or checked draws from torch's own state, which is put back as it was.
    "training/prefix/split.py": {"torch.manual_seed", "torch.random.fork_rng"},
    "training/heads/linear.py": {"torch.manual_seed", "torch.random.fork_rng"},
}
#: torch's functions that draw from its global generator unless they are given one.
DRAWS = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "bernoulli", "normal"}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def global_randomness(path: Path) -> Iterator[str]:
    """Yield every call in a file that uses or changes a global random state."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in GLOBAL_RANDOM:
            for alias in node.names:
                if alias.name not in OWN:
                    yield f"{node.module}.{alias.name}"
        if not isinstance(node, ast.Call):
            continue
        owner, _, name = dotted(node.func).rpartition(".")
        if owner in GLOBAL_RANDOM and name not in OWN:
            yield f"{owner}.{name}"
        if owner == "torch" and (name == "manual_seed" or "torch." + name in GLOBAL_RANDOM):
            yield f"torch.{name}"
        if (
            owner == "torch"
            and name in DRAWS
            and not any(k.arg == "generator" for k in node.keywords)
        ):
            yield f"torch.{name} without a generator"
        if name == "default_rng" and not node.args:
            yield "default_rng without a seed"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_global_random_state_is_used(path: Path) -> None:
    assert set(global_randomness(path)) - LENT.get(name_of(path), set()) == set()


def test_the_random_rule_finds_what_it_forbids(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import random, torch, numpy as np\nfrom random import shuffle\n"
        "random.random(); np.random.seed(3); np.random.rand(); torch.manual_seed(1)\n"
        "torch.rand(3); np.random.default_rng(); torch.rand(3, generator=dice)\n"
        "np.random.default_rng(3); rng.random(); rng.integers(3); dice.generator.seed()\n"
    )
    assert sorted(global_randomness(bad)) == [
        "default_rng without a seed", "np.random.rand", "np.random.seed", "random.random",
        "random.shuffle", "torch.manual_seed", "torch.rand without a generator",
    ]  # fmt: skip
    assert [f.name for f in imports_of(bad)] == ["random", "torch", "numpy", "random.shuffle"]


def test_no_module_of_tests_loads_a_profile_of_hypothesis_for_the_others() -> None:
    tests = Path(__file__).parent
    loading = {
        path.relative_to(tests).as_posix()
        for path in tests.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and dotted(node.func).endswith(".load_profile")
    }
    assert loading == {"conftest.py"}


def test_no_two_modules_of_tests_share_a_name() -> None:
    """pytest imports them by their last name alone and refuses the second."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
