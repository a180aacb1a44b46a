"""The shape of a setting."""

from dataclasses import dataclass

from meshd.core.config_values import Kind


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as an operator knows it.

    `unset` says in words what holds where the default is empty. What is `live` is taken over by a
    running daemon when it reads its settings again. In `config.json` the name is in lower case;
    what says where the files are (`located`) stands in no file, and neither does a `secret`: its
    text is kept apart, and a table of settings has `***` of it. `auth` is its name in
    `auth-config.json`, a dot for each object within another; in `config.json` that is the member
    `auth`.
    """

    env: str
    kind: Kind
    default: str
    help: str
    unset: str = ""
    live: bool = False
    located: bool = False
    secret: bool = False
    auth: str = ""

    @property
    def shown_default(self) -> str:
        """The default for people."""
        return self.default or self.unset
