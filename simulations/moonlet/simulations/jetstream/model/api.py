"""The JetStream API: requests to `$JS.API.>` in JSON, answered as the server answers them."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from moonlet.simulations.jetstream import configs, consumer_configs, subjects
from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.consumer import PullConsumer
from moonlet.simulations.jetstream.model import reads
from moonlet.simulations.jetstream.model.catalog import StreamCatalog
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.stream import Stream, error_json
from moonlet.streams.api import ServerRefused

PREFIX: Final = "$JS.API."
PAGE: Final = 1024  # names per answer
SUBJECTS_PAGE: Final = 100_000  # subjects per answer
Answer = dict[str, Any]


class _Page(msgspec.Struct):
    offset: int = 0
    subject: str = ""


class _Info(msgspec.Struct):
    subjects_filter: str = ""
    offset: int = 0
    deleted_details: bool = False


class _Purge(msgspec.Struct):
    filter: str = ""
    seq: int = 0
    keep: int = 0


class _Delete(msgspec.Struct):
    seq: int = 0
    no_erase: bool = False


def answer(model: StreamCatalog, now: int, subject: str, data: bytes) -> bytes:
    """The answer to a request; refusals are answers too."""
    tokens = subject[len(PREFIX) :].split(".")
    handler, kind = _find(tokens)
    try:
        shown = handler(model, now, tokens, data)
    except ServerRefused as error:
        shown = {"error": error_json(error)}
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        shown = {"error": error_json(refused(10025, err=error))}
    shown = {"type": f"io.nats.jetstream.api.v1.{kind}_response", **shown}
    return msgspec.json.encode(shown)


def _find(tokens: list[str]) -> tuple[Callable[..., Answer], str]:
    for length in (3, 2, 1):
        found = _HANDLERS.get(".".join(tokens[:length]))
        if found is not None:
            return found
    raise NotSimulated(f"the request $JS.API.{'.'.join(tokens)}")


def _account_info(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    """Limits: none. How many requests there were is left out."""
    streams = model.streams.values()
    shown: Answer = {"streams": len(streams), "consumers": sum(len(s.consumers) for s in streams)}
    for kind, storage in (("memory", "memory"), ("storage", "file")):
        of_kind = [s for s in streams if s.config.storage == storage]
        shown[kind] = sum(s.store.bytes for s in of_kind)
        shown[f"reserved_{kind}"] = sum(max(s.config.max_bytes, 0) for s in of_kind)
        shown.setdefault("limits", {})[f"max_{kind}"] = -1
        shown["limits"][f"{kind}_max_stream_bytes"] = -1
    shown["limits"] |= {"max_streams": -1, "max_consumers": -1, "max_ack_pending": -1}
    shown["limits"]["max_bytes_required"] = False
    return {**shown, "api": {"level": configs.API_LEVEL}}


def _stream(model: StreamCatalog, name: str) -> Stream:
    stream = model.streams.get(name)
    if stream is None:
        raise refused(10059)
    return stream


def _consumer(model: StreamCatalog, tokens: list[str]) -> PullConsumer:
    consumer = _stream(model, tokens[2]).consumers.get(tokens[3])
    if consumer is None:
        raise refused(10014)
    return consumer


def stream_info(stream: Stream, now: int, model: StreamCatalog) -> Answer:
    """The server's info of a stream."""
    shown: Answer = {
        "config": stream.config.to_json(),
        "created": fields.rfc3339(stream.created),
        "state": stream.state(),
        "ts": fields.rfc3339(now),
    }
    if model.servers > 1:
        shown["cluster"] = {"name": "simulated", "leader": "s1"}
    return shown


