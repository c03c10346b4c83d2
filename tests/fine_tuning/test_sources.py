"""Names of models that are folders: whole wherever they stand, and told where they are gone."""

import pytest

from evoft.errors import BackboneError, DataError, SettingsError
from evoft.fine_tuning.sources import check_sources_again, with_whole_names
from evoft.search.genes import Choice, Float
from evoft.search.space import SearchSpace
from evoft.settings import Settings, TrainingSettings


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_name_of_a_folder_becomes_whole(work):
    mine, other = "local-dir:mine", "local-dir:~/other"
    whole = [f"local-dir:{work}/mine", f"local-dir:{work}/home/other"]
    settings = Settings(
        training=TrainingSettings(models=("embedded", mine, other)),
        fixed={"model": mine, "lr": 0.1},
        founders={"f": {"model": other, "lr": 0.2}},
    )
    space = SearchSpace(
        model=Choice(["embedded", mine, other], default=mine),
        drop=Float(0.0, 0.5, when={"model": [other]}),
    )
    named, searched = with_whole_names(settings, space)
    assert named.training.models == ("embedded", *whole)
    assert named.fixed == {"model": whole[0], "lr": 0.1}
    assert named.founders == {"f": {"model": whole[1], "lr": 0.2}}
    assert searched == SearchSpace(
        model=Choice(["embedded", *whole], default=whole[0]),
        drop=Float(0.0, 0.5, when={"model": [whole[1]]}),
    )
    assert with_whole_names(named, searched) == (named, searched)


def test_what_is_no_folder_stays():
    names = ("embedded", "resnet18.a1_in1k", "hf-hub:timm/resnet18", "local-dir:")
    settings, space = Settings(training=TrainingSettings(models=names)), SearchSpace(lr=Float(0, 1))
    named, searched = with_whole_names(settings, space)
    assert named == settings
    assert searched is space
    assert with_whole_names(settings, None) == (settings, None)


def test_two_names_of_one_folder_are_one_model():
    settings = Settings(training=TrainingSettings(models=("local-dir:x", "local-dir:./x")))
    with pytest.raises(SettingsError, match="names a model twice"):
        with_whole_names(settings, None)


def test_images_that_are_gone_can_be_said_to_be_elsewhere(work):
    (work / "photos").mkdir()
    for data in ("digits", str(work / "photos")):
        check_sources_again(TrainingSettings(data=data), "p.h5")
    (work / "photos").rename(work / "moved")
    words = f"^{work}/photos does not exist, where the images of p.h5 were: .* with --data$"
    with pytest.raises(DataError, match=words):
        check_sources_again(TrainingSettings(data=str(work / "photos")), "p.h5")


def test_what_a_population_was_made_with_and_is_gone(work):
    (work / "m").mkdir()
    (work / "w.pth").touch()
    (work / "m" / "config.json").touch()
    of_folder = TrainingSettings(models=(f"local-dir:{work}/m",))
    of_file = TrainingSettings(checkpoint=f"{work}/w.pth")
    for training in (of_folder, of_file):
        check_sources_again(training, "p.h5")
    (work / "w.pth").unlink()
    (work / "m" / "config.json").unlink()
    for training, path in ((of_folder, "m/config.json"), (of_file, "w.pth")):
        words = f"^p.h5 was made with .* no file {work}/{path} now: bring it back"
        with pytest.raises(BackboneError, match=words):
            check_sources_again(training, "p.h5")
