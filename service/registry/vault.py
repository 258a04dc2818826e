"""The vault: ids and phones encrypted at rest, and a keyed hash by which a person is found again.

AES-256-GCM with a random nonce; the hash is HMAC-SHA256 under another key, so that neither a copy
of the database nor a list of ids alone tells who is in it. Both keys live outside the database. Who
only looks people up holds the second key alone, as a `Lookup`, and can read nothing that is kept.

Source: PIPL articles 6, 28 and 51; NIST SP 800-38D.
"""

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PHONE_DIGITS = 4
_NONCE_BYTES = 12


class Lookup:
    """The key by which people are found, 32 bytes."""

    def __init__(self, lookup_key: bytes) -> None:
        self._lookup_key = lookup_key

    def person_key(self, id_kind: str, id_number: str) -> bytes:
        """Return the 32 bytes under which a person is found; `id_number` is normalised."""
        return self.keyed(id_kind, id_number.encode())

    def phone_key(self, person_key: bytes, last_digits: str) -> bytes:
        """Return the 32 bytes that stand for the last digits of this person's phone."""
        return self.keyed("phone", person_key + last_digits.encode())

    def keyed(self, use: str, words: bytes) -> bytes:
        """Hash words for one use; what is hashed for another never comes out the same."""
        return hmac.digest(self._lookup_key, use.encode() + b"\0" + words, hashlib.sha256)


class Vault(Lookup):
    """The two keys of personal data, 32 bytes each."""

    def __init__(self, id_key: bytes, lookup_key: bytes) -> None:
        super().__init__(lookup_key)
        self._cipher = AESGCM(id_key)

    def encrypt(self, text: str) -> bytes:
        """Encrypt a value for keeping: nonce, then ciphertext with its tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), None)

    def decrypt(self, kept: bytes) -> str:
        """Read a kept value.

        Raises:
            cryptography.exceptions.InvalidTag: another key, or a changed value.
        """
        return self._cipher.decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], None).decode()
