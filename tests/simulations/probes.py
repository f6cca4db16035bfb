"""Ways out of a run, and what each must meet: a virtual answer or an error."""

import asyncio
import concurrent.futures
import ctypes
import datetime
import glob
import locale
import multiprocessing
import os
import pathlib
import platform
import queue
import random
import secrets
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from os import getpid as bound_getpid
from os import urandom as bound_urandom
from random import Random as BoundRandom
from random import randint as bound_randint
from random import random as bound_random
from time import monotonic as bound_monotonic
from time import sleep as bound_sleep
from time import time as bound_time
from typing import Any, NamedTuple
from uuid import uuid4 as bound_uuid4

from moonlet.simulations.loop import SimLoop

VIRTUAL = "virtual"
ERROR = "error"
WATCHED = "an error where ring 3 watches"


class Probe(NamedTuple):
    """A way out, its verdict, and a word by which the error names the call."""

    name: str
    reach: Callable[[], Any]
    verdict: str
    word: str = ""


def no_op() -> None: ...


def ran_in_executor() -> Any:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(int).result()


def wait_for_future() -> Any:
    return concurrent.futures.Future[int]().result()


def start_process() -> None:
    multiprocessing.get_context("spawn").Process(target=no_op).start()


def this_loop() -> Any:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


def utcnow() -> Any:
    return datetime.datetime.utcnow()


HERE = pathlib.Path(__file__)

CLOCKS = [
    Probe("time.time", lambda: time.time(), VIRTUAL),
    Probe("time.time_ns", lambda: time.time_ns(), VIRTUAL),
    Probe("time.monotonic", lambda: time.monotonic(), VIRTUAL),
    Probe("time.monotonic_ns", lambda: time.monotonic_ns(), VIRTUAL),
    Probe("time.perf_counter", lambda: time.perf_counter(), VIRTUAL),
    Probe("time.perf_counter_ns", lambda: time.perf_counter_ns(), VIRTUAL),
    Probe("time.process_time", lambda: time.process_time(), VIRTUAL),
    Probe("time.thread_time", lambda: time.thread_time(), VIRTUAL),
    Probe("time.clock_gettime", lambda: time.clock_gettime(time.CLOCK_REALTIME), VIRTUAL),
    Probe("time.clock_gettime_ns", lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC), VIRTUAL),
    Probe("time.gmtime", lambda: time.gmtime(), VIRTUAL),
    Probe("time.localtime", lambda: (time.localtime(), time.localtime(None)), VIRTUAL),
    Probe("time.ctime", lambda: time.ctime(), VIRTUAL),
    Probe("time.asctime", lambda: time.asctime(), VIRTUAL),
    Probe("time.strftime", lambda: time.strftime("%c"), VIRTUAL),
    Probe("a zone", lambda: datetime.datetime.fromtimestamp(0).hour, VIRTUAL),
    Probe("loop.time", lambda: this_loop().time(), VIRTUAL),
    Probe("time.sleep", lambda: time.sleep(0.001), ERROR, "time.sleep"),  # sleeps: never
    Probe("time, bound", lambda: bound_time(), WATCHED, "time.time"),
    Probe("monotonic, bound", lambda: bound_monotonic(), WATCHED, "time.monotonic"),
    Probe("sleep, bound", lambda: bound_sleep(0.0001), WATCHED, "sleep"),
    Probe("datetime.now", lambda: datetime.datetime.now(), WATCHED, "datetime.now"),
    Probe("now(utc)", lambda: datetime.datetime.now(datetime.UTC), WATCHED, "datetime.now"),
    Probe("datetime.today", lambda: datetime.datetime.today(), WATCHED, "datetime.today"),
    Probe("datetime.utcnow", utcnow, WATCHED, "datetime.utcnow"),
    Probe("date.today", lambda: datetime.date.today(), WATCHED, "date.today"),
]

