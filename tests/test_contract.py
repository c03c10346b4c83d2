"""The records that pass between the rooms, and the names of random streams."""

from __future__ import annotations

import math
import pickle
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.errors import SettingsError
from evoft.genome import Genome
from evoft.individual import Generation, Individual, best_of
from evoft.outcome import Outcome, Status
from evoft.recipe import Recipe, takes_momentum, whole
from evoft.search.space import SearchSpace
from evoft.seeds import derive, generator
from evoft.shared import SharedArray
from evoft.trial import Stage, Trial

VALUES = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
GENOMES = st.dictionaries(st.text(), VALUES, max_size=5).map(Genome)


@given(GENOMES)
def test_a_genome_is_read_back_to_the_bit(genome: Genome) -> None:
    again = Genome.from_json(genome.to_json())
    assert again == genome
    assert hash(again) == hash(genome)
    assert [type(v) for v in again.values()] == [type(v) for v in genome.values()]
    assert pickle.loads(pickle.dumps(genome)) == genome
    assert repr(again) == repr(genome)


def test_a_genome_tells_types_apart_and_cannot_be_changed() -> None:
    genomes = [Genome(a=1), Genome(a=1.0), Genome(a=True)]
    assert len(set(genomes)) == 3
    assert Genome(a=1) == {"a": 1}
    assert Genome(a=1) != {"a": 1.0}
    assert Genome(a=1) != {"a": 1, "b": 2}
    assert Genome({"a": 1}, b=2) == Genome(b=2, a=1)
    with pytest.raises(TypeError):
        genomes[0]["a"] = 2  # type: ignore[index]
    assert genomes[0].replace(a=2, b="x") == {"a": 2, "b": "x"}
    assert genomes[0] == {"a": 1}
    assert Genome(a=1) != 1
    assert repr(Genome(a=0.5, b="x")) == "Genome(a=0.5, b='x')"


@given(st.integers(), st.text(max_size=5), st.lists(st.integers(0, 9), max_size=2))
def test_seeds_are_in_range_and_repeatable(seed: int, purpose: str, ids: list[int]) -> None:
    derived = derive(seed, purpose, *ids)
    assert 0 <= derived < 2**63
    assert derived == derive(seed, purpose, *ids)
    assert generator(seed, purpose, *ids).random() == generator(seed, purpose, *ids).random()


def test_seeds_are_the_same_on_every_machine_and_different_for_every_name() -> None:
    assert derive(0, "breed", 1) == 5496013037224656560
    assert generator(0, "breed", 1).integers(2**32) == 329163074
    names = [(s, p, i) for s in range(5) for p in ("breed", "trial") for i in range(50)]
    assert len({derive(*name) for name in names}) == len(names)
    assert len({derive(1, "a", 2), derive(1, "a", 2, 0), derive(12, "a"), derive(1, "a2")}) == 4


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("fitness", [1.0, math.nan, math.inf, -math.inf])
def test_the_score_is_the_fitness_of_what_ended_well_alone(status: Status, fitness: float) -> None:
    score = Outcome(status, fitness).score
    assert score == (1.0 if status is Status.OK and fitness == 1.0 else -math.inf)


def individual(id: int, fitness: float, status: Status = Status.OK) -> Individual:
    return Individual(id, 0, (), "sample", Genome(a=id), id, Outcome(status, fitness))


def test_the_best_is_the_elder_of_equals() -> None:
    members = [individual(n, f) for n, f in enumerate([0.5, 1.0, 1.0])]
    assert best_of(members) is members[1]
    assert best_of(members[::-1]) is members[1]
    assert best_of([]) is None
    assert best_of([individual(0, 9.0, Status.LOST)]) is None
    generation = Generation(0, tuple(members), members[1])
    assert generation.best is members[1]
    assert generation.scores == [0.5, 1.0, 1.0]


def test_an_individual_without_an_outcome() -> None:
    unjudged = Individual(0, 0, (), "default", Genome(a=1), 5)
    assert unjudged.score == -math.inf
    assert math.isnan(unjudged.fitness)
    assert unjudged.status is None
    assert individual(0, 2.0).status is Status.OK
    assert individual(0, 2.0).fitness == 2.0


def test_a_trial_is_sent_without_its_listener() -> None:
    trial = Trial(3, Genome(a=1), 5, Stage.FINAL, 2)
    assert trial.key == (Stage.FINAL, 3, 2)
    assert Trial(3, Genome(a=1), 5, Stage.FINAL, 2, report=print) == trial
    assert pickle.loads(pickle.dumps(trial)) == trial
    assert trial.report(1, loss=2.0) is None  # type: ignore[func-returns-value]
    assert trial.begin_anew() is None  # type: ignore[func-returns-value]


