"""What the server's accounts of a refusal become."""

from moonlet.streams.api import NoResponders, ServerRefused
from moonlet.streams.nats.answers import ApiError


def test_a_cluster_that_is_electing_is_unavailable_and_refuses_nothing() -> None:
    electing = ApiError(503, 10008, "JetStream system temporarily unavailable").refusal()
    assert isinstance(electing, NoResponders) and "try again" in str(electing)
    refused = ApiError(400, 10071, "wrong last sequence: 3").refusal()
    assert isinstance(refused, ServerRefused) and refused.err_code == 10071
