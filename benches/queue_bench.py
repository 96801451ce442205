#!/usr/bin/env python3
"""make bench-queue: no-op jobs, pick-up, a full queue, a zombie and a killed worker, beside procrastinate on the same PostgreSQL."""
import json
import signal
import subprocess
import sys
import tempfile
import time

import tenor
from common import OWN_PEERS, alone, finish, median, peer_python, row, run_json, say

WORKERS = 4


class Side:
    """The commands of one side; both have the same ones."""

    def __init__(self, command, database):
        self.command, self.database = [str(c) for c in command], database

    def line(self, name, *flags):
        return [str(c) for c in [*self.command, name, "--database", self.database, *flags]]

    def call(self, name, *flags):
        return run_json(self.line(name, *flags))

    def start(self, *flags):
        return subprocess.Popen(self.line("work", *flags), stdout=subprocess.PIPE, text=True)

    def until(self, reached, seconds=120):
        """The first count for which `reached` holds."""
        began = time.monotonic()
        while not reached(count := self.call("verify")):
            if time.monotonic() - began > seconds:
                sys.exit(f"error: after {seconds} s the queue is at {count}")
            time.sleep(0.05)
        return count


def end(worker, how=signal.SIGTERM):
    worker.send_signal(how)
    return json.loads(worker.communicate(timeout=60)[0].strip().splitlines()[-1])


def throughput(side, workers, jobs, slots=32):
    """Jobs a second, from the first start to the last end, and how many jobs ended exactly once."""
    side.call("prepare")
    side.call("enqueue", "--jobs", jobs)
    running = [side.start("--slots", slots, "--until-idle") for _ in range(workers)]
    started = sum(json.loads(worker.communicate()[0].strip().splitlines()[-1])["started"] for worker in running)
    count = side.call("verify")
    exact = count["succeeded"] == count["completions"] == count["distinct"] == started == jobs
    return {"jobs_s": count["succeeded"] / count["span_s"], "once": jobs if exact else count["distinct"] - abs(started - jobs)}


def pickup(side, jobs):
    """From the beginning of the enqueue call to the start of the handler in another process, ms."""
    side.call("prepare")
    worker = side.start("--slots", 4)
    time.sleep(2)
    side.call("trickle", "--jobs", jobs, "--gap-ms", 20)
    time.sleep(1)
    return end(worker)["pickup_ms"]


def full(side, pending, seconds):
    """Milliseconds a job with one slot and so many jobs waiting: claim, start, end, one after another."""
    side.call("prepare")
    side.call("enqueue", "--jobs", pending)
    side.call("work", "--slots", 1, "--seconds", seconds)
    count = side.call("verify")
    return count["span_s"] * 1e3 / count["succeeded"]


def zombie(side):
    """A worker is stopped in the middle of a job, loses its lease, and writes when it wakes: 1 when that was refused."""
    side.call("prepare")
    side.call("enqueue", "--jobs", 1, "--hold-ms", 1500)
    first = side.start("--lease-ms", 2000, "--name", "stopped")
    side.until(lambda count: count["running"] == 1)
    first.send_signal(signal.SIGSTOP)
    second = side.start("--lease-ms", 2000, "--name", "second")
    side.until(lambda count: count["succeeded"] == 1)
    first.send_signal(signal.SIGCONT)
    time.sleep(2)
    refused, _ = end(first)["refused"], end(second)
    count = side.call("verify")
    return refused if count["effects"] == count["completions"] == 1 and count["highest_fence"] == 2 else 0


def killed(side, jobs=40):
    """One of two workers is killed with jobs in hand: ms until the last of them ran again, and jobs with exactly one effect."""
    side.call("prepare")
    side.call("enqueue", "--jobs", jobs, "--hold-ms", 250)
    first = side.start("--lease-ms", 2000, "--slots", 8, "--name", "killed")
    side.until(lambda count: count["running"] == 8)
    second = side.start("--lease-ms", 2000, "--slots", 8, "--name", "second")
    first.kill()
    killed_ms = time.time() * 1e3
    first.communicate()
    count = side.until(lambda count: count["succeeded"] == jobs)
    end(second)
    once = count["distinct_effects"] if count["effects"] == count["distinct_effects"] == count["completions"] else 0
    return {"recovery_ms": count["last_restart_ms"] - killed_ms, "restarted": count["restarted"], "once": once}


