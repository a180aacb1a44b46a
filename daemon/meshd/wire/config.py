"""Settings as they are shown."""

from msgspec import Struct


class SettingShown(Struct, kw_only=True):
    """One setting: what it says, where that was said, and what else is known about it.

    `value` is its text with secrets masked, empty where nothing is set; `default` is for people.
    `source` is `command line`, `environment`, `FILE:LINE` or `default`. A `live` one is taken over
    when the daemon reads its settings again.
    """

    name: str
    value: str
    source: str
    default: str
    type: str
    live: bool
    help: str
