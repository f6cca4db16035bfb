"""The `.sim` file: a run to be replayed, as JSON lines.

Line 1 is the header. Then a line per event, `[ns, node, kind, field …]`, and, between them where
they fell, a line per checkpoint, `{"steps": …, "digest": …}`. Bytes are `{"b64": …}`, long ones
`{"blake2b": …, "bytes": …}`. Above 64 KiB the file is gzipped under the same name; should it be
larger even then, the first events are left out, and `{"left_out": …}` says how many. The plan is
explicit, so a file outlives changes to the generators; the seed alone would not.
"""

import base64
import gzip
import platform
import sys
from hashlib import blake2b
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from moonlet.simulations.trace import DIGEST_BYTES, Checkpoint, Field, Trace

VERSION = 1
PLAIN_MAX = 64 * 1024
BYTES_MAX = 256
GZIP_MAGIC = b"\x1f\x8b"
PACKAGES = ("moonlet", "msgspec", "nats-py")
CANARY = "moonlet"


class SimHeader(msgspec.Struct, kw_only=True):
    """What a replay needs, and what to compare when it differs.

    `plan`, `profile` and `workload` are plain data of those who draw them. `history` is the digest
    of the bundle that the world began with, `code` that of the sources of `moonlet` that were
    loaded, `hash_canary` the hash of one string in that process: digests that differ together with
    it hang on the hash seed.
    """

    v: int = VERSION
    test: str = ""
    seed: int = 0
    replicas: int = 1
    history: str = ""
    plan: list[Any] = []
    profile: dict[str, Any] = {}
    workload: list[Any] = []
    python: str = ""
    packages: dict[str, str] = {}
    commit: str = ""
    code: str = ""
    hash_canary: int = 0
    digest: str = ""

    def here(self) -> "SimHeader":
        """The same, with `python`, `packages`, `code` and `hash_canary` of this process."""
        found = {name: _version(name) for name in PACKAGES}
        return msgspec.structs.replace(
            self,
            python=platform.python_version(),
            packages={name: version for name, version in found.items() if version},
            code=code_digest(),
            hash_canary=hash(CANARY),
        )


class SimFile(msgspec.Struct):
    """A `.sim` file as read; the checkpoints are `Trace(expected=…)` of its replay.

    `left_out` is how many events happened before the first of `events`.
    """

    header: SimHeader
    events: list[list[Any]]
    checkpoints: list[Checkpoint]
    left_out: int = 0


def write_sim(path: Path, header: SimHeader, trace: Trace) -> None:
    """Write a run's file; `digest` of the header becomes the trace's. Equal runs, equal bytes."""
    digest = trace.digest
    lines: list[Any] = [msgspec.structs.replace(header, digest=digest)]
    points = iter(trace.checkpoints)
    point = next(points, None)
    for step, at_ns, node, kind, fields in trace.events:
        while point is not None and point.steps < step:
            lines.append({"steps": point.steps, "digest": point.digest.hex()})
            point = next(points, None)
        lines.append([at_ns, node, kind, *map(_readable, fields)])
    while point is not None:
        lines.append({"steps": point.steps, "digest": point.digest.hex()})
        point = next(points, None)
    left_out = 0
    data = _packed(lines)
    while len(data) > PLAIN_MAX and (events := sum(isinstance(line, list) for line in lines)):
        drop = -(-events // 4)
        left_out += drop
        lines = _without_first(lines, drop)
        data = _packed([lines[0], {"left_out": left_out}, *lines[1:]])
    path.write_bytes(data)


def _packed(lines: list[Any]) -> bytes:
    data = msgspec.json.Encoder().encode_lines(lines)
    return gzip.compress(data, mtime=0) if len(data) > PLAIN_MAX else data


def _without_first(lines: list[Any], count: int) -> list[Any]:
    """The lines without the first `count` events; checkpoints stay."""
    kept = []
    for line in lines:
        if isinstance(line, list) and count:
            count -= 1
        else:
            kept.append(line)
    return kept


def read_sim(path: Path) -> SimFile:
    """Read a run's file. Raises `ValueError` if it is none, or of a version of tomorrow."""
    data = path.read_bytes()
    if data.startswith(GZIP_MAGIC):
        data = gzip.decompress(data)
    first, _, rest = data.partition(b"\n")
    try:
        header = msgspec.json.decode(first, type=SimHeader)
        lines = msgspec.json.Decoder().decode_lines(rest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no .sim file ({error}): write it with write_sim") from error
    if header.v > VERSION:
        raise ValueError(f"{path} has version {header.v}, this code reads up to {VERSION}: upgrade")
    found = SimFile(header, [], [])
    for line in lines:
        if isinstance(line, dict) and "left_out" in line:
            found.left_out = line["left_out"]
        elif isinstance(line, dict):
            found.checkpoints.append(Checkpoint(line["steps"], bytes.fromhex(line["digest"])))
        else:
            found.events.append([*line[:3], *map(_original, line[3:])])
    return found


def code_digest() -> str:
    """The digest of the sources of all modules of `moonlet` that are loaded, in hexadecimal."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for name, module in sorted(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if name.startswith("moonlet.") and source is not None:
            digest.update(f"{name}\n".encode() + Path(source).read_bytes())
    return digest.hexdigest()


def _readable(field: Field) -> Any:
    if not isinstance(field, bytes):
        return field
    if len(field) > BYTES_MAX:
        digest = blake2b(field, digest_size=DIGEST_BYTES).hexdigest()
        return {"blake2b": digest, "bytes": len(field)}
    return {"b64": base64.b64encode(field).decode()}


def _original(field: Any) -> Any:
    return base64.b64decode(field["b64"]) if isinstance(field, dict) and "b64" in field else field


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
