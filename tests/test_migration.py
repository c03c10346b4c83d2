"""A population goes on in another space: nothing is lost and nothing misread."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from running import lineage

import evoft
from evoft.errors import PopulationMismatchError, SpaceError
from evoft.lineage import Store, check, repair
from evoft.settings import STRATEGIES
from evoft.trial import Stage

SPACE = evoft.SearchSpace(
    x=evoft.Float(0.0, 1.0), n=evoft.Integer(1, 9), act=evoft.Choice(["relu", "gelu"])
)
WIDER = evoft.SearchSpace(
    act=evoft.Choice(["gelu", "relu", "silu"]), n=evoft.Integer(1, 30), x=evoft.Float(-1.0, 2.0)
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """The best lies outside the first space."""
    silu = 0.3 if genome["act"] == "silu" else 0.0
    far = abs(float(genome["x"]) - 1.4) + 0.05 * abs(int(genome["n"]) - 20)
    return silu - far - 0.1 / (trial.epochs or 1.0)


def begun(path: Path, **options: Any) -> evoft.Population:
    search = evoft.SearchSettings(lookahead=3)
    told = {
        "generations": 2, "population_size": 6, "epochs": 9, "workers": 0, "search": search,
        **options,
    }  # fmt: skip
    list(evoft.evolve(fitness, SPACE, file=path, **told))
    return evoft.Population.open(path)


def goes_on(path: Path, **options: Any) -> evoft.Population:
    list(evoft.resume(fitness, path, **{"generations": 4, "workers": 0, **options}))
    return evoft.Population.open(path)


def stopped(path: Path) -> evoft.Population:
    """A population of which trials ended out of turn: one is missing before them."""
    begun(path)
    with evoft.reopen(path, generations=4) as evolution:
        first, *others = (evolution.ask() for _ in range(3))
        assert first is not None
        for trial in others:
            assert trial is not None
            evolution.tell(trial, fitness(trial.genome, trial))
    return evoft.Population.open(path)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begun in the one space and brought to its end in the other."""
    path = tmp_path_factory.mktemp("straight") / "mine.h5"
    begun(path)
    goes_on(path, space=WIDER)
    return path


@pytest.mark.parametrize("strategy", [one for one in STRATEGIES if one != "grid"])
def test_what_is_born_from_then_on_is_of_the_other_space(tmp_path: Path, strategy: str) -> None:
    path = tmp_path / "mine.h5"
    before = begun(path, strategy=strategy)
    after = goes_on(path, space=WIDER)
    assert lineage(before) == [row for row in lineage(after) if row[0] in before.records]
    born = [one.genome for one in after.individuals[len(before) :]]
    assert any(not 0 <= g["x"] <= 1 or g["n"] > 9 or g["act"] == "silu" for g in born)
    assert all(WIDER.check(genome) for genome in born)
    assert evoft.SearchSpace.from_dict(after.header.space).keys() == SPACE.keys()
    (was,) = after.header.spaces_before
    assert was["trials"] == len(before.records)
    assert evoft.SearchSpace.from_dict(was["space"]).to_dict() == SPACE.to_dict()
    assert {finding.severity for finding in check(path)} == {"ok"}


@pytest.mark.parametrize("workers", [1, 3])
def test_the_lineage_is_the_same_on_any_number_of_workers(
    straight: Path, tmp_path: Path, workers: int
) -> None:
    path = tmp_path / "mine.h5"
    begun(path, workers=workers)
    assert lineage(goes_on(path, space=WIDER, workers=workers)) == lineage(
        evoft.Population.open(straight)
    )