def _create_stream(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    config = configs.read_stream(data, model.servers)
    if config.name != tokens[2]:
        raise refused(10056)
    known = model.streams.get(config.name)
    if known is not None:
        if known.config != config:
            raise refused(10058)
        return stream_info(known, now, model)
    _check_overlap(model, config)
    stream = model.add_stream(now, config)
    return {**stream_info(stream, now, model), "did_create": True}


def _check_overlap(model: StreamCatalog, config: configs.StreamConfig) -> None:
    for other in model.streams.values():
        if other.config.name == config.name:
            continue
        for mine in config.subjects:
            if any(subjects.collide(mine, theirs) for theirs in other.config.subjects):
                raise refused(10065)


def _update_stream(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    config = configs.read_stream(data, model.servers)
    if config.name != tokens[2]:
        raise refused(10056)
    stream = _stream(model, config.name)
    configs.check_update(stream.config, config)
    _check_overlap(model, config)
    model.update_stream(now, stream, config)
    return stream_info(stream, now, model)


def _delete_stream(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    model.delete_stream(now, _stream(model, tokens[2]))
    return {"success": True}


def _show_stream(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    request = msgspec.json.decode(data, type=_Info) if data.startswith(b"{") else _Info()
    if request.deleted_details:
        raise NotSimulated("the details of deleted messages")
    stream = _stream(model, tokens[2])
    shown = stream_info(stream, now, model)
    if request.subjects_filter:
        totals = {s: len(same) for s, same in stream.led.matching(request.subjects_filter)}
        if totals:
            names = sorted(totals)[request.offset : request.offset + SUBJECTS_PAGE]
            shown["state"]["subjects"] = {name: totals[name] for name in names}
            shown |= {"total": len(totals), "offset": request.offset, "limit": SUBJECTS_PAGE}
    return shown


def _stream_names(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    request = msgspec.json.decode(data, type=_Page) if data.strip() else _Page()
    names = sorted(
        name
        for name, stream in model.streams.items()
        if not request.subject
        or any(subjects.collide(request.subject, own) for own in stream.config.subjects)
    )
    return _page(request, "streams", names)


def _page(request: _Page, kind: str, names: list[str]) -> Answer:
    page = names[request.offset : request.offset + PAGE]
    return {"total": len(names), "offset": request.offset, "limit": PAGE, kind: page}


def _purge_stream(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    request = msgspec.json.decode(data, type=_Purge) if data.startswith(b"{") else _Purge()
    if request.seq and request.keep:
        raise refused(10003)
    stream = _stream(model, tokens[2])
    if stream.config.deny_purge:
        raise refused(10110, err="stream purge not permitted")
    purged = stream.purge(now, request.filter, below=request.seq, keep=request.keep)
    return {"success": True, "purged": purged}


def _get_message(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    request = reads.check_get(data)
    return reads.get(_stream(model, tokens[3]), request)


def _delete_message(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    if data.strip() in (b"", b"{}"):
        raise refused(10003)
    request = msgspec.json.decode(data, type=_Delete)
    stream = _stream(model, tokens[3])
    if stream.config.deny_delete:
        raise refused(10057, err="message delete not permitted")
    store = stream.store
    if store.file and not (store.messages and store.first <= request.seq <= store.last):
        outside = "no message found" if request.seq <= store.last else "stream store EOF"
        raise refused(10057, err=outside)
    if not stream.remove(now, request.seq):
        raise refused(10043, seq=request.seq)
    return {"success": True}


def _create_consumer(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    request = msgspec.json.decode(data, type=consumer_configs.CreateRequest)
    config = request.config
    if tokens[1] == "DURABLE":
        stream_name, name, filter = tokens[3], tokens[4], ""
    else:
        stream_name = tokens[2]
        name = tokens[3] if len(tokens) > 3 else config.name
        filter = ".".join(tokens[4:])
    if stream_name != request.stream_name:
        raise refused(10056)
    _check_names(config, name, durable=tokens[1] == "DURABLE", named=len(tokens) > 3)
    config.name = name
    if filter and config.filter_subjects:
        raise refused(10137)
    if filter and filter != config.filter_subject:
        raise refused(10131)
    if config.num_replicas > 1 and model.servers == 1:
        raise refused(10074)
    stream = _stream(model, stream_name)
    consumer_configs.complete(config, stream.config)
    consumer = model.add_consumer(now, stream, config, request.action)
    return consumer.info(now)


def _check_names(
    config: consumer_configs.ConsumerConfig, name: str, *, durable: bool, named: bool
) -> None:
    if durable and not config.durable_name:
        raise refused(10018)
    if named and config.durable_name and name != config.durable_name:
        raise refused(10017)
    if not named and config.durable_name:
        raise refused(10020)


def _delete_consumer(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    consumer = _consumer(model, tokens)
    consumer.stream.remove_consumer(now, consumer)
    return {"success": True}


def _show_consumer(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    return _consumer(model, tokens).info(now)


def _consumer_names(model: StreamCatalog, now: int, tokens: list[str], data: bytes) -> Answer:
    request = msgspec.json.decode(data, type=_Page) if data.strip() else _Page()
    return _page(request, "consumers", sorted(_stream(model, tokens[2]).consumers))


_HANDLERS: Final[dict[str, tuple[Callable[..., Answer], str]]] = {
    "INFO": (_account_info, "account_info"),
    "STREAM.CREATE": (_create_stream, "stream_create"),
    "STREAM.UPDATE": (_update_stream, "stream_update"),
    "STREAM.DELETE": (_delete_stream, "stream_delete"),
    "STREAM.INFO": (_show_stream, "stream_info"),
    "STREAM.NAMES": (_stream_names, "stream_names"),
    "STREAM.PURGE": (_purge_stream, "stream_purge"),
    "STREAM.MSG.GET": (_get_message, "stream_msg_get"),
    "STREAM.MSG.DELETE": (_delete_message, "stream_msg_delete"),
    "CONSUMER.CREATE": (_create_consumer, "consumer_create"),
    "CONSUMER.DURABLE.CREATE": (_create_consumer, "consumer_create"),
    "CONSUMER.DELETE": (_delete_consumer, "consumer_delete"),
    "CONSUMER.INFO": (_show_consumer, "consumer_info"),
    "CONSUMER.NAMES": (_consumer_names, "consumer_names"),
}
