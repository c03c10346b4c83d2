"""The words for what came of a generation, with rungs and without, and the bars."""

import logging
import re

import pytest
import tqdm.std
from climbing import install

from evoft.cli.progress import generation_words, images_bars, trials_bar
from evoft.genome import Genome
from evoft.individual import Generation, Individual
from evoft.outcome import Outcome, Status


@pytest.fixture(autouse=True)
def _climber(monkeypatch):
    install(monkeypatch.setattr)


def individual(id, *fitness):
    made = Individual(id, 0, (), "sample", Genome(x=1), id)
    for one in fitness:
        made = made.judged(Outcome.of_fitness(one) if one else Outcome(Status.FAILED))
    return made


def test_a_generation_is_told_with_its_births_and_whom_it_continued():
    born = (individual(0, 0.5), individual(1, 0.25, 0.75), individual(2, None))
    generation = Generation(0, born, born[1], (1,))
    words = "best so far 0.7500 (#1), mean 0.6250"
    assert generation_words(generation, on_rungs=True) == f"3 born, 1 continued, {words}"
    assert generation_words(generation, on_rungs=False) == words
    failed = Generation(1, (individual(3, None),), None)
    assert generation_words(failed, on_rungs=False) == "no best yet, all failed"
    fallen = Generation(2, (), None, (0,), individual(0, 0.5, None))
    assert generation_words(fallen, on_rungs=True) == "0 born, 1 continued, no best left"
    elder = Generation(2, (), born[1], (0, 1))
    assert generation_words(elder, on_rungs=True) == "0 born, 2 continued, best so far 0.7500 (#1)"


def test_a_warning_stands_in_a_line_of_its_own_above_the_bar(capsys):
    with trials_bar(9, 0, "trial", scale=False) as bar:
        bar.update(3)
        logging.getLogger("evoft.fine_tuning.session").warning("the disk is %s", "small")
    lines = re.split(r"[\r\n]", capsys.readouterr().err)
    assert "the disk is small" in lines
    assert any("3/9" in line for line in lines)
    assert logging.getLogger("evoft").handlers == []


def test_each_pass_over_the_images_has_a_bar_drawn_once_a_minute_in_a_log(capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    with images_bars() as show:
        for what in ("reading images", "decoding images"):
            for done in range(1, 201):
                now[0] += 1.0
                show(what, done, 200)
    drawn = [line for line in re.split(r"[\r\n]", capsys.readouterr().err) if line.strip()]
    assert [line.split(":")[0] for line in drawn] == 3 * ["reading images"] + 3 * [
        "decoding images"
    ]
    assert [re.search(r"/200 \[\d+:\d", line)[0] for line in drawn] == [
        "/200 [01:0",
        "/200 [02:0",
        "/200 [03:0",
    ] * 2


def test_what_takes_a_moment_has_no_bar(capsys):
    with images_bars() as show:
        for done in range(1, 201):
            show("reading images", done, 200)
    assert capsys.readouterr().err == ""