CHANCE = [
    Probe("random.random", lambda: random.random(), VIRTUAL),
    Probe("random.shuffle", lambda: random.sample(range(50), 9), VIRTUAL),
    Probe("random.seed", lambda: (random.seed(), random.random())[1], VIRTUAL),
    Probe("Random()", lambda: random.Random().random(), VIRTUAL),
    Probe("Random(), bound", lambda: BoundRandom().random(), VIRTUAL),
    Probe("SystemRandom", lambda: random.SystemRandom().random(), VIRTUAL),
    Probe("secrets.token_hex", lambda: secrets.token_hex(8), VIRTUAL),
    Probe("secrets.randbelow", lambda: secrets.randbelow(10**9), VIRTUAL),
    Probe("secrets.choice", lambda: secrets.choice(range(10**9)), VIRTUAL),
    Probe("random, bound", lambda: bound_random(), VIRTUAL),
    Probe("randint, bound", lambda: bound_randint(1, 10**9), VIRTUAL),
    Probe("os.urandom", lambda: os.urandom(8), VIRTUAL),
    Probe("urandom, bound", lambda: bound_urandom(8), WATCHED, "urandom"),
    Probe("uuid1", lambda: str(uuid.uuid1()), VIRTUAL),
    Probe("uuid4", lambda: str(uuid.uuid4()), VIRTUAL),
    Probe("uuid4, bound", lambda: str(bound_uuid4()), VIRTUAL),
]
if sys.platform == "linux":
    CHANCE.append(Probe("os.getrandom", lambda: os.getrandom(8), VIRTUAL))

THREADS = [
    Probe("Thread.start", lambda: threading.Thread(target=no_op).start(), ERROR, "Thread"),
    Probe("Timer", lambda: threading.Timer(0, no_op).start(), ERROR, "Thread"),
    Probe("ThreadPoolExecutor", ran_in_executor, ERROR, "Thread"),
    Probe("Event.wait", lambda: threading.Event().wait(0.001), ERROR, "Condition.wait"),
    Probe("Queue.get", lambda: queue.Queue[int]().get(timeout=0.001), ERROR, "Condition.wait"),
    Probe("Future.result", wait_for_future, ERROR, "Condition.wait"),
]

PROCESSES = [
    Probe("subprocess.run", lambda: subprocess.run(["true"], check=False), ERROR),
    Probe("os.system", lambda: os.system("true"), ERROR, "os.system"),
    Probe("Process.start", start_process, ERROR),
    Probe("os.kill", lambda: os.kill(os.getpid(), 0), ERROR, "os.kill"),
    Probe("os.waitpid", lambda: os.waitpid(-1, 0), ERROR, "os.waitpid"),
    Probe("os.getpid", lambda: os.getpid(), VIRTUAL),
    Probe("getpid, bound", lambda: bound_getpid(), WATCHED, "getpid"),
    Probe(
        "signal.signal",
        lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        ERROR,
        "signal.signal",
    ),
    Probe("raise_signal", lambda: signal.raise_signal(signal.SIGTERM), ERROR, "raise_signal"),
    Probe("input", lambda: input(), ERROR, "input"),
    Probe("ctypes", lambda: ctypes.CDLL("libc.so.6"), ERROR, "ctypes"),
]

FILES = [
    Probe("open", lambda: open(__file__).close(), ERROR, "open"),
    Probe("Path.read_text", lambda: HERE.read_text(), ERROR, "open"),
    Probe("os.open", lambda: os.open(__file__, os.O_RDONLY), ERROR, "open"),
    Probe("os.listdir", lambda: os.listdir("."), ERROR, "os.listdir"),
    Probe("os.scandir", lambda: list(os.scandir(".")), ERROR, "os.scandir"),
    Probe("glob", lambda: glob.glob("*"), ERROR),
    Probe("os.stat", lambda: os.stat(".").st_mtime, ERROR, "os.stat"),
    Probe("Path.exists", lambda: HERE.exists(), ERROR, "os.stat"),
    Probe("os.mkdir", lambda: os.mkdir("never-made"), ERROR, "os.mkdir"),
    Probe("os.remove", lambda: os.remove("never-there"), ERROR, "os.remove"),
    Probe("os.rename", lambda: os.rename("never-there", "nor-here"), ERROR, "os.rename"),
    Probe("os.getcwd", lambda: os.getcwd(), ERROR, "os.getcwd"),
    Probe("mkdtemp", lambda: tempfile.mkdtemp(), ERROR),
    Probe("shutil.rmtree", lambda: shutil.rmtree("never-there"), ERROR),
    Probe("sqlite, a file", lambda: sqlite3.connect("never.db"), ERROR, "sqlite3"),
    Probe("sqlite, memory", lambda: sqlite3.connect(":memory:").close(), VIRTUAL),
]

