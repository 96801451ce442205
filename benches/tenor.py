"""Tenor's side for the bench commands: build, start servers, call `tenor` and `tenor-bench`."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from common import ROOT, run_json, say


def arguments(description, **defaults):
    """The command line of a bench: --rounds, --bin, and a number for each of `defaults`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=defaults.pop("rounds", 3))
    parser.add_argument("--bin", type=Path, help="use the binaries in this folder instead of building")
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `with` blocks stop what they started
    return parser.parse_args()


def binaries(options):
    """The folder with tenor-server, tenor and tenor-bench, built when no other is named."""
    if options.bin:
        return options.bin.resolve()
    say("building ...")
    # The same features as with --all-targets, so nothing is built twice.
    subprocess.run(["cargo", "build", "--release", "--workspace"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "target" / "release"


def bench(folder, *command):
    return run_json([folder / "tenor-bench", *command])


def postgres():
    """The PostgreSQL of the bench: scripts/with-postgres.sh starts one and names it."""
    url = os.environ.get("TENOR_TEST_PG_URL")
    if not url:
        sys.exit("error: run this through make, or through scripts/with-postgres.sh")
    return url


def memory_mib(pid):
    """Resident and proportional set of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return round(sizes["Rss"], 1), round(sizes["Pss"], 1)


class Process:
    """A process that writes its address to a file once it listens; stopped at the end of the `with` block."""

    def __init__(self, command, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "address"
        self.file.unlink(missing_ok=True)
        self.log = self.folder / "log"
        self.began = time.perf_counter()
        with open(self.log, "a") as log:
            command = [str(c) for c in [*command, "--address-file", self.file]]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait(self.file.exists, "write its address")
        self.address = self.file.read_text()
        self.pid = self.process.pid

    def wait(self, ready, what, seconds=60):
        """Asks every millisecond, so that waiting adds little to what is measured."""
        while not ready():
            if self.process.poll() is not None or time.perf_counter() - self.began > seconds:
                said = self.log.read_text()[-2000:]
                self.stop()
                sys.exit(f"error: {self.process.args[0]} did not {what}:\n{said}")
            time.sleep(0.001)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Server(Process):
    """A Tenor server that is ready; `ready_ms` says how long that took from the start of the process."""

    def __init__(self, folder, data_dir, database=None):
        self.bin = folder
        command = [folder / "tenor-server", "serve", "--data-dir", data_dir, "--listen", "127.0.0.1:0"]
        super().__init__(command + (["--database", database] if database else []), data_dir)
        self.wait(self.ready, "become ready")
        self.ready_ms = (time.perf_counter() - self.began) * 1e3

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.address}/readyz", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def line(self, *command):
        return [str(c) for c in (self.bin / "tenor", "--server", f"http://{self.address}", "--quiet", *command)]

    def cli(self, *command):
        """Runs `tenor` and returns its exit code; what it says goes to the log of the server."""
        with open(self.log, "a") as log:
            return subprocess.run(self.line(*command), stdout=log, stderr=log).returncode

    def read(self, *command):
        return json.loads(subprocess.run(self.line("--output", "json", *command), stdout=subprocess.PIPE, text=True, check=True).stdout)

    def must(self, *command):
        if code := self.cli(*command):
            sys.exit(f"error: `tenor {' '.join(map(str, command))}` ended with {code}:\n{self.log.read_text()[-2000:]}")


class Echo(Process):
    """Answers the same messages without predicting: behind Tenor's accept loop, or with `--tonic` behind tonic's own server."""

    def __init__(self, folder, *flags):
        self.home = tempfile.TemporaryDirectory()
        super().__init__([folder / "tenor-bench", "echo", *flags], self.home.name)

    def stop(self):
        super().stop()
        self.home.cleanup()
