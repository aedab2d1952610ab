"""The one kind of error that is meant for a person: a sentence with the way out, never a traceback."""


class UserError(Exception):
    """Something the user can put right.

    Its message is one sentence; `exit_code` is what the command line exits with.
    """

    exit_code = 2
