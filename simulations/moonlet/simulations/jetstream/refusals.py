"""What the server refuses, by JetStream's error code, and what this model does not cover."""

from typing import Final

from moonlet.streams.api import ServerRefused

# JetStream's error code: (HTTP-like code, description). Source: errors.json of nats-server 2.15.1.
REFUSALS: Final[dict[int, tuple[int, str]]] = {
    10003: (400, "bad request"),
    10005: (400, "{err}"),
    10012: (500, "{err}"),
    10013: (400, "consumer name already in use"),
    10014: (404, "consumer not found"),
    10016: (400, "consumer expected to be durable but no durable name set in subject"),
    10017: (400, "consumer name in subject does not match durable name in request"),
    10018: (400, "consumer expected to be durable but a durable name was not set"),
    10020: (400, "consumer expected to be ephemeral but a durable name was set in request"),
    10025: (400, "invalid JSON: {err}"),
    10026: (400, "maximum consumers limit reached"),
    10037: (404, "no message found"),
    10043: (400, "sequence {seq} not found"),
    10052: (500, "{err}"),
    10054: (400, "message size exceeds maximum allowed"),
    10056: (400, "stream name in subject does not match request"),
    10057: (500, "{err}"),
    10058: (400, "stream name already in use with a different configuration"),
    10059: (404, "stream not found"),
    10060: (400, "expected stream does not match"),
    10065: (400, "subjects overlap with an existing stream"),
    10070: (400, "wrong last msg ID: {id}"),
    10071: (400, "wrong last sequence: {seq}"),
    10074: (500, "replicas > 1 not supported in non-clustered mode"),
    10077: (503, "{err}"),
    10084: (400, "consumer in pull mode requires explicit ack policy on workqueue stream"),
    10088: (400, "consumer idle heartbeat requires a push based consumer"),
    10094: (400, "{err}"),
    10097: (400, "header size exceeds maximum allowed of 64k"),
    10098: (400, "workqueue stream requires explicit ack"),
    10099: (400, "multiple non-filtered consumers not allowed on workqueue stream"),
    10100: (400, "filtered consumer not unique on workqueue stream"),
    10101: (400, "consumer must be deliver all on workqueue stream"),
    10110: (500, "{err}"),
    10111: (500, "{err}"),
    10126: (400, "consumer config replica count exceeds parent stream"),
    10128: (400, "Stream name can not contain path separators"),
    10131: (400, "Consumer create request did not match filtered subject from create subject"),
    10132: (400, "Consumer Durable and Name have to be equal if both are provided"),
    10133: (400, "replicas count cannot be negative"),
    10134: (400, "consumer config replicas must match interest retention stream's replicas"),
    10136: (400, "consumer cannot have both FilterSubject and FilterSubjects specified"),
    10137: (400, "consumer with multiple subject filters cannot use subject based API"),
    10138: (400, "consumer subject filters cannot overlap"),
    10139: (400, "consumer filter in FilterSubjects cannot be empty"),
    10148: (400, "consumer already exists"),
    10149: (400, "consumer does not exist"),
    10158: (409, "duplicate message id is in process"),
    10164: (400, "wrong last sequence"),
    10165: (400, "invalid per-message TTL"),
    10166: (400, "per-message TTL is disabled"),
    10168: (400, "message counters is disabled"),
    10171: (400, "message counter increment is invalid"),
    10174: (400, "atomic publish is disabled"),
    10175: (400, "atomic publish sequence is missing"),
    10176: (400, "atomic publish batch is incomplete"),
    10177: (400, "atomic publish unsupported header used: {header}"),
    10179: (400, "atomic publish batch ID is invalid"),
    10183: (400, "consumer ack wait needs to be positive"),
    10188: (400, "message schedules is disabled"),
    10189: (400, "message schedules pattern is invalid"),
    10190: (400, "message schedules target is invalid"),
    10191: (400, "message schedules invalid per-message TTL"),
    10192: (400, "message schedules invalid rollup"),
    10193: (400, "missing sequence for expected last sequence per subject"),
    10199: (400, "atomic publish batch is too large: {size}"),
    10200: (400, "atomic publish batch commit is invalid"),
    10201: (400, "atomic publish batch contains duplicate message id"),
    10203: (400, "message schedules source is invalid"),
    10210: (429, "atomic publish too many inflight"),
    10212: (400, "message schedules invalid scheduler"),
    10227: (400, "message stream source header is not allowed"),
}


class NotSimulated(NotImplementedError):
    """The model doesn't cover a feature that the server has: it says so and never approximates."""

    def __init__(self, feature: str) -> None:
        super().__init__(
            f"the simulated JetStream doesn't cover {feature}; "
            "use a real server for it, or extend moonlet.simulations.jetstream"
        )
        self.feature = feature


def refused(err_code: int, **facts: object) -> ServerRefused:
    """The error that the server answers with `err_code`; `facts` fill its description."""
    code, description = REFUSALS[err_code]
    return ServerRefused(code, err_code, description.format(**facts))
