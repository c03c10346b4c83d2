"""Paths in which the user's home is written as ``~``, wherever no shell has put it in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import evoft
from evoft.cli.main import group
from evoft.errors import (
    BackboneError,
    EvoftError,
    PopulationExistsError,
    PopulationFileError,
    StorageError,
)
from evoft.places import place

SPACE = evoft.SearchSpace(a=evoft.Integer(0, 40))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, and an empty working folder beside it."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path / "work")
    return home


@pytest.mark.parametrize("path", ["x.h5", "/a/~/x.h5", "./~", "a~", "~nobody-of-that-name/x.h5"])
def test_what_is_no_home_stays(path: str) -> None:
    assert place(path) == Path(path)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return float(genome["a"])


def test_the_library_takes_a_home(home: Path) -> None:
    options = {"population_size": 3, "file": "~/runs/x.h5"}
    list(evoft.evolve(fitness, SPACE, generations=1, workers=0, **options))
    assert (home / "runs" / "x.h5").is_file()
    list(evoft.resume(fitness, Path("~/runs/x.h5"), generations=2, workers=0))
    with evoft.reopen("~/runs/x.h5", generations=3) as evolution:
        assert evolution.ask() is not None
    population = evoft.Population.open("~/runs/x.h5")
    assert (len(population), population.path) == (6, home / "runs" / "x.h5")
    with pytest.raises(PopulationExistsError, match=r"^~/runs/x.h5 is there already"):
        evoft.new(SPACE, **options)
    with evoft.new(SPACE, elders=["~/runs/x.h5"], file="~/y.h5", population_size=8) as evolution:
        assert evolution.ask() is not None
    assert (home / "y.h5").is_file()
    assert list(Path.cwd().iterdir()) == []


def test_the_command_line_takes_a_home(home: Path) -> None:
    options = {"population_size": 3, "file": home / "x.h5"}
    list(evoft.evolve(fitness, SPACE, generations=1, workers=0, **options))
    run("show", "~/x.h5")
    with pytest.raises(PopulationExistsError, match=f"^{home}/x.h5 is there already"):
        run("evolve", "--file=~/x.h5")
    (home / "c.toml").write_text('training.checkpoint = "~/none.pth"')
    with pytest.raises(BackboneError, match=f"no file of weights {home}/none.pth"):
        run("evolve", "--config=~/c.toml")
    with pytest.raises(BackboneError, match=f"no file of weights {home}/other.pth"):
        run("evolve", "--checkpoint=~/other.pth")
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("../photos.v2", "photos.v2"),
        ("../photos.v2/", "photos.v2"),
        ("../photos.csv", "photos"),
        (".", "work"),
        ("..", ""),
        ("~", "home"),
        ("digits", "digits"),
        ("/", "population"),
    ],
)
def test_a_population_has_the_name_of_its_data(home: Path, data: str, name: str) -> None:
    file = Path("populations") / f"{name or home.parent.name}.h5"
    file.parent.mkdir()
    file.touch()
    # Where it lies among the images, that is what is told.
    words = f"^{file} is there already|^the population cannot go to {file}, for in "
    with pytest.raises(EvoftError, match=words):
        run("evolve", data)


@pytest.mark.parametrize("file", ["", ".", "/"])
@pytest.mark.parametrize("command", [["evolve", "digits", "--file"], ["resume"]])
def test_a_path_without_a_name_is_no_population_file(command: list[str], file: str) -> None:
    with pytest.raises(PopulationFileError, match="is a folder, not a population file"):
        run(*command, file)


#: The disk refuses to look at it, as at what lies in a folder that nobody may enter.
REFUSED = f"{'a' * 300}/x.h5"


@pytest.mark.parametrize(
    "command",
    [
        ["evolve", "digits", "--file", REFUSED],
        ["evolve", "digits", "--output", REFUSED],
        ["evolve", "digits", "--founders", REFUSED],
        ["resume", REFUSED],
        ["show", REFUSED],
        ["fsck", REFUSED],
    ],
)
def test_what_the_disk_refuses_to_look_at_is_told(home: Path, command: list[str]) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        run(*command)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    "use", [lambda: evoft.new(SPACE, file=REFUSED), lambda: evoft.Population.open(REFUSED)]
)
def test_and_so_it_is_in_the_library(use: Callable[[], object]) -> None:
    with pytest.raises(StorageError, match="File name too long"):
        use()


def run(*arguments: str) -> None:
    done = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
