"""A page of metrics, read by Prometheus' own parser."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemon import Daemon


@dataclass(frozen=True)
class Page:
    """The samples of one scrape."""

    types: dict[str, str]
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def one(self, name: str, **labels: str) -> float:
        """The value of one sample."""
        return self.values[name, frozenset(labels.items())]

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of that name, by the values of their labels in the order of their names."""
        return {
            tuple(value for _, value in sorted(labels)): number
            for (named, labels), number in self.values.items()
            if named == name
        }


def page(text: str) -> Page:
    """A page that parses; one in which a sample stands twice does not."""
    types, values = {}, {}
    for family in text_string_to_metric_families(text):
        types[family.name] = family.type
        for sample in family.samples:
            at = (sample.name, frozenset(sample.labels.items()))
            assert at not in values, at
            values[at] = sample.value
    return Page(types, values)


def scrape(daemon: Daemon, key: str | None = None) -> Page:
    """What a scraper sees over TCP."""
    answer = daemon.tcp("GET", "/metrics", key=key)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return page(answer.body.decode())
