"""How recorded learning curves are played."""

from benchmarks.early_stopping_ours import play


def test_a_rule_that_stops_nobody_saves_nothing() -> None:
    curves = [[float(number)] * 4 for number in range(7)]
    assert sorted(play(curves, lambda *_: False)) == curves


def test_a_job_that_is_stopped_measures_no_more_and_others_begin() -> None:
    curves = [[float(number)] * 4 for number in range(7)]
    found = play(curves, lambda number, values, *_: number == 3 and len(values) == 2)
    assert [len(values) for values in found] == [4, 4, 4, 2, 4, 4, 4]
