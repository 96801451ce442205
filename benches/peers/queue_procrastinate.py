#!/usr/bin/env python3
"""Peer of the queue: procrastinate (PostgreSQL, SKIP LOCKED, LISTEN/NOTIFY) with asynchronous no-op jobs.

Each command prints one JSON object as its last line and means the same as `tenor-bench queue <command>`.
"""
import argparse
import asyncio
import json
import logging
import signal
import time

import procrastinate
import psycopg

QUEUE = "bench"
VERIFY = """
SELECT (SELECT count(*) FROM procrastinate_jobs),
       (SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'),
       count(*) FILTER (WHERE type = 'succeeded'), count(DISTINCT job_id) FILTER (WHERE type = 'succeeded'),
       extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') - min(at) FILTER (WHERE type = 'started'))
FROM procrastinate_events"""


def percentiles(values):
    ordered = sorted(values)
    at = lambda share: ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None
    return {"n": len(ordered), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}


def application(url, connections):
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=connections))
    pickups, started = [], [0]

    @app.task(name="ping", queue=QUEUE)
    async def ping(sent):
        started[0] += 1
        if sent:
            pickups.append((time.time() - sent) * 1e3)

    return app, ping, pickups, started


async def prepare(options):
    app, *_ = application(options.database, 2)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
    return {}


async def enqueue(options):
    app, ping, *_ = application(options.database, 2)
    began = time.perf_counter()
    async with app.open_async():
        for first in range(0, options.jobs, 1000):
            await ping.batch_defer_async(*[{"sent": None}] * min(1000, options.jobs - first))
    took = time.perf_counter() - began
    with psycopg.connect(options.database, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return {"jobs": options.jobs, "per_s": options.jobs / took}


async def trickle(options):
    app, ping, *_ = application(options.database, 2)
    took = []
    async with app.open_async():
        for _ in range(options.jobs):
            began = time.perf_counter()
            await ping.defer_async(sent=time.time())
            took.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(options.gap_ms / 1e3)
    return {"enqueue_ms": percentiles(took)}


async def work(options):
    """Until the queue is empty, for some seconds, or until SIGTERM."""
    app, _, pickups, started = application(options.database, options.slots + 2)
    async with app.open_async():
        worker = asyncio.create_task(app.run_worker_async(
            queues=[QUEUE], concurrency=options.slots, wait=not options.until_idle, install_signal_handlers=False))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.cancel)
        if options.seconds:
            asyncio.get_running_loop().call_later(options.seconds, worker.cancel)
        try:
            await worker
        except asyncio.CancelledError:
            pass
    return {"started": started[0], "pickup_ms": percentiles(pickups)}


async def verify(options):
    with psycopg.connect(options.database) as connection:
        jobs, succeeded, events, distinct, span = connection.execute(VERIFY).fetchone()
    return {"jobs": jobs, "succeeded": succeeded, "completions": events, "distinct": distinct, "span_s": float(span or 0)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("command", choices=["prepare", "enqueue", "trickle", "work", "verify"])
    arguments.add_argument("--database", required=True)
    arguments.add_argument("--jobs", type=int, default=1000)
    arguments.add_argument("--gap-ms", type=float, default=20)
    arguments.add_argument("--slots", type=int, default=32)
    arguments.add_argument("--seconds", type=float)
    arguments.add_argument("--until-idle", action="store_true")
    options = arguments.parse_args()
    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # it warns that a script is no module
    print(json.dumps(asyncio.run(globals()[options.command](options))), flush=True)


if __name__ == "__main__":
    main()
