"""Every cycle is charged once."""

from hypothesis import given
from hypothesis import strategies as st

from accelsim.machine.ledger import Ledger


def test_a_wait_behind_work_under_way_counts_from_its_end():
    ledger = Ledger(10)
    ledger.stall("weights", 14)
    ledger.compute(20)
    ledger.keep_busy(26)  # results drain until 26
    ledger.stall("activations", 30)
    ledger.stall("requantizer", 29)  # already charged
    assert ledger.compute_cycles == 6 + 6
    assert ledger.stall_cycles == {"weights": 4, "activations": 4}


@given(st.lists(st.tuples(st.sampled_from(("compute", "keep_busy", "weights", "drain")), st.integers(0, 100))))
def test_charges_add_up_to_the_time_that_has_passed(calls):
    ledger, latest = Ledger(5), 5
    for what, until in calls:
        if what in ("compute", "keep_busy"):
            getattr(ledger, what)(until)
        else:
            ledger.stall(what, until)
        if what != "keep_busy":
            latest = max(latest, until)
    ledger.stall("drain", 101)
    assert ledger.compute_cycles + sum(ledger.stall_cycles.values()) == 101 - 5
