"""Exceptions that carry one sentence for the user."""


class CimlError(Exception):
    """Base class of errors that a user can cause.

    The message is one sentence: the file or argument, what is wrong with it, and what to do. The
    command line prints it and exits with status 2; widgets show it beside the control concerned.
    """


class InputError(CimlError):
    """A file, folder or argument that cannot be used."""


class CheckpointError(CimlError):
    """A checkpoint that is refused, or that does not support what was requested."""


class DecompositionError(CimlError):
    """An inconsistent decomposition."""


class DeviceError(CimlError):
    """A device that is not available, or whose memory is too small for even the smallest tile."""


class DivergedError(CimlError):
    """A training run whose loss is not a finite number."""


class CancelledError(Exception):
    """Cancellation by the user. It is not an error, and no message is shown."""
