"""Several values after one flag, as timm has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evoft.cli.evolve import evolve_command
from evoft.cli.main import group
from evoft.cli.spreading import spread

FLAG = "--model-kwargs"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("photos", "photos"),
        (f"{FLAG} a=1", f"{FLAG} a=1"),
        (f"{FLAG} a=1 b=2 c=[1,2]", f"{FLAG} a=1 {FLAG} b=2 {FLAG} c=[1,2]"),
        (f"{FLAG} a=1 {FLAG} b=2 c=3", f"{FLAG} a=1 {FLAG} b=2 {FLAG} c=3"),
        (f"{FLAG}=a=1 b=2", f"{FLAG}=a=1 {FLAG} b=2"),
        (f"{FLAG} a=1 --epochs 3 b=2", f"{FLAG} a=1 --epochs 3 b=2"),
        (f"{FLAG} a=1 photos b=2", f"{FLAG} a=1 photos b=2"),
        (f"{FLAG} a=1 -- b=2", f"{FLAG} a=1 -- b=2"),
        (f"{FLAG} x b=2", f"{FLAG} x {FLAG} b=2"),
        (f"{FLAG}", f"{FLAG}"),
    ],
)
def test_each_value_gets_a_flag_of_its_own(typed: str, meant: str) -> None:
    assert spread(typed.split(), FLAG) == meant.split()


def test_a_folder_is_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos=new").mkdir()
    assert spread([FLAG, "a=1", "photos=new"], FLAG) == [FLAG, "a=1", "photos=new"]


def test_evolve_takes_them_together_and_apart() -> None:
    words = [FLAG, "pad_type=same", "bn_eps=1e-3", "--epochs", "3", FLAG, "x=1"]
    parent = group.make_context("evoft", ["evolve"])
    context = evolve_command.make_context("evolve", [*words, "photos"], parent=parent)
    assert context.params["model_kwargs"] == ("pad_type=same", "bn_eps=1e-3", "x=1")
    assert context.params["data"] == "photos"