def recipe(groups: int = 4, **values: Any) -> Recipe:
    return Recipe.of({"model": "embedded", "epochs": 3, **values}, layer_groups=groups)


@pytest.mark.parametrize(
    ("depth", "frozen"), [(0, 0), (0.0, 0), (0.5, 2), (1.0, 4), (3, 3), (9, 4), (0.3, 1)]
)
def test_the_freeze_depth_is_a_count_or_a_share(depth: float, frozen: int) -> None:
    assert recipe(freeze_depth=depth).freeze_depth == frozen


def test_equal_trainings_are_equal_recipes() -> None:
    assert recipe(opt="adamw", momentum=0.1) == recipe(opt="adamw", momentum=0.9)
    assert recipe(opt="sgd", momentum=0.1) != recipe(opt="sgd", momentum=0.9)
    head = {"freeze_depth": 1.0, "lr": 0.5, "head_lr_factor": 0.5}
    assert recipe(**head, layer_decay=0.5, drop_path=0.1) == recipe(
        freeze_depth=4, lr=0.25, layer_decay=1.0
    )
    assert recipe(lr=0.5, head_lr_factor=0.5) != recipe(lr=0.25)
    assert recipe() == Recipe.of(recipe().to_dict(), layer_groups=4)
    assert takes_momentum("rmsprop")
    assert not takes_momentum("adam")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": 1}, "a recipe has no `learning_rate`; it has augment, batch_size, "),
        ({"lr": 0.0}, "`lr` must be > 0, but is 0.0"),
        ({"drop": 1.0}, "`drop` must be in [0, 1), but is 1.0"),
        ({"momentum": 1.0}, "`momentum` must be in [0, 1), but is 1.0"),
        ({"hflip": 1.5}, "`hflip` must be in [0, 1], but is 1.5"),
        ({"clip_grad": -1}, "`clip_grad` must be >= 0, but is -1"),
        ({"clip_grad": float("inf")}, "`clip_grad` must be >= 0, but is inf"),
        (
            {"class_weights": True},
            "`class_weights` must be one of none, balanced, but is True",
        ),
        ({"l1": -1}, "`l1` must be >= 0, but is -1"),
        ({"batch_size": 0}, "`batch_size` must be >= 1, but is 0"),
        ({"batch_size": 8.0}, "`batch_size` must be a whole number, but is 8.0"),
        ({"epochs": 0}, "`epochs` must be >= 1, but is 0"),
        (
            {"sched": "cosin"},
            "`sched` must be one of constant, linear, cosine, step, but",
        ),
        ({"freeze_depth": -1}, "`freeze_depth` must be >= 0, but is -1"),
    ],
)
def test_what_is_no_recipe_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        recipe(**values)
    assert message in str(refused.value)


def test_a_shared_array_is_mapped_and_its_copies_are_ones_own(tmp_path: Any) -> None:
    path = tmp_path / "array"
    path.write_bytes(bytes(24))
    with path.open("r+b") as file:
        shared = SharedArray(file.fileno(), (2, 3), "float32")
        ours, theirs, written = shared.open(), shared.open(), shared.open(writable=True)
        written[1] = 5.0
        ours[0] = 7.0
        assert theirs.tolist() == [[0, 0, 0], [5, 5, 5]]
        assert ours.tolist() == [[7, 7, 7], [5, 5, 5]]
    assert np.frombuffer(path.read_bytes(), "float32").tolist() == [0, 0, 0, 5, 5, 5]


def test_a_recipe_of_an_earlier_evoft_is_as_it_was_trained() -> None:
    now = recipe(lr=0.5).to_dict()
    before = {name: value for name, value in now.items() if name not in {"clip_grad", "model_ema"}}
    assert whole(before) == now
    assert list(whole(before))[:3] == list(before)[:3]
    assert whole({"lr": 0.1}).keys() == now.keys() - {"model", "epochs"}


def test_a_fitness_function_may_reckon_with_a_genomes_values_under_mypy_strict() -> None:
    """Else ``math.log10(genome["lr"])`` would be an error in every typed program of a user's."""
    assert get_type_hints(Genome.__getitem__)["return"] is Any
    assert get_type_hints(SearchSpace.phenotype)["return"] == dict[str, Any]