NETWORK = [
    Probe("socket", lambda: socket.socket().close(), ERROR, "socket"),
    Probe("create_connection", lambda: socket.create_connection(("127.0.0.1", 9)), ERROR, "socket"),
    Probe("getaddrinfo", lambda: socket.getaddrinfo("localhost", 80), ERROR, "getaddrinfo"),
    Probe("gethostname", lambda: socket.gethostname(), ERROR, "gethostname"),
    Probe("urlopen", lambda: urllib.request.urlopen("http://127.0.0.1:9"), ERROR),
    Probe("select", lambda: select.select([], [], [], 0), ERROR, "select.select"),
    Probe("another loop", lambda: asyncio.new_event_loop(), ERROR),
    Probe("loop.add_reader", lambda: this_loop().add_reader(0, no_op), ERROR, "add_reader"),
    Probe("loop.sock_recv", lambda: this_loop().sock_recv(None, 1), ERROR, "sock_recv"),
]

MACHINE = [
    Probe("os.environ", lambda: os.environ["HOME"], ERROR, "os.environ"),
    Probe("environ.get", lambda: os.environ.get("HOME"), ERROR, "os.environ"),
    Probe("os.getenv", lambda: os.getenv("HOME"), ERROR, "os.environ"),
    Probe("all of environ", lambda: dict(os.environ), ERROR, "os.environ"),
    Probe("writing environ", lambda: os.environ.update(A="1"), ERROR, "os.environ"),
    Probe("os.uname", lambda: os.uname(), ERROR, "os.uname"),
    Probe("platform.node", lambda: platform.node(), ERROR, "platform.uname"),
    Probe("os.cpu_count", lambda: os.cpu_count(), ERROR, "cpu_count"),
    Probe("os.getloadavg", lambda: os.getloadavg(), ERROR, "getloadavg"),
]

INNOCENT = [
    Probe("an import", lambda: __import__("colorsys").__name__, VIRTUAL),
    Probe("strptime", lambda: str(time.strptime("2026", "%Y")), VIRTUAL),
    Probe("a formatted time", lambda: time.strftime("%Y", time.gmtime(0)), VIRTUAL),
    Probe("locale", lambda: locale.localeconv()["decimal_point"], VIRTUAL),
    Probe("print", lambda: print("said in a run"), VIRTUAL),
    Probe("uuid5", lambda: str(uuid.uuid5(uuid.NAMESPACE_URL, "moonlet")), VIRTUAL),
    Probe("a seeded Random", lambda: random.Random("a seed").random(), VIRTUAL),
    Probe("compare_digest", lambda: secrets.compare_digest("a", "b"), VIRTUAL),
    Probe("a moment", lambda: str(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)), VIRTUAL),
]

WORDS = {
    "Random()": "random.Random()",
    "Random(), bound": "random.Random()",
    "SystemRandom": "random.SystemRandom",
    "randint, bound": "random.randint",
    "random, bound": "random.random",
    "loop.time": "asyncio.get_running_loop",
    "random.shuffle": "random.sample",
    "secrets.choice": "random.choice",
    "uuid1": "uuid.uuid1",
    "uuid4": "uuid.uuid4",
    "uuid4, bound": "uuid.uuid4",
}
# What the handler of an agent may not even ask, virtual or not: the word names it there.
IN_HANDLERS = [
    probe._replace(word=WORDS.get(probe.name, probe.word or probe.name))
    for probe in (*CLOCKS, *CHANCE, *PROCESSES)
    if probe.verdict == WATCHED or (probe.verdict == VIRTUAL and probe.name != "a zone")
]

ALL = [*CLOCKS, *CHANCE, *THREADS, *PROCESSES, *FILES, *NETWORK, *MACHINE, *INNOCENT]
