"""Pretrained weights from a hub: one line says that they are fetched, where they are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
from safetensors.torch import save

from evoft.training.hub import place_to_fetch_from

#: Loads start weights as a worker does.
LOAD = """
import sys
from evoft.errors import BackboneError
from evoft.settings import TrainingSettings
from evoft.training.backbone import start_weights
try:
    print(len(start_weights(sys.argv[1], TrainingSettings(models=(sys.argv[1],)), 3)))
except BackboneError as error:
    print(error)
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


def load(hub: str, cache: Path, model: str, **more: str) -> tuple[str, list[str]]:
    """Return what loading weights printed, and its lines on stderr that evoft wrote."""
    environment = {n: v for n, v in os.environ.items() if n != "HF_HUB_OFFLINE"} | {
        "HF_ENDPOINT": hub, "HF_HOME": str(cache), "TORCH_HOME": str(cache), **more,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOAD, model],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "fetching" in line]


def test_it_is_said_once_what_is_fetched_from_where(hub: str, tmp_path: Path) -> None:
    out, said = load(hub, tmp_path, "test_vit")
    assert int(out) > 0
    assert said == [
        f"fetching the pretrained weights of test_vit from {hub}/timm/test_vit.r160_in1k: if it "
        "cannot be reached, half a minute or so goes by until that is known"
    ]
    again, silent = load(hub, tmp_path, "test_vit")
    assert (again, silent) == (out, [])


def test_it_is_said_before_it_is_known_that_they_cannot_be_had(hub: str, tmp_path: Path) -> None:
    out, said = load(hub, tmp_path, "resnet10t")
    assert "the pretrained weights of resnet10t cannot be had" in out
    assert len(said) == 1
    out, said = load(hub, tmp_path, "resnet10t", HF_HUB_OFFLINE="1")
    assert "the pretrained weights of resnet10t cannot be had" in out
    assert said == []


def test_a_hub_that_does_not_answer_is_asked_a_few_times_only(tmp_path: Path) -> None:
    asked = []

    class Silent(BaseHTTPRequestHandler):
        def handle(self) -> None:
            asked.append(self.client_address)

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        hub = f"http://127.0.0.1:{server.server_port}"
        out, said = load(hub, tmp_path, "resnet10t")
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
