"""What can go wrong in a way the user can mend."""


class CimlError(Exception):
    """One sentence for the user: which thing, what is wrong with it, what to do.

    Everything a user can cause is raised as this (or a subclass): the command line prints the
    sentence and ends with status 2, the widgets show it beside the control it belongs to.
    """


class InputError(CimlError):
    """A file, folder or argument that cannot be used."""


class CheckpointError(CimlError):
    """A checkpoint that is refused, or that cannot serve what is asked of it."""


class DecompositionError(CimlError):
    """A decomposition that contradicts itself."""


class DeviceError(CimlError):
    """A device that is not there, or that has no memory left for even the smallest tile."""


class DivergedError(CimlError):
    """A training whose loss is no longer a number."""


class CancelledError(Exception):
    """The user cancelled; not an error, and nothing is shown for it."""
