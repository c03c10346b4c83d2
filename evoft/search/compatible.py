"""Which spaces a population can go on in, and what is different in another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evoft.errors import SpaceError
from evoft.genome import Value, same
from evoft.individual import Individual
from evoft.search.gene import Gene
from evoft.search.space import SearchSpace, coerce

#: The way to a space that is too different.
_ANEW = "make a new population that begins with the best of this one (--founders, in Python elders)"


def check_compatible(
    before: SearchSpace,
    after: SearchSpace,
    born: Iterable[Individual],
    named: Mapping[str, Mapping[str, Value]],
) -> None:
    """Refuse a space in which a population cannot go on.

    Bounds, values, defaults and confidences may change, as long as whoever was born stays a genome
    of the space and means what it meant.

    Args:
        before: The space that the population was made in.
        after: The one that it is to go on in.
        born: Everyone that was born.
        named: The founders that were named, who may not be born yet.

    Raises:
        SpaceError: Which gene, what is wrong with it, and what to do.
    """
    if unlike := sorted(set(before) ^ set(after)):
        name = unlike[0]
        what = "is new" if name in after else "is missing"
        raise SpaceError(f"{name}: the gene {what}, but a population keeps its genes: {_ANEW}")
    for name, gene in after.items():
        old = before[name]
        if gene.kind != old.kind:
            raise SpaceError(
                f"{name}: its type was {old.kind} and is to be {gene.kind}: leave it, or {_ANEW}"
            )
        if _condition(gene) != _condition(old):
            raise SpaceError(f"{name}: its condition (`when`) cannot change: leave it, or {_ANEW}")
    for individual in born:
        _check_holds(after, individual.genome, f"individual {individual.id}")
    for founder, part in named.items():
        # Nobody's yet: a number takes the gene's type when the founder is born.
        numbers = {name: coerce(after[name], value) for name, value in part.items()}
        _check_holds(after, numbers, f"the founder `{founder}`")


def check_unpriced(priced: bool) -> None:
    """Refuse another space where genomes have prices, which are told by what the default costs.

    Raises:
        SpaceError: They have.
    """
    if priced:
        raise SpaceError(
            "a population with prices goes on in its own space, by which they are told: leave "
            "`space` out, or make a new population with elders=[...]"
        )


def changes(before: SearchSpace, after: SearchSpace) -> list[str]:
    """Return what is different, a sentence a gene, in the order of the genes."""
    return [f"{name} {what}" for name, old in before.items() if (what := _change(old, after[name]))]


def in_order(before: SearchSpace, after: SearchSpace) -> SearchSpace:
    """Return a space of the same genes in the order that they had: samples go by places."""
    return SearchSpace({name: after[name] for name in before})


def _check_holds(space: SearchSpace, genome: Mapping[str, Value], whose: str) -> None:
    for name, value in genome.items():
        gene = space[name]
        if gene.holds(value):
            continue
        if gene.holds(written := coerce(gene, value)):
            raise SpaceError(
                f"{name}: {whose} has {value!r}, and {written!r} is another value: write it as it "
                f"was, or {_ANEW}"
            )
        raise SpaceError(
            f"{name}: {whose} has {value!r}, which is not in {gene.describe()}: leave room for "
            f"everyone that was born, or {_ANEW}"
        )


def _condition(gene: Gene) -> dict[str, frozenset[tuple[type, Value]]]:
    return {n: frozenset((type(v), v) for v in values) for n, values in (gene.when or {}).items()}


def _change(old: Gene, new: Gene) -> str:
    parts = []
    if (was := old.describe()) != (now := new.describe()) or _bounds(old) != _bounds(new):
        parts.append(f"was in {was} and is now in {now}")
    if not same(old.default, new.default):
        parts.append(f"had the default {old.default} and now has {new.default}")
    if old.confidence != new.confidence:
        parts.append(f"had the confidence {old.confidence} and now has {new.confidence}")
    return ", ".join(parts)


def _bounds(gene: Gene) -> dict[str, object]:
    return {k: v for k, v in gene.to_dict().items() if k not in ("default", "confidence", "when")}
