"""Whose turn it is: the sources that are configured, strongest first. Only the first is asked."""

import os

from meshd.core.config import Config
from meshd.vault.sources.command import CommandSource
from meshd.vault.sources.credential import CREDENTIAL, CredentialSource
from meshd.vault.sources.environment import EnvironmentSource
from meshd.vault.sources.file import FileSource
from meshd.vault.sources.keyring import KeyringSource
from meshd.vault.sources.source import Source


def sources(config: Config) -> tuple[Source, ...]:
    """The configured sources in their order; with none configured, the file, which can be made.

    The first one gives the key or the vault stays locked. The others are passed over, and told of.
    """
    found: list[Source] = []
    if config.master_key_command:
        found.append(CommandSource(config.master_key_command))
    credential = config.credentials / CREDENTIAL if config.credentials else None
    if credential is not None and os.path.lexists(credential):
        found.append(CredentialSource(credential))
    if config.keyring:
        found.append(KeyringSource(config.home))
    file = FileSource(config.master_key)
    if os.path.lexists(file.path):
        found.append(file)
    if config.master_key_value is not None:
        found.append(EnvironmentSource(config.master_key_value))
    return tuple(found) or (file,)