def test_a_run_that_is_stopped_again_goes_on_as_if_it_had_not_been(
    straight: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.h5"
    begun(path)
    with evoft.reopen(path, space=WIDER, generations=4) as evolution:
        for _ in range(5):
            trial = evolution.ask()
            assert trial is not None
            evolution.tell(trial, fitness(trial.genome, trial))
    assert lineage(goes_on(path)) == lineage(evoft.Population.open(straight))


@pytest.mark.parametrize("gone", ["mine.h5", "mine.journal"])
def test_each_copy_alone_has_all_of_it(straight: Path, tmp_path: Path, gone: str) -> None:
    whole = evoft.Population.open(straight)
    for name in {"mine.h5", "mine.journal"} - {gone}:
        (tmp_path / name).write_bytes((straight.parent / name).read_bytes())
    again = evoft.Population.open(tmp_path / "mine.h5")
    assert lineage(again) == lineage(whole)
    assert again.header == whole.header


def test_it_is_told_what_is_different(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "mine.h5"
    begun(path)
    with caplog.at_level(logging.WARNING, "evoft"):
        goes_on(path, space=WIDER)
    assert [record.getMessage() for record in caplog.records] == [
        "from here on x was in [0, 1] and is now in [-1, 2]",
        "from here on n was in 1 .. 9 and is now in 1 .. 30",
        "from here on act was in relu, gelu and is now in gelu, relu, silu",
    ]


def test_the_same_space_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, other = tmp_path / "mine.h5", tmp_path / "other.h5"
    begun(path)
    begun(other)
    shuffled = evoft.SearchSpace({name: SPACE[name] for name in reversed(list(SPACE))})
    with caplog.at_level(logging.WARNING, "evoft"):
        after = goes_on(path, space=shuffled)
    assert caplog.records == []
    assert after.header.spaces_before == ()
    assert lineage(after) == lineage(goes_on(other))


def test_a_space_may_change_again(straight: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    for name in ("mine.h5", "mine.journal"):
        (tmp_path / name).write_bytes((straight.parent / name).read_bytes())
    again = evoft.SearchSpace({**WIDER, "n": evoft.Integer(1, 40)})
    trials = len(evoft.Population.open(path).records)
    header = goes_on(path, space=again, generations=5).header
    assert [was["trials"] for was in header.spaces_before][1] == trials
    assert header.space["n"]["high"] == 40


class TestOutOfTurn:
    def test_they_are_taken_back_and_told_of(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "mine.h5"
        before = stopped(path)
        with caplog.at_level(logging.WARNING, "evoft"), evoft.reopen(path, space=WIDER) as opened:
            assert len(opened.population.records) == len(before.records) - 2
        assert "2 of the trials ended out of turn" in caplog.records[-1].getMessage()
        assert {finding.severity for finding in check(path)} == {"ok"}
        after = evoft.Population.open(path)
        assert after.header.spaces_before[0]["trials"] == len(after.records)
        for gone in ("mine.h5", "mine.journal"):
            (tmp_path / gone).rename(tmp_path / "aside")
            assert lineage(evoft.Population.open(path)) == lineage(after)
            (tmp_path / "aside").rename(tmp_path / gone)

    def test_it_goes_on_as_one_that_never_had_them(self, straight: Path, tmp_path: Path) -> None:
        path = tmp_path / "mine.h5"
        stopped(path)
        after = goes_on(path, space=WIDER)
        assert lineage(after) == lineage(evoft.Population.open(straight))
        (tmp_path / "mine.h5").unlink()
        assert lineage(evoft.Population.open(path)) == lineage(after)

    def test_a_writer_that_died_before_it_wrote_the_file_is_mended(
        self, straight: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.h5"
        stopped(path)
        old = path.read_bytes()
        evoft.reopen(path, space=WIDER).close()
        path.write_bytes(old)
        journal = path.with_suffix(".journal")
        journal.write_bytes(journal.read_bytes() + b"0000")  # and in the midst of a line
        repair(path)
        assert lineage(goes_on(path)) == lineage(evoft.Population.open(straight))

    def test_a_withdrawal_without_its_header_costs_a_training_and_no_more(
        self, tmp_path: Path
    ) -> None:
        path, other = tmp_path / "mine.h5", tmp_path / "other.h5"
        stopped(path)
        begun(other)
        old, length = path.read_bytes(), path.with_suffix(".journal").stat().st_size
        evoft.reopen(path, space=WIDER).close()
        path.write_bytes(old)
        journal = path.with_suffix(".journal").read_bytes()
        withdrawal = journal.index(b"\n", length) + 1
        assert b'"kind":"withdrawal"' in journal[length:withdrawal]
        path.with_suffix(".journal").write_bytes(journal[: withdrawal + 9])
        assert lineage(goes_on(path)) == lineage(goes_on(other))

    def test_a_lost_record_is_made_again_first(self, tmp_path: Path) -> None:
        whole = begun(tmp_path / "mine.h5", generations=3)
        lost = next(key for key, record in whole.records.items() if record.trial.number == 3)
        path = tmp_path / "lossy.h5"
        with Store.create(path, whole.header) as store:
            store.append(*(record for key, record in whole.records.items() if key != lost))
        later = sum(key[0] is Stage.SEARCH for key in whole.records) - 4
        with pytest.raises(PopulationMismatchError, match=f"{later} trials, more than a generat"):
            evoft.reopen(path, space=WIDER)
        goes_on(path, generations=3)
        assert goes_on(path, space=WIDER).header.spaces_before


class TestRefusals:
    """Each before anything runs, and the file is as it was."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        begun(tmp_path / "mine.h5")
        return tmp_path / "mine.h5"

    @pytest.mark.parametrize(
        ("space", "error", "message"),
        [
            (evoft.SearchSpace({**SPACE, "y": SPACE["x"]}), SpaceError, "y: the gene is new"),
            (evoft.SearchSpace({**SPACE, "x": evoft.Float(0.0, 1e-9)}), SpaceError, "x: indiv"),
            ({"x": (0, 1)}, TypeError, "`space` must be a SearchSpace"),
        ],
    )
    def test_a_space_that_does_not_go(
        self, path: Path, space: Any, error: type[Exception], message: str
    ) -> None:
        before = path.read_bytes()
        with pytest.raises(error, match=message):
            evoft.resume(fitness, path, space=space)
        with pytest.raises(error, match=message):
            evoft.reopen(path, space=space)
        assert path.read_bytes() == before

    def test_prices_go_by_their_space(self, path: Path) -> None:
        for call in (
            lambda **k: evoft.resume(fitness, path, **k),
            lambda **k: evoft.reopen(path, **k),
        ):
            with pytest.raises(SpaceError, match="goes on in its own space"):
                call(space=WIDER, price=lambda genome: 1.0)

    def test_prices_that_were_forgotten_are_found_in_the_file(self, tmp_path: Path) -> None:
        path, price = tmp_path / "dear.h5", lambda genome: genome["n"]
        begun(path, price=price)
        before = {name.name: name.read_bytes() for name in tmp_path.iterdir()}
        for call in (
            lambda: evoft.resume(fitness, path, space=WIDER),
            lambda: evoft.reopen(path, space=WIDER),
        ):
            with pytest.raises(SpaceError, match="goes on in its own space"):
                call()
        assert {name.name: name.read_bytes() for name in tmp_path.iterdir()} == before
        goes_on(path, price=price)

    def test_a_generation_and_more_is_not_taken_back(self, tmp_path: Path) -> None:
        """No record is lost: on the clock a long stint goes on while many short ones end."""
        path, slow = tmp_path / "slow.h5", None
        with evoft.new(
            SPACE, strategy="asha", population_size=6, epochs=27, generations=4, file=path, seed=1
        ) as evolution:
            while True:
                try:
                    trial = evolution.ask()
                except evoft.EvoftError:
                    break
                assert trial is not None
                if slow is None and trial.rung == 2:
                    slow = trial
                else:
                    evolution.tell(trial, fitness(trial.genome, trial))
        assert slow is not None
        before = lineage(evoft.Population.open(path))
        with pytest.raises(PopulationMismatchError, match="ended after one without an outcome"):
            evoft.reopen(path, space=WIDER)
        assert lineage(evoft.Population.open(path)) == before
        goes_on(path, generations=3)
        assert goes_on(path, space=WIDER).header.spaces_before

    def test_a_grid_goes_by_its_space(self, tmp_path: Path) -> None:
        path = tmp_path / "grid.h5"
        begun(path, strategy="grid")
        with pytest.raises(SpaceError, match="a grid has its points of its space"):
            evoft.resume(fitness, path, space=WIDER)
