"""Founders from elders: the best of earlier populations, as far as this space has their genes."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evoft.errors import SettingsError, SpaceError
from evoft.genome import Genome, Value, same
from evoft.search.chronicle import Founders
from evoft.search.space import SearchSpace, coerce

#: Genomes by id, the best first, of each earlier population by its name.
Elders = Mapping[str, Mapping[int, Genome]]


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a new population takes from elders."""

    #: By name, as in ``#12 of digits.h5``: the genes that differ from the default.
    founders: dict[str, dict[str, Value]]
    #: A sentence on each population some of whose genes could not be taken.
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Heir:
    """An elder, and what a founder takes from it."""

    id: int
    source: str
    genome: Genome
    #: The genes that this space has, with values that they can have.
    genes: dict[str, Value]


def inherit(
    space: SearchSpace, elders: Elders, named: Founders, population_size: int
) -> Inheritance:
    """Return the founders that come from the best elders, no two of one phenotype.

    The populations take turns, for the fitness in one says nothing of that in another.  The
    default, the other founders and at least as large a sample have their places in generation 0.

    Args:
        space: Genes whose value an elder does not have, or has of another kind or beyond their
            bounds, take their default.
        elders: Whose best are taken.
        named: The other founders, the default left aside.
        population_size: How many individuals generation 0 has.

    Raises:
        SpaceError: An earlier population has no gene of this space, or another founder has a gene
            or a value that it does not have.
        SettingsError: Generation 0 has no place for them.
    """
    room = population_size - 1 - len(named)
    if elders and room < 1:
        raise SettingsError(
            f"`population_size` must have room for the default, {len(named)} named founders and "
            f"one of an earlier population, but is {population_size}"
        )
    known = {_phenotype(space, {}), *(_named(space, *one) for one in named.items())}
    queues = [iter(_heirs(space, name, genomes)) for name, genomes in elders.items()]
    chosen = list(itertools.islice(_in_turn(space, queues, known), max(1, room // 2)))
    default = space.default()
    founders = {
        f"#{heir.id} of {heir.source}": {
            name: value for name, value in heir.genes.items() if not same(value, default[name])
        }
        for heir in chosen
    }
    said = (_loss(space, [h for h in chosen if h.source == source]) for source in elders)
    return Inheritance(founders, tuple(sentence for sentence in said if sentence))


def _heirs(space: SearchSpace, source: str, genomes: Mapping[int, Genome]) -> list[_Heir]:
    heirs = [_Heir(id, source, genome, _taken(space, genome)) for id, genome in genomes.items()]
    if not any(heir.genes for heir in heirs):
        raise SpaceError(
            f"no founder can come from {source}: of its genes ({', '.join(heirs[0].genome)}) none "
            f"has a value for a gene of this space ({', '.join(space)})"
        )
    return heirs


def _taken(space: SearchSpace, genome: Genome) -> dict[str, Value]:
    values = {name: coerce(space[name], genome[name]) for name in space if name in genome}
    return {name: value for name, value in values.items() if space[name].holds(value)}


def _in_turn(
    space: SearchSpace, queues: list[Iterator[_Heir]], known: set[Hashable]
) -> Iterator[_Heir]:
    """Yield the next of each queue in turn, none of a phenotype that is known by then."""
    while queues:
        for queue in tuple(queues):
            heir = next((h for h in queue if _phenotype(space, h.genes) not in known), None)
            if heir is None:
                queues.remove(queue)
            else:
                known.add(_phenotype(space, heir.genes))
                yield heir


def _named(space: SearchSpace, name: str, part: Mapping[str, Value]) -> Hashable:
    try:
        return _phenotype(space, part)
    except SpaceError as error:
        raise SpaceError(f"the founder `{name}`: {error}") from None


def _phenotype(space: SearchSpace, part: Mapping[str, Value]) -> Hashable:
    phenotype = space.phenotype(space.complete(part))
    return tuple((name, type(value), value) for name, value in phenotype.items())


def _loss(space: SearchSpace, heirs: Sequence[_Heir]) -> str | None:
    """Return what founders of one population could not take, in a sentence; None: nothing."""
    absent = [name for name in space if any(name not in heir.genes for heir in heirs)]
    strange = dict.fromkeys(n for heir in heirs for n in heir.genome if n not in space)
    lost = [f"{', '.join(absent)} at the default"] if absent else []
    lost += [f"without {', '.join(strange)}, not searched here"] if strange else []
    return f"founders come from {heirs[0].source} with {' and '.join(lost)}" if lost else None
