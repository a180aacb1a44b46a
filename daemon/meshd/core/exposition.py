"""Metrics as text.

Source: Prometheus, Exposition formats, text format 0.0.4.
"""

from collections.abc import Iterable, Mapping

from meshd.wire.metrics import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_IN_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def exposition(metrics: Iterable[Metric]) -> bytes:
    """The page that a scraper reads. A metric without a sample stands there by its help alone."""
    lines: list[str] = []
    for metric in metrics:
        lines += (
            f"# HELP {metric.name} {metric.help.translate(_IN_HELP)}",
            f"# TYPE {metric.name} {metric.type}",
        )
        lines += (f"{one.name}{_labels(one.labels)} {_number(one.value)}" for one in metric.samples)
    return "".join(f"{line}\n" for line in lines).encode()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    said = ",".join([f'{name}="{_quoted(value)}"' for name, value in labels.items()])
    return f"{{{said}}}"


def _quoted(value: str) -> str:
    # Most values are names, which need nothing; a page may have tens of thousands.
    return value if value.isalnum() else value.translate(_IN_LABEL)


def _number(value: float) -> str:
    return repr(value) if value % 1 else str(int(value))