def main():
    options = tenor.arguments(__doc__, jobs=5_000, pending=60_000, pickups=300)
    admin, folder = tenor.postgres(), tenor.binaries(options)
    python, why = peer_python("queue")
    settings = {}

    def ours(database=None):
        made = {"url": database} if database else tenor.bench(folder, "database", "--url", admin, "--name", "bench_tenor")
        settings.update(made.get("settings", {}))
        return Side([folder / "tenor-bench", "queue"], made["url"])

    def theirs():
        url = tenor.bench(folder, "database", "--url", admin, "--name", "bench_peer")["url"]
        return Side([python, OWN_PEERS / "queue_procrastinate.py"], url.replace("postgres://", "postgresql://", 1))

    total = WORKERS * options.jobs
    measures = {
        "rate": lambda side: throughput(side, WORKERS, total),
        "pickup": lambda side: pickup(side, options.pickups),
        "full": lambda side: full(side, options.pending, 8),
        "short": lambda side: full(side, 4_000, 3),
    }
    runs = {name: ([], []) for name in measures}
    own = {name: [] for name in ("zombie", "killed", "lite_rate", "lite_pickup")}
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for name, measure in measures.items():
            runs[name][0].append(measure(ours()))
            if python:
                runs[name][1].append(measure(theirs()))
        own["zombie"].append(zombie(ours()))
        own["killed"].append(killed(ours()))
        with tempfile.TemporaryDirectory() as home:
            own["lite_rate"].append(throughput(ours(f"sqlite://{home}/rate.db"), 1, options.jobs))
            own["lite_pickup"].append(pickup(ours(f"sqlite://{home}/pickup.db"), options.pickups))
    failed = report(options, total, runs, own, settings, why)
    if failed:
        sys.exit(f"error: {failed}")


def report(options, total, runs, own, settings, why):
    middle = lambda found, key=None: median([r[key] if key else r for r in found]) if found else None
    missing = {} if runs["rate"][1] else {"reason": why}
    both = lambda text, name, key, unit, higher=False: row(
        text, middle(runs[name][0], key), middle(runs[name][1], key), unit, None, higher, **missing)
    fewest = lambda found: min(r["once"] for r in found)
    no_lease = "procrastinate has no leases: a stalled job runs again only by code of the user's own"
    rows = [
        both(f"{WORKERS} worker processes, {total:,} no-op jobs", "rate", "jobs_s", "jobs/s", True),
        alone("the same against its own target", middle(runs["rate"][0], "jobs_s"), "jobs/s", 2000, True),
        alone(f"jobs of {total:,} that ended exactly once, fewest of all rounds", fewest(runs["rate"][0]), "jobs", total, True),
        both("pick-up by an idle worker from the enqueue call, p50", "pickup", "p50", "ms"),
        both("pick-up by an idle worker from the enqueue call, p95", "pickup", "p95", "ms"),
        alone("pick-up p50 against its own target", middle(runs["pickup"][0], "p50"), "ms", 10, False),
        both(f"one slot, {options.pending:,} jobs pending", "full", None, "ms/job"),
        both("one slot, 4,000 jobs pending", "short", None, "ms/job"),
        alone("late writes of a stopped worker refused, fewest of 1", min(own["zombie"]), "writes", 1, True, no_lease),
        alone("kill -9 with 8 jobs in hand, lease 2 s: the last runs again after", middle(own["killed"], "recovery_ms"), "ms", reason=no_lease),
        alone("jobs of 40 with exactly one effect after the kill, fewest", fewest(own["killed"]), "jobs", 40, True, no_lease),
        alone(f"SQLite, one process, {options.jobs:,} no-op jobs", middle(own["lite_rate"], "jobs_s"), "jobs/s", None, True, "PostgreSQL only"),
        alone(f"SQLite, jobs of {options.jobs:,} that ended exactly once, fewest", fewest(own["lite_rate"]), "jobs", options.jobs, True, "PostgreSQL only"),
        alone("SQLite, pick-up from another process, p50", middle(own["lite_pickup"], "p50"), "ms", None, False, "PostgreSQL only"),
        alone("apalis-postgres", None, "jobs/s", None, True, "a Rust crate with its own sqlx; it is not part of this workspace"),
    ]
    notes = [
        f"Both sides on one PostgreSQL {settings['server_version']}, a fresh database each time: fsync {settings['fsync']}, "
        f"synchronous_commit {settings['synchronous_commit']}; 32 jobs at a time in each worker process unless it says one slot.",
        "Exactly once: started handlers, completions in the history and succeeded rows all equal the jobs enqueued.",
        "Jobs/s: from the first start to the last end by the clock of the database. On SQLite other processes learn of a job by polling.",
        "Peer: procrastinate 3.10.0 with psycopg 3, asynchronous tasks, LISTEN/NOTIFY on.",
    ]
    finish("queue", rows, "make bench-queue", notes)
    exact = fewest(runs["rate"][0]) == total and fewest(own["lite_rate"]) == options.jobs
    if not (exact and min(own["zombie"]) == 1 and fewest(own["killed"]) == 40):
        return "a job was lost or done twice, or a late write was accepted; see the rows"
    return None


if __name__ == "__main__":
    main()
