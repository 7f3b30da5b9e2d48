"""A run in `gs://`, against an emulator of the store: train, kill, resume, report."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from devices import COMMAND

pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")

CONFIG = Path(__file__).parents[1] / "configs" / "tiny.py"
WORKDIR = "gs://bucket/run"

# The emulator omits the generation of an object in downloads, which tensorstore needs. It cannot
# move an object, and says so with a code that gcsfs answers with half a minute of further tries;
# with another one, gcsfs copies and deletes.
SERVER = """
import time
from gcp_storage_emulator.handlers import objects

download = objects.download

def with_generation(request, response, storage, *args, **kwargs):
    download(request, response, storage, *args, **kwargs)
    if response.status < 400:
        kept = storage.get_file_obj(request.params["bucket_name"], request.params["object_id"])
        response["x-goog-generation"] = kept["generation"]

objects.download = with_generation
from gcp_storage_emulator.server import RequestHandler, create_server

post = RequestHandler.do_POST

def post_without_move(self):
    if "/moveTo/" in self.path:
        self.send_error(405)
    else:
        post(self)

RequestHandler.do_POST = post_without_move
server = create_server("localhost", 0, in_memory=True, default_bucket="bucket")
server.start()
print(server._api._httpd.server_address[1], flush=True)
while True:
    time.sleep(60)
"""


class Store:
    """The emulator: the environment in which gs:// refers to it, and its content."""

    def __init__(self, address):
        self.address = address
        self.environment = os.environ | {
            "STORAGE_EMULATOR_HOST": address,  # of gcsfs
            "TENSORSTORE_GCS_HTTP_URL": address,
            "FSSPEC_GCS_TOKEN": "anon",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # would ask Google what kind of bucket it is
            "GCE_METADATA_ROOT": "localhost:1",  # not a machine of the cloud: tensorstore sees it at once
        }

    def names(self):
        """The objects of the run, without the folder's name."""
        with urlopen(f"{self.address}/storage/v1/b/bucket/o?prefix=run/") as response:
            items = json.load(response).get("items", [])
        return [item["name"].removeprefix("run/") for item in items]

    def checkpoints(self):
        """Steps of the complete checkpoints, which Orbax marks with a file because it cannot
        rename.
        """
        found = [re.fullmatch(r"checkpoints/(\d+)/commit_success\.txt", name) for name in self.names()]
        return sorted(int(match[1]) for match in found if match)

    def logged(self):
        """Steps of the training lines of the log, in order."""
        steps = []
        for name in sorted(n for n in self.names() if n.startswith("log/")):
            with urlopen(f"{self.address}/download/storage/v1/b/bucket/o/{quote('run/' + name, safe='')}") as response:
                lines = [json.loads(line) for line in response.read().splitlines()]
            steps += [line["step"] for line in lines if line["kind"] == "train"]
        return steps

    def run(self, *words):
        command = [*COMMAND, *map(str, words)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def store():
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        yield Store(f"http://localhost:{int(server.stdout.readline())}")
        server.kill()


@pytest.mark.slow
def test_a_run_in_the_store_is_killed_goes_on_and_is_reported(store):
    train = ["train", CONFIG, "--workdir", WORKDIR, "--stages.0.steps"]
    with subprocess.Popen(
        [*COMMAND, *map(str, train), "100000"],  # more steps than it will run
        env=store.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        deadline = time.monotonic() + 300
        while not store.checkpoints():
            assert first.poll() is None, first.stderr.read()
            assert time.monotonic() < deadline, store.names()
            time.sleep(0.2)
        first.send_signal(signal.SIGKILL)
    reached, before = max(store.checkpoints()), store.logged()
    assert before == list(range(1, len(before) + 1))

    total = reached + 4
    done = store.run(*train, total, "--override")
    assert done.returncode == 0, done.stderr
    logged = store.logged()
    assert logged == [*before, *range(reached + 1, total + 1)], "the log of the killed run is lost, or steps are"
    assert total in store.checkpoints()
    assert "weights.safetensors" in store.names()

    report = store.run("report", WORKDIR)
    assert report.returncode == 0, report.stderr
    assert f"written to {WORKDIR}/report.png" in report.stdout
    assert "report.png" in store.names()
