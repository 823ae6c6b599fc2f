"""A job goes only where the table of transitions has an arrow."""

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.jobs import TERMINAL, TRANSITIONS, IllegalTransition, JobStatus, transition

ARROWS = {
    (None, "queued"),
    ("queued", "running"),
    ("queued", "failed"),
    ("queued", "cancelled"),
    ("running", "queued"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product([None, *JobStatus], JobStatus)))
def test_only_the_arrows_of_the_diagram_pass(old: JobStatus | None, new: JobStatus) -> None:
    if (old, new) in ARROWS:
        assert transition(old, new) is new
    else:
        with pytest.raises(IllegalTransition):
            transition(old, new)


@given(st.lists(st.sampled_from(JobStatus), max_size=30))
def test_any_walk_of_accepted_moves_is_one_life_of_a_job(wishes: list[JobStatus]) -> None:
    lived: list[JobStatus] = []
    for wish in wishes:
        old = lived[-1] if lived else None
        with suppress(IllegalTransition):
            lived.append(transition(old, wish))
    assert lived[:1] in ([], [JobStatus.QUEUED])
    assert all((old, new) in ARROWS for old, new in itertools.pairwise(lived))
    ends = [at for at, status in enumerate(lived) if status.is_terminal]
    assert ends in ([], [len(lived) - 1])  # at most one end, and nothing after it


def test_table_is_total_and_a_terminal_status_has_no_way_out() -> None:
    assert set(TRANSITIONS) == {None, *JobStatus}
    assert {status for status in JobStatus if not TRANSITIONS[status]} == TERMINAL
    assert {status for status in JobStatus if status.is_terminal} == TERMINAL


def test_every_status_can_reach_an_end() -> None:
    for status in JobStatus:
        reached, edge = {status}, {status}
        while edge:
            edge = {new for old in edge for new in TRANSITIONS[old]} - reached
            reached |= edge
        assert reached & TERMINAL
