"""Functions of libraries whose answers hang on more than their arguments."""

import builtins
import types
from typing import Any, Final

from moonlet.replay.vetting.impurity import Kind

MODULES: Final[dict[str, Kind]] = {
    "time": "clock",
    "random": "chance",
    "secrets": "chance",
    "socket": "I/O",
    "ssl": "I/O",
    "subprocess": "I/O",
    "threading": "global state",
    "multiprocessing": "I/O",
    "asyncio": "I/O",
    "shutil": "I/O",
    "tempfile": "I/O",
    "urllib": "I/O",
    "http": "I/O",
    "smtplib": "I/O",
    "sqlite3": "I/O",
    "requests": "I/O",
    "httpx": "I/O",
    "aiohttp": "I/O",
    "urllib3": "I/O",
    "nats": "I/O",
    "os": "I/O",
    "posix": "I/O",
    "glob": "I/O",
    "logging": "I/O",
    "structlog": "I/O",
}
"""Whatever is called of these; what is pure in them is named below."""

PURE: Final = frozenset((
    "urllib.parse", "os.path.join", "os.path.basename", "os.path.dirname", "os.path.splitext",
    "os.fspath", "posixpath", "ntpath", "http.HTTPStatus", "random.Random",
    "asyncio.iscoroutinefunction", "time.gmtime", "time.strptime", "time.struct_time",
))  # fmt: skip

NAMED: Final[dict[str, Kind]] = {
    "datetime.datetime.now": "clock",
    "datetime.datetime.utcnow": "clock",
    "datetime.datetime.today": "clock",
    "datetime.date.today": "clock",
    "uuid.uuid1": "chance",
    "uuid.uuid4": "chance",
    "numpy.random": "chance",
    "builtins.open": "I/O",
    "builtins.print": "I/O",
    "builtins.input": "I/O",
    "builtins.breakpoint": "I/O",
    "builtins.exec": "I/O",
    "builtins.eval": "I/O",
    "builtins.__import__": "I/O",
    "builtins.hash": "hash order",
    "builtins.id": "hash order",
    "pathlib.Path.read_text": "I/O",
    "pathlib.Path.write_text": "I/O",
    "pathlib.Path.open": "I/O",
    "io.open": "I/O",
}

MUTATORS: Final = frozenset((
    "append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault",
    "add", "discard", "sort", "reverse", "appendleft", "popleft", "extendleft", "__setitem__",
    "__setattr__", "__delitem__", "difference_update", "intersection_update",
    "symmetric_difference_update", "move_to_end",
))  # fmt: skip


def full_name(value: Any) -> str:
    """`module.Class.function`, as it is imported; empty for what has no name."""
    if isinstance(value, types.ModuleType):
        return value.__name__
    owner = getattr(value, "__self__", getattr(value, "__objclass__", None))
    name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
    module = getattr(value, "__module__", None)
    if isinstance(owner, types.ModuleType):
        module = owner.__name__
    elif isinstance(owner, type):
        module = owner.__module__
    elif owner is not None:  # random.randint is a method of an instance that nobody sees
        module, name = type(owner).__module__, value.__name__
    elif module is None and getattr(builtins, name, None) is value:
        module = "builtins"
    return f"{module}.{name}" if module and name else ""


def kind_of(name: str) -> Kind | None:
    """What is impure about the function of that full name; None if nothing is known."""
    if any(name == pure or name.startswith(f"{pure}.") for pure in PURE):
        return None
    for known, kind in NAMED.items():
        if name == known or name.startswith(f"{known}."):
            return kind
    return MODULES.get(name.partition(".")[0])
