"""``evoft resume --space``: other bounds and values of the same genes, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import evoft


@pytest.fixture
def copy(finished, tmp_path):
    """The finished population, to go on with."""
    for path in finished.file.parent.glob("pets.*"):
        if path.suffix in (".h5", ".journal"):
            shutil.copy(path, tmp_path)
        elif path.suffix == ".checkpoints":
            shutil.copytree(path, tmp_path / path.name)
    return tmp_path / "pets.h5"


def finals(population: evoft.Population) -> int:
    return sum(len(population.finals(one.id)) for one in population)


def genes(cli, copy: Path, *changes: tuple[str, str], name: str = "other.toml") -> Path:
    """Write the population's space, some of its lines changed."""
    text = cli("space", copy.name, cwd=copy.parent).out
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = copy.with_name(name)
    path.write_text(text)
    return path


WIDER = (("high = 0.1\n", "high = 1.0\n"), ('"rmsprop"]', '"rmsprop", "lamb"]'))


def test_it_goes_on_in_a_wider_one(cli, copy):
    before = evoft.Population.open(copy)
    other = genes(cli, copy, *WIDER)
    done = cli("resume", copy.name, "--space", other.name, "--generations", 3, cwd=copy.parent)
    assert done.code == 0, done.err
    assert "from here on lr was in [1e-05, 0.1] log and is now in [1e-05, 1] log" in done.err
    assert "from here on opt was in adamw, adam, sgd, rmsprop and is now in" in done.err
    after = evoft.Population.open(copy)
    assert len(after) > len(before)
    assert [one.genome for one in after.individuals[: len(before)]] == [i.genome for i in before]
    assert after.header.space["lr"]["high"] == 1.0
    assert after.header.spaces_before[0]["space"] == before.header.space
    told = f"the space was another one for the first {len(before.records) - finals(before)} trials"
    assert told in cli("show", copy.name, cwd=copy.parent).out
    assert "high = 1.0\n" in cli("space", copy.name, cwd=copy.parent).out


def test_what_does_not_go_is_one_sentence_and_leaves_all_as_it_was(cli, copy):
    before = {path.name: path.read_bytes() for path in copy.parent.iterdir() if path.is_file()}
    for words, *changes in (
        (["decay: the gene is new", "--founders"], ("[weight_decay]", "[decay]")),
        (["lr: individual", "leave room"], ("high = 0.1\n", "high = 2e-3\n")),
        (
            ["the optimizer 'lion_the_great' cannot be used here"],
            ('"rmsprop"]', '"rmsprop", "lion_the_great"]'),
        ),
    ):
        other = genes(cli, copy, *changes)
        done = cli("resume", copy.name, "--space", other.name, "--generations", 3, cwd=copy.parent)
        done.refused(2, *words)
        other.unlink()
    done = cli("resume", copy.name, "--space", "nowhere.toml", cwd=copy.parent)
    done.refused(2, "the search space nowhere.toml cannot be read")
    assert before == {p.name: p.read_bytes() for p in copy.parent.iterdir() if p.is_file()}


def test_backbones_stay(cli, pets, tmp_path):
    flags = ("--img-size", 24, "--epochs", 1, "--generations", 1, "--population-size", 2)
    pair = ("--model", "embedded,test_resnet", "--no-pretrained", "--finalists", 1, "--repeats", 1)
    done = cli("evolve", pets, "--file", "pets.h5", *pair, *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    other = genes(cli, tmp_path / "pets.h5", ('"test_resnet"]', '"test_resnet", "test_byobnet"]'))
    done = cli("resume", "pets.h5", "--space", other.name, cwd=tmp_path)
    done.refused(2, "model: the backbones stay", "--founders")


def test_a_space_is_no_population(cli, tmp_path):
    (tmp_path / "wider.toml").write_text("")
    words = ("wider.toml is no population", "evoft evolve --space wider.toml")
    cli("space", "wider.toml", cwd=tmp_path).refused(2, *words)


def test_the_model_of_the_default_space_is_not_that_of_a_file(cli, copy):
    done = cli("space", copy.name, "--model", "resnet18", cwd=copy.parent)
    done.refused(2, "--model is for the default space")
    cli("space", "nowhere.h5", cwd=copy.parent).refused(5, "nowhere.h5")
