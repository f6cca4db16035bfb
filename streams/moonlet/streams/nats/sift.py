"""Deliveries of which only some are wanted: the rest is passed over in the bytes it came in."""

from collections.abc import Callable, Mapping

from moonlet.streams.api import Delivery, Sieve

Decode = Callable[[bytes, bytes, bytes, bytes | None], Delivery]

_ACK = b"$JS.ACK."


class Sifter:
    """One subscription that is read through a sieve; `hand_over` gets what was wanted of a piece.

    It is called once for each piece that was read in which something arrived, wanted or not.
    `decode` makes a delivery of subject, reply, data, and headers if there are any.
    """

    __slots__ = ("_hand_over", "arrived", "decode", "deliveries", "last", "sieve")

    def __init__(
        self, sieve: Sieve, decode: Decode, hand_over: Callable[[list[Delivery]], None]
    ) -> None:
        self.sieve = sieve
        self.decode = decode
        self._hand_over = hand_over
        self.arrived = 0
        self.last = b""
        self.deliveries: list[Delivery] = []

    def flush(self) -> None:
        """Hand over what there is."""
        arrived = self.arrived
        if not arrived:
            return
        deliveries, self.deliveries, self.arrived = self.deliveries, [], 0
        last = self.decode(b"", self.last, b"", None)
        self.sieve.passed(arrived, last.sequence, last.consumer_sequence)
        self._hand_over(deliveries)


def sift(data: bytes, position: int, sifters: Mapping[bytes, Sifter]) -> int:
    """Take the deliveries that begin at `position` as far as they are whole and sifted.

    Returns where something else begins: another's message, a status, or one that is cut off.
    """
    find, size = data.find, len(data)
    while (line_end := find(b"\r\n", position)) >= 0:
        words = data[position:line_end].split(b" ")
        # MSG <subject> <subscription> <reply> <size>, HMSG … <size of the headers> <size with them>
        if len(words) < 5:
            break
        sifter = sifters.get(words[2])
        if sifter is None or not words[3].startswith(_ACK):
            break
        start = line_end + 2
        stop = start + int(words[-1])
        if stop + 2 > size:
            break
        sieve = sifter.sieve
        wanted = sieve.answers.get(words[1])
        if wanted is None:
            wanted = sieve.wanted(words[1])
        sifter.arrived += 1
        sifter.last = words[3]
        if wanted:
            headers = None
            if len(words) == 6:
                middle = start + int(words[4])
                headers, start = data[start:middle], middle
            delivery = sifter.decode(words[1], words[3], data[start:stop], headers)
            sifter.deliveries.append(delivery)
        position = stop + 2
    return position
