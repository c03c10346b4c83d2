"""Pretrained weights from a hub: one line says that they are fetched, where they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
from safetensors.torch import save

from evoft.training.hub import place_to_fetch_from

#: For each line of its input loads start weights as a worker does, each in a process of its own.
#: Of what they import they share what does not read the environment, which takes the most time.
LOADS = """
import json, os, sys, traceback, torch, torchvision

def load(model):
    from evoft.errors import BackboneError
    from evoft.settings import TrainingSettings
    from evoft.training.backbone import start_weights
    try:
        print(len(start_weights(model, TrainingSettings(models=(model,)), 3)), flush=True)
    except BackboneError as error:
        print(error, flush=True)

assert "huggingface_hub" not in sys.modules
for line in sys.stdin:
    model, environment, out, err = json.loads(line)
    if (child := os.fork()) == 0:
        code = 1
        os.environ.clear()
        os.environ.update(environment)
        for path, stream in ((out, 1), (err, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        try:
            load(model)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
FILE = "/timm/test_vit.r160_in1k/resolve/main/model.safetensors"


class Hub(BaseHTTPRequestHandler):
    """A hub with the weights of one model."""

    weights = b""

    def do_HEAD(self) -> None:
        found = self.path == FILE
        self.send_response(200 if found else 404)
        if found:
            self.send_header("ETag", f'"{sha256(self.weights).hexdigest()}"')
            self.send_header("X-Repo-Commit", "a" * 40)
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(self.weights) if found else 0))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if self.path == FILE:
            self.wfile.write(self.weights)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Hub, "weights", save(timm.create_model("test_vit").state_dict()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


Load = Callable[..., tuple[str, list[str]]]


@pytest.fixture(scope="module")
def loads() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", LOADS], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process


@pytest.fixture
def load(loads: subprocess.Popen[str], tmp_path: Path) -> Load:
    """What loading weights printed, and its lines on stderr that evoft wrote."""

    def loaded(hub: str, model: str, **more: str) -> tuple[str, list[str]]:
        environment = {n: v for n, v in os.environ.items() if n != "HF_HUB_OFFLINE"} | {
            "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "TORCH_HOME": str(tmp_path), **more,
        }  # fmt: skip
        out, err = tmp_path / "out", tmp_path / "err"
        assert loads.stdin is not None
        assert loads.stdout is not None
        print(json.dumps([model, environment, str(out), str(err)]), file=loads.stdin, flush=True)
        assert loads.stdout.readline() == "0\n", err.read_text()
        return out.read_text(), [
            line for line in err.read_text().splitlines() if "fetching" in line
        ]

    return loaded


@pytest.mark.slow
def test_it_is_said_once_what_is_fetched_from_where(hub: str, load: Load) -> None:
    out, said = load(hub, "test_vit")
    assert int(out) > 0
    assert said == [
        f"fetching the pretrained weights of test_vit from {hub}/timm/test_vit.r160_in1k: if it "
        "cannot be reached, half a minute or so goes by until that is known"
    ]
    again, silent = load(hub, "test_vit")
    assert (again, silent) == (out, [])


@pytest.mark.slow
def test_it_is_said_before_it_is_known_that_they_cannot_be_had(hub: str, load: Load) -> None:
    out, said = load(hub, "resnet10t")
    assert "the pretrained weights of resnet10t cannot be had" in out
    assert len(said) == 1
    out, said = load(hub, "resnet10t", HF_HUB_OFFLINE="1")
    assert "the pretrained weights of resnet10t cannot be had" in out
    assert said == []


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_asked_a_few_times_only(load: Load) -> None:
    asked = []

    class Silent(BaseHTTPRequestHandler):
        def handle(self) -> None:
            asked.append(self.client_address)

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        hub = f"http://127.0.0.1:{server.server_port}"
        out, said = load(hub, "resnet10t")
        server.shutdown()
        thread.join()
    place = f"{hub}/timm/resnet10t.c3_in1k"
    assert f"of resnet10t cannot be had ({place} cannot be reached: " in out
    assert "give a file with --checkpoint FILE" in out
    assert len(said) == 1
    assert len(asked) < 7  # as often as huggingface_hub asks for one name of a file


@pytest.mark.parametrize("model", ["embedded", "local-dir:x", "nosuch", "resnet10t.nosuch"])
def test_what_is_not_on_a_hub_is_not_fetched(model: str) -> None:
    assert place_to_fetch_from(model) is None
