"""A run under --max-disk: what may be gone on with makes room, and that changes nothing."""

import logging

import pytest

from evoft.fine_tuning import start
from evoft.settings import RunSettings, SearchSettings, Settings, TrainingSettings

SEARCH = SearchSettings(
    strategy="asha", population_size=3, generations=2, lookahead=0, finalists=1, repeats=1
)


@pytest.fixture
def search_of(pets, tmp_path, lineage_of, caplog):
    """``search_of(max_disk)``: a run without its finals; what was paused after each of its trials,
    what was told of the limit, and the lineage."""

    def run(most):
        training = TrainingSettings(data=str(pets), epochs=3, img_size=24)
        limits = RunSettings(workers=1, devices="cpu", max_disk=most)
        settings = Settings(seed=5, search=SEARCH, training=training, run=limits)
        file = tmp_path / f"limit-{most}.h5"
        paused = []
        caplog.clear()
        with start(settings, None, file) as session, caplog.at_level(logging.WARNING):
            folder = session.checkpoints

            def observe(trial, outcome):
                sizes = {path.name: path.stat().st_size for path in folder.glob("*.paused")}
                paused.append((trial.key, sizes))

            list(session.generations(observe))
        said = [r.getMessage() for r in caplog.records if "--max-disk" in r.getMessage()]
        return paused, said, lineage_of(file)

    return run


@pytest.mark.slow
def test_paused_trainings_make_room_and_are_begun_again(search_of):
    free, silent, straight = search_of(None)
    assert silent == []
    kept = max((sizes for _, sizes in free), key=len)
    assert len(kept) >= 2
    assert any(rung for (_, _, rung), _ in free)  # somebody was continued

    none, said, lineage = search_of(1)
    assert [key for key, _ in none] == [key for key, _ in free]
    assert all(not sizes for _, sizes in none)
    assert len(said) == 1
    assert "--max-disk allows 1 for all" in said[0]
    assert lineage == straight
