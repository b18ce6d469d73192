"""The one family of errors that a person can mend."""


class UserError(Exception):
    """Something that the user can put right: one clear line, exit code 2, no traceback.

    The message names the file, line or key, the bad value, and what would be right.
    """


class ConfigError(UserError):
    """A configuration that cannot be used."""


class DataError(UserError):
    """A corpus or an input file that cannot be used."""


class RunError(UserError):
    """A run directory that cannot be used: missing, damaged, or in the way."""


class TransientError(RunError):
    """What need not come again when the same is tried again: a process that died, for one."""
