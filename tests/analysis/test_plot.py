"""The picture of a comparison."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import evoft
from evoft.analysis.compare import Comparison, compare
from evoft.analysis.groups import Group
from evoft.analysis.plot import check_plot, plot
from evoft.errors import SettingsError, StorageError

SPACE = evoft.SearchSpace(lr=evoft.Float(0.0, 1.0))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("runs")
    populations = []
    for seed in range(4):
        file = folder / f"{seed}.h5"
        list(evoft.evolve(lambda genome, trial: float(genome["lr"]), SPACE, generations=3,
                          population_size=4, seed=seed, workers=0, file=file))  # fmt: skip
        populations.append(evoft.Population.open(file))
    return compare(
        [Group("three of them", tuple(populations[:3])), Group("one", tuple(populations[3:]))]
    )


def test_an_svg_says_what_it_shows_and_is_the_same_again(
    comparison: Comparison, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        plot(comparison, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    for words in ("three of them", "one", "full trainings", "best fitness so far"):
        assert f">{words}</text>" in text
    assert text == (tmp_path / "b.svg").read_text()


def test_a_png(comparison: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot(comparison, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(StorageError, match="cannot be written"):
        plot(comparison, tmp_path / "nowhere" / "a.png")


def test_what_cannot_be_drawn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"a plot is named \*.svg or \*.png, but the"):
        check_plot(Path("a.pdf"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match=r"not installed: pip install 'evoft\[plot\]'"):
        check_plot(Path("a.svg"))
