"""All rows, in the order of the table."""

from tests.benchmarks import (
    activation,
    asking,
    end_to_end,
    folding,
    journal,
    memory,
    others,
    projections,
    projections_files,
    projections_sizes,
    replay,
    sim_agents,
    sim_loop,
    sim_seeds,
    time_travel,
    waking,
)
from tests.benchmarks.rows import Work

WORKS: tuple[Work, ...] = (
    *end_to_end.WORKS,
    *journal.WORKS,
    *asking.WORKS,
    *activation.WORKS,
    *waking.WORKS,
    *replay.WORKS,
    *folding.WORKS,
    *memory.WORKS,
    *others.WORKS,
    *projections.WORKS,
    *projections_sizes.WORKS,
    *projections_files.WORKS,
    *sim_loop.WORKS,
    *sim_agents.WORKS,
    *sim_seeds.WORKS,
    *time_travel.WORKS,
)
