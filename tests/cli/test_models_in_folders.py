"""A model that is a folder, given from where one works: found again from anywhere else."""

import shutil

import pytest

import evoft

QUICK = ("--strategy", "ga", "--generations", "1", "--population-size", "2", "--epochs", "1",
         "--finalists", "1", "--repeats", "1", "--img-size", "24", "--workers", "1",
         "--devices", "cpu", "--file", "p.h5")  # fmt: skip


@pytest.mark.slow
def test_it_is_found_from_another_folder_and_missed_before_the_images_are_read(
    cli, finished, pets, tmp_path
):
    here, there, images = tmp_path / "here", tmp_path / "there", tmp_path / "images"
    there.mkdir()
    shutil.copytree(finished.file.with_suffix(".best"), here / "model")
    shutil.copytree(pets, images)
    done = cli("evolve", images, "--model", "local-dir:./model", *QUICK, cwd=here)
    assert done.code == 0, done.err
    population = evoft.Population.open(here / "p.h5")
    name = f"local-dir:{here}/model"
    assert population.header.settings["training"]["models"] == [name]
    assert population.recipe(0)["model"] == population.header.backbones[0]["model"] == name
    done = cli("resume", "../here/p.h5", "--generations", 2, cwd=there)
    assert done.code == 0, done.err

    (here / "model").rename(here / "gone")
    shutil.rmtree(images)
    words = f"p.h5 was made with weights of which there is no file {here}/model/config.json now"
    cli("resume", "p.h5", cwd=here).refused(4, words)
    shutil.rmtree(here / "p.checkpoints")
    cli("export", "p.h5", 0, "zero", cwd=here).refused(4, words)
