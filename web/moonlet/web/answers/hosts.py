"""What hosts say of themselves on their own pages: alerts and metrics, asked over HTTP."""

import asyncio
import urllib.request
from typing import Any, Final

import msgspec

from moonlet.telemetry.alerts import RULES
from moonlet.web.answers.speeds import speeds
from moonlet.web.reading import Parameters, SystemReader

SECONDS: Final = 2.0
"""How long a host has to answer."""

BYTES_MAX: Final = 4_000_000
"""Of one answer."""


async def alerts(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """What fires at each host that is watched, what has, and the rules."""
    pages = reader.system.pages
    found = await asyncio.gather(*(_asked(f"{page}/alerts") for page in pages))
    hosts = [_alerts(page, text) for page, text in zip(pages, found, strict=True)]
    rules = [
        {
            "name": rule.name,
            "severity": rule.severity,
            "when": rule.expression,
            "hold": rule.hold,
            "meaning": rule.meaning,
            "fix": rule.fix,
        }
        for rule in RULES
    ]
    return {"hosts": hosts, "rules": rules, "command": "moonlet alerts"}


async def commands(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """How long deciding took, by agent type and command, over all hosts that are watched."""
    found = await asyncio.gather(*(_asked(f"{page}/metrics") for page in reader.system.pages))
    samples = [each for failed, text in found if not failed for each in _samples(text)]
    return {"commands": speeds(samples), "failed": [text for failed, text in found if failed]}


async def metrics(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """The samples of each host that is watched: name and labels → value, in their order."""
    pages = reader.system.pages
    found = await asyncio.gather(*(_asked(f"{page}/metrics") for page in pages))
    hosts = [
        {
            "page": page,
            "failed": text if failed else "",
            "samples": [] if failed else _samples(text),
        }
        for page, (failed, text) in zip(pages, found, strict=True)
    ]
    return {"hosts": hosts, "command": " ; ".join(f"curl -s {page}/metrics" for page in pages)}


async def firing(reader: SystemReader) -> list[dict[str, str]]:
    """The rules that fire at any host that is watched."""
    found = await asyncio.gather(*(_asked(f"{page}/alerts") for page in reader.system.pages))
    told = [_alerts("", text)["firing"] for text in found]
    return [{"rule": str(e["rule"]), "severity": str(e["severity"])} for each in told for e in each]


def _alerts(page: str, answer: tuple[bool, str]) -> dict[str, Any]:
    failed, text = answer
    told: Any = {}
    if not failed:
        try:
            told = msgspec.json.decode(text)
        except msgspec.DecodeError:
            failed, text = True, "what it answered is no JSON"
    told = told if isinstance(told, dict) else {}
    fires, history = told.get("firing", []), told.get("history", [])
    failure = text if failed else ""
    return {"page": page, "failed": failure, "firing": fires, "history": history}


def _samples(text: str) -> list[list[Any]]:
    found: list[list[Any]] = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found.append([name, value])
    return found


async def _asked(url: str) -> tuple[bool, str]:
    """Whether it failed, and the answer or why."""
    try:
        return False, await asyncio.to_thread(_get, url)
    except (OSError, ValueError) as error:
        return True, f"{url}: {error}"


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        data: bytes = answer.read(BYTES_MAX)
        return data.decode("utf-8", "replace")
