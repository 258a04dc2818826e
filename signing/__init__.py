"""The signing library: keys, faces, statements, seals and their examination.

No database, no server and no settings: paths, keys and times are arguments.
"""

from signing import examine, key_set, keys, metadata, qr, status, token
from signing.keys import CoseKey, Pin, Signer
from signing.record import Record
from signing.render import Edition, Form, drawable
from signing.seal import Sealer

__all__ = [
    "CoseKey",
    "Edition",
    "Form",
    "Pin",
    "Record",
    "Sealer",
    "Signer",
    "drawable",
    "examine",
    "key_set",
    "keys",
    "metadata",
    "qr",
    "status",
    "token",
]
