"""What a run found: its numbers, and what failed."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """The numbers to print, in order, and a sentence for each thing that must not be."""

    numbers: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def expect(self, holds: object, sentence: str) -> None:
        """Note the sentence unless it holds."""
        if not holds:
            self.failures.append(sentence)

    def text(self) -> str:
        """Lines for people."""
        lines = [f"  {name}: {number}" for name, number in self.numbers.items()]
        return "\n".join([*lines, *(f"  FAILED: {one}" for one in self.failures)])


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of them is; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
