"""Which GPUs a worker's environment leaves it, by NVIDIA's rules and by AMD's."""

import pytest

from evoft.workers.visibility import visible

CUDA, HIP = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("inherited", "cuda", "hip"),
    [
        ({}, "1", "1"),
        ({"ROCR_VISIBLE_DEVICES": "4,5"}, "1", "1"),  # AMD counts what that leaves from 0
        ({CUDA: "7,5"}, "5", "5"),
        ({HIP: "2,3"}, "1", "3"),
        ({CUDA: "7,5", HIP: "2,3"}, "5", "3"),
        ({CUDA: "7,5", HIP: ""}, "5", "5"),  # as if it were not set
        ({HIP: "-1"}, "1", "1"),  # which hides AMD's from those who use NVIDIA's
    ],
)
def test_a_worker_sees_its_own_gpu_whoever_made_it(inherited, cuda, hip):
    assert visible("1", inherited) == {CUDA: cuda, HIP: hip}
