"""A subscriber in a process of its own, to be killed: `python -m tests.subscriber_process ...`.

Arguments: URL, PREFIX, DURABLE, and how many messages it acknowledges. It prints the number in each
message that it gets, and keeps those after that many.
"""

import asyncio
import sys

from moonlet.agents import connect
from moonlet.streams import Topology


async def main(url: str, prefix: str, durable: str, count: int) -> None:
    """Listen until killed."""
    async with connect(url, topology=Topology(prefix=prefix)) as moon:
        async with moon.subscribe("numbers", durable=durable, from_="all", again_after=1) as each:
            async for message in each:
                if count > 0:
                    message.acknowledge()
                    count -= 1
                    await moon.unsubscribe(durable="nobody")  # answered after what was sent before
                print(message.body, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
