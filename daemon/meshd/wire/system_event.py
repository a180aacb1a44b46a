"""What a row of the table of system events says: a type, when it is published, and its data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PREFIX = "mesh."
"""What the types of system events begin with; nobody else may publish such."""

Shape = Literal["string", "string or null", "integer", "boolean", "array of strings"]
_SHAPES: Mapping[Shape, tuple[type, ...]] = {
    "string": (str,),
    "string or null": (str, type(None)),
    "integer": (int,),
    "boolean": (bool,),
    "array of strings": (list,),
}


class Undeclared(LookupError):
    """A system event is published that the table does not have so: a defect of the publisher."""


@dataclass(frozen=True, slots=True)
class Field:
    """A member of the data. One that is not `always` there is missing where it says nothing."""

    name: str
    shape: Shape
    about: str
    example: Any
    always: bool = True

    def fits(self, value: object) -> bool:
        """Whether it may be this value."""
        if isinstance(value, list) and self.shape == "array of strings":
            return all(isinstance(one, str) for one in value)
        # True is an int in Python, and none in JSON.
        plain = isinstance(value, _SHAPES[self.shape])
        return plain and (self.shape == "boolean") == isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class SystemEvent:
    """A row. `kind` is the type without `mesh.`; `subject` says what the event's subject is."""

    kind: str
    when: str
    subject: str
    fields: tuple[Field, ...]
    known: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", {one.name: one for one in self.fields})

    @property
    def type(self) -> str:
        """The type of the CloudEvent."""
        return f"{PREFIX}{self.kind}"

    @property
    def example(self) -> dict[str, Any]:
        """Data as it may be, but for who did it."""
        return {one.name: one.example for one in self.fields}

    def check(self, data: Mapping[str, Any]) -> None:
        """Pass data of exactly these fields.

        Raises:
            Undeclared: there is another, one is missing, or of another shape.
        """
        wrong = [name for name in data if name not in self.known]
        wrong += [one.name for one in self.fields if one.always and one.name not in data]
        wrong += [n for n, one in self.known.items() if n in data and not one.fits(data[n])]
        if wrong:
            raise Undeclared(f"{self.type}: {', '.join(sorted(set(wrong)))}")


def by_kind(rows: Iterable[SystemEvent]) -> Mapping[str, SystemEvent]:
    """The rows by their kinds."""
    return {row.kind: row for row in rows}
