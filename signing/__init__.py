"""The signing library: keys, faces, statements, seals and their examination.

No database, no server and no settings: paths, keys and times are arguments.
"""

from signing import examine, keys, metadata, qr, token
from signing.keys import Pin, QrKey, Signer
from signing.record import Record
from signing.render import Edition, drawable
from signing.seal import Sealer

__all__ = [
    "Edition",
    "Pin",
    "QrKey",
    "Record",
    "Sealer",
    "Signer",
    "drawable",
    "examine",
    "keys",
    "metadata",
    "qr",
    "token",
]
