"""`doctor`: is the server, and what stands on it, as Moonlet needs it?"""

import msgspec
import typer

from moonlet.console.common import ExitCode, Options, command, exit_code, opened
from moonlet.console.doctor.checks import DoctorChecks
from moonlet.console.doctor.finding import Finding
from moonlet.core.errors import MoonletError

COLORS = {"OK": "green", "WARN": "yellow", "FAIL": "red"}


@command
async def doctor(options: Options) -> int:
    """Look at server, fsync, disk, rights, clock, hosts, and for what others wrote.

    Each line is OK, WARN or FAIL, with the fix. Ends with 1 if anything failed.
    """
    failed = False

    def tell(finding: Finding) -> None:
        level = typer.style(f"{finding.level:<4}", fg=COLORS[finding.level], bold=True)
        fix = f"\n      fix: {finding.fix}" if finding.fix else ""
        text = f"{level}  {finding.check}: {finding.message}{fix}"
        options.output.result(msgspec.to_builtins(finding), text)

    try:
        async with opened(options) as session:
            async for finding in DoctorChecks(session, options.folder).findings():
                failed = failed or finding.level == "FAIL"
                tell(finding)
    except MoonletError as error:
        tell(Finding("server", "FAIL", str(error), "mend that, then run doctor again"))
        return exit_code(error)
    return ExitCode.FOUND if failed else ExitCode.OK
