"""Settings of how callers prove who they are: what stands in `auth-config.json`.

The same may stand in `config.json`, as the member `auth`, which is the stronger word.
"""

from meshd.core.config_values import KEEP, PATH
from meshd.core.setting import Setting

IN_CONFIG = "auth"
"""The member of `config.json`."""

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AUTH_CONFIG_PATH", PATH, "", "JSON file of settings about keys.",
        unset="auth-config.json in MESHCTL_HOME", located=True,
    ),
    Setting(
        "MESHCTL_KEY_LIFETIME", KEEP, "", "How long a key lives that is issued without a word.",
        unset="as long as it may", live=True, auth="keys.default_lifetime",
    ),
    Setting(
        "MESHCTL_KEY_MAX_LIFETIME", KEEP, "", "How long a key may live, from when that is said.",
        unset="for ever", live=True, auth="keys.max_lifetime",
    ),
)  # fmt: skip
