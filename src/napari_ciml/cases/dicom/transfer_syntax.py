"""Transfer syntaxes (encodings of pixel data) that GDCM decodes."""

_SUPPORTED = {
    "1.2.840.10008.1.2",  # uncompressed: implicit, explicit, big endian, deflated
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50",  # JPEG: baseline, extended, lossless
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",  # JPEG 2000
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",  # run-length encoding (RLE)
}


def unsupported_transfer_syntax(syntax: str | None) -> str:
    """Return the name of a transfer syntax that is not supported, else an empty string.

    Parameters
    ----------
    syntax : str or None
        UID of the transfer syntax; None, if it is missing, counts as supported.
    """
    if syntax is None or syntax in _SUPPORTED:
        return ""
    from pydicom import config
    from pydicom.uid import UID

    name = UID(syntax, config.IGNORE).name
    return name if name != syntax else "something unknown"
