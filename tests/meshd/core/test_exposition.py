"""Metrics as text, read by Prometheus' own parser."""

from hypothesis import given
from hypothesis import strategies as st

from meshd.core.exposition import exposition
from meshd.wire.metrics import Metric, Sample
from tests.support.scrape import page


def metric(*samples: Sample, about: str = "About it.") -> Metric:
    return Metric(name="m_total", type="counter", help=about, samples=list(samples))


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False, min_value=0))
def test_any_label_and_any_number_come_through(text: str, value: float) -> None:
    said = page(
        exposition([metric(Sample(name="m_total", labels={"x": text}, value=value))]).decode()
    )
    assert said.values == {("m_total", frozenset({("x", text)})): value}


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"])))
def test_no_help_breaks_out_of_its_line(text: str) -> None:
    said = exposition([metric(Sample(name="m_total", value=1), about=f"{text}\nm_total 7")])
    assert page(said.decode()).one("m_total") == 1


def test_a_metric_without_samples_is_named_all_the_same() -> None:
    assert exposition([metric()]) == b"# HELP m_total About it.\n# TYPE m_total counter\n"
