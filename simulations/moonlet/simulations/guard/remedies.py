"""What to do instead, for each way out of a run."""

BLOCK = "await asyncio's counterpart: while this thread waits nobody else can run"
CLOCK = "the time of the handler's context or of the Clock port; to wait, asyncio.sleep()"
ENTROPY = "the chance of the handler's context, or of the Entropy port"
FILE = "read it before the run and pass the content in, or put a port in front of it"
MACHINE = "read it at start-up, before the run, and pass it in as a setting"
PROCESS = "start it before the run, or put a port in front of it"
SIGNAL = "call the handler from the test: nobody sends signals in a run"
SOCKET = "the streams API, or asyncio's streams over the simulated network"
THREAD = "a task, or asyncio.to_thread(), which a run executes inline"

_CONTEXT = "(a parameter named context)"
_EVENT = "what the event says: let the command's handler put it there, from its context"
_UPCAST = "a constant: what an old record lacks must be the same at each reading"
HANDLER_TIME = {
    "command handler": f"context.now, the commit's time {_CONTEXT}, or a time in the command",
    "query handler": f"context.now, the last commit's time {_CONTEXT}, or a time in the query",
    "event handler": f"{_EVENT}.now",
    "upcast": _UPCAST,
}
HANDLER_CHANCE = {
    "command handler": f"context.random or context.uuid() {_CONTEXT}, or what the command says",
    "query handler": f"context.random or context.uuid() {_CONTEXT}, or what the query says",
    "event handler": f"{_EVENT}.random or its uuid()",
    "upcast": _UPCAST,
}
HANDLER_LOOP = "context.now for the time; for what is to happen later an effect: Schedule, Perform"
HANDLER_PROCESS = "nothing of the process that happens to run it: what it needs is in the command"
