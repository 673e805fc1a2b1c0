"""The errors that a user of the command can fix."""


class SettingsError(Exception):
    """A setting with which a run cannot be made, and what to do."""
