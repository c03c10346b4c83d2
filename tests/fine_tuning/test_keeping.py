"""Which files of a run stay, and which go first where there is no room for all."""

import pytest

from evoft.fine_tuning.keeping import Roster, bound, prune, remove_unfinished
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.outcome import Outcome, Status
from evoft.trial import Stage

TOP = 2


def judged(id, *scores):
    """Return an individual with a score on each rung so far; None: it failed there."""
    individual = Individual(id, 0, (), "sample", Genome(x=1.0), id)
    for score in scores:
        failed = Outcome(Status.DIVERGED, reason="so it is")
        individual = individual.judged(failed if score is None else Outcome.of_fitness(score))
    return individual


BORN = [
    judged(0, 0.5),
    judged(1, 0.6, 0.7),
    judged(2, 0.6, 0.8, 0.9),  # at the top
    judged(3, 0.9, None),
    judged(4),  # on its way to the lowest rung
    judged(5, 0.4),  # on its way to the second
    judged(6, 0.1),
    judged(7),  # withdrawn, as when a budget ended
]
ROSTER = Roster(BORN, {(Stage.SEARCH, 4, 0), (Stage.SEARCH, 5, 1)}, TOP)


@pytest.fixture
def folder(tmp_path):
    """All that trials may have written."""
    for individual in BORN:
        (tmp_path / f"{individual.id}.paused").write_bytes(b"p" * 100)
        for rung in range(TOP + 1):
            name = f"{individual.id}-rung-{rung}" if rung else f"{individual.id}"
            (tmp_path / f"{name}.safetensors").write_bytes(b"c" * 10)
    (tmp_path / "2-final-0.safetensors").write_bytes(b"f" * 10)
    (tmp_path / "notes.txt").write_bytes(b"mine")
    return tmp_path


def names(folder, pattern):
    return sorted(path.name for path in folder.glob(pattern))


def test_what_nobody_asks_for_goes(folder):
    prune(folder, ROSTER, [BORN[2], BORN[0]])
    assert names(folder, "*.paused") == [f"{id}.paused" for id in (0, 1, 4, 5, 6)]
    assert names(folder, "*.safetensors") == [
        "0.safetensors",  # the default recipe, judged on the lowest rung only
        "2-final-0.safetensors",
        "2-rung-2.safetensors",
        "4.safetensors",  # it may just have been written
        "5-rung-1.safetensors",
    ]
    assert names(folder, "*.txt") == ["notes.txt"]


def test_without_rungs_no_training_is_gone_on_with(folder):
    prune(folder, Roster([judged(0, 0.5), judged(1, 0.6)], set(), 0), [judged(1, 0.6)])
    assert not names(folder, "*.paused")
    assert names(folder, "*.safetensors") == ["1.safetensors", "2-final-0.safetensors"]


def test_the_lowest_scores_go_first_and_who_is_being_trained_last(folder):
    prune(folder, ROSTER, [BORN[2]])
    total = sum(path.stat().st_size for path in folder.iterdir())
    assert bound(folder, ROSTER, total) == 0
    assert bound(folder, ROSTER, total - 1) == 1
    assert names(folder, "*.paused") == [f"{id}.paused" for id in (0, 1, 4, 5)]
    assert bound(folder, ROSTER, total - 250) == 2
    assert names(folder, "*.paused") == ["4.paused", "5.paused"]
    checkpoints = names(folder, "*.safetensors")
    assert bound(folder, ROSTER, 0) == 2
    assert names(folder, "*.paused") == []
    assert names(folder, "*.safetensors") == checkpoints


def test_a_folder_that_is_not_there_is_empty(tmp_path):
    prune(tmp_path / "none", ROSTER, BORN)
    assert bound(tmp_path / "none", ROSTER, 0) == 0
    remove_unfinished(tmp_path / "none")


def test_what_killed_workers_left_goes(folder):
    (folder / ".3.paused.4711").write_bytes(b"half")
    (folder / ".3.safetensors.4711").write_bytes(b"half")
    before = names(folder, "[!.]*")
    remove_unfinished(folder)
    assert names(folder, "*") == before
