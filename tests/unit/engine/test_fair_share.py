"""Of `engine.fair_share`."""

from engine.fair_share import FairShare


def test_the_share_that_had_the_device_least_is_furthest_behind() -> None:
    shares = FairShare()
    shares.enter("a")
    shares.enter("b")
    shares.spent("a", 2.0)
    shares.spent("b", 1.0)
    assert shares.clock_s("b") < shares.clock_s("a")


def test_a_share_that_comes_later_starts_with_the_one_furthest_behind() -> None:
    shares = FairShare()
    shares.enter("a")
    shares.enter("b")
    shares.spent("a", 5.0)
    shares.spent("b", 3.0)
    shares.enter("c")
    assert shares.clock_s("c") == 3.0


def test_a_share_that_went_has_saved_nothing_up_and_owes_nothing() -> None:
    shares = FairShare()
    shares.enter("a")
    shares.enter("b")
    shares.spent("a", 5.0)
    shares.leave("a")
    shares.spent("b", 1.0)
    shares.enter("a")
    assert shares.clock_s("a") == 1.0


def test_a_share_stays_while_one_of_its_jobs_is_live() -> None:
    shares = FairShare()
    shares.enter("a")
    shares.enter("a")
    shares.spent("a", 5.0)
    shares.leave("a")
    shares.enter("b")
    assert shares.clock_s("b") == 5.0
