"""How many workers there are, and where, by cores and by memory."""

import pytest

from evoft.errors import SettingsError
from evoft.fine_tuning.devices import at_a_time, gpus_asked_for, place_workers
from evoft.settings import RunSettings, SearchSettings
from evoft.training.facts import Survey

GIB = 2**30


def placed(gpus=0, memory=64 * GIB, cores=8, needed=GIB, context=0, images=0, exclusive=(), **run):
    survey = Survey((), ("H200",) * gpus, (), (memory,) * max(1, gpus), cores, exclusive)
    return place_workers(RunSettings(**run), survey, needed, context, images)


def test_a_cpu_has_a_worker_a_core():
    assert placed() == (("cpu",) * 8, "")
    assert placed(workers_per_device=3) == (("cpu",) * 3, "")
    assert placed(workers=5, workers_per_device=3) == (("cpu",) * 5, "")
    assert placed(gpus=2, devices="cpu", needed=9 * GIB, memory=GIB) == (("cpu",) * 8, "")


def test_more_workers_than_cores_are_had_for_the_asking_and_that_is_said():
    said = (
        "2 cores are there for 8 workers of one thread each, which take turns: this takes more "
        "memory than 2, and hardly less time"
    )
    assert placed(cores=2, workers=8) == (("cpu",) * 8, said)
    assert placed(cores=2, workers_per_device=8) == (("cpu",) * 8, said)
    assert placed(cores=2, workers=2) == (("cpu",) * 2, "")
    assert placed(gpus=1, cores=2, workers=8, memory=99 * GIB) == (("0",) * 8, said)
    # No GPU is left idle for want of a core.
    devices, said = placed(gpus=2, cores=1)
    assert devices == ("0", "1")
    assert said.startswith("1 core is there for 2 workers")


def test_memory_may_bind_first_and_that_is_said():
    devices, limit = placed(memory=10 * GIB, needed=2 * GIB)
    assert devices == ("cpu",) * 4
    assert limit == (
        "8 cores would do for 8 workers, but a trial takes up to 2.0 GiB of the 10.0 GiB that the "
        "machine has free"
    )
    assert placed(memory=GIB, needed=2 * GIB)[0] == ("cpu",)
    assert placed(memory=GIB, needed=2 * GIB, workers=8) == (("cpu",) * 8, "")
    assert placed(memory=0, needed=2 * GIB) == (("cpu",) * 8, "")
    assert placed(memory=GIB, needed=0) == (("cpu",) * 8, "")


def test_a_gpu_has_as_many_as_fit_with_their_contexts():
    assert placed(gpus=1, memory=10 * GIB, needed=GIB, context=GIB)[0] == ("0",) * 4
    assert placed(gpus=2, memory=10 * GIB, needed=GIB, context=GIB)[0] == ("0", "1") * 4
    assert placed(gpus=4, memory=10 * GIB, needed=GIB, context=GIB)[0] == ("0", "1", "2", "3") * 2
    assert placed(gpus=1, memory=10 * GIB, needed=99 * GIB)[0] == ("0",)
    assert placed(gpus=3, devices="1,2", workers_per_device=2)[0] == ("1", "2", "1", "2")
    assert placed(gpus=3, devices="1,2", workers=3)[0] == ("1", "2", "1")


def test_a_gpu_that_is_not_there():
    with pytest.raises(SettingsError, match="names GPU 2, but there are 2 here: use auto or cpu"):
        placed(gpus=2, devices="0,2")


def test_each_worker_of_a_gpu_has_the_images_there():
    assert placed(gpus=1, memory=10 * GIB, needed=GIB, context=GIB, images=2 * GIB)[0] == ("0",) * 2
    devices, limit = placed(gpus=1, memory=10 * GIB, needed=GIB, images=3 * GIB)
    assert devices == ("0",) * 2
    assert limit.endswith("a trial takes up to 4.0 GiB of the 10.0 GiB that each GPU has free")


def test_workers_of_the_cpu_share_the_images():
    devices, limit = placed(memory=10 * GIB, needed=GIB, images=5 * GIB)
    assert devices == ("cpu",) * 4
    assert limit.endswith("of the 5.0 GiB that the machine has free beside the images")
    # Those are read from disk.
    assert placed(memory=10 * GIB, needed=GIB, images=9 * GIB)[0] == ("cpu",) * 8
    assert placed(memory=0, needed=GIB, images=GIB)[0] == ("cpu",) * 8
    assert placed(gpus=2, devices="cpu", memory=GIB, images=GIB)[0] == ("cpu",) * 8


@pytest.mark.parametrize(("devices", "numbers"), [("auto", None), ("cpu", None), ("1,0", (1, 0))])
def test_gpus_are_asked_for_by_their_numbers(devices, numbers):
    assert gpus_asked_for(RunSettings(devices=devices)) == numbers


def test_a_gpu_that_serves_one_process_has_one_worker():
    said = (
        "GPU 0 is in exclusive-process mode, so each GPU gets one worker: `nvidia-smi -c DEFAULT` "
        "lets several share it"
    )
    assert placed(gpus=1, exclusive=(0,)) == (("0",), said)
    assert placed(gpus=2, exclusive=(0,)) == (("0", "1"), said)
    assert placed(gpus=2, exclusive=(0,), devices="1") == (("1",) * 8, "")
    assert placed(gpus=1, exclusive=(0,), workers=1) == (("0",), "")
    assert placed(gpus=2, exclusive=(0, 1), workers_per_device=1) == (("0", "1"), "")


def test_several_workers_on_such_a_gpu_are_had_for_the_asking_and_that_is_said():
    said = (
        "GPU 1 is in exclusive-process mode: without MPS all workers but one fail there; "
        "`nvidia-smi -c DEFAULT` lets several share it"
    )
    assert placed(gpus=2, exclusive=(1,), workers=3) == (("0", "1", "0"), said)
    assert placed(gpus=2, exclusive=(1,), workers_per_device=2) == (("0", "1") * 2, said)


def test_a_gpu_has_as_many_trials_at_a_time_as_workers_or_as_are_asked_for():
    evolution = SearchSettings(population_size=12, lookahead=3)
    assert at_a_time(("cpu",) * 8, evolution) == 1
    assert at_a_time(("0",), evolution) == 1
    assert at_a_time(("0",) * 2, evolution) == 2
    assert at_a_time(("0",) * 16, evolution) == 4
    assert at_a_time(("0", "1") * 8, evolution) == 2
    assert at_a_time(("0", "1", "0"), evolution) == 2
    blind = SearchSettings(strategy="random", population_size=12)
    assert at_a_time(("0",) * 16, blind) == 12
