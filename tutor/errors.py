"""Errors that a student or teacher meets: the message is Norwegian and names the remedy."""


class TutorError(Exception):
    """Base of every expected failure. ``exit_code`` follows the table in the README."""

    exit_code = 1


class UsageError(TutorError):
    """The caller asked for something that cannot be done as written."""

    exit_code = 2


class GlossaryError(UsageError):
    """The glossary cannot be read or holds no entries."""


class MissingError(TutorError):
    """Something that must be installed, fetched or built is not there."""

    exit_code = 3


class ModelError(MissingError):
    """The language model is missing, damaged or cannot be fetched."""


class SearchIndexError(MissingError):
    """The index is missing or cannot be built or opened."""
