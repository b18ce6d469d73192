"""Options of the server, and the keys of its clients."""

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of a server.

    Attributes:
        api_keys: SHA-256 of each key that clients must have one of; empty: none is needed.
        origins: origins whose pages may use the server (CORS).
        max_bytes: of a body.
        max_characters: of the texts of a request.
        max_lines: of the texts of a request.
        max_waiting: requests that may wait for their answer.
        requests_per_minute: of each client; None: no limit.
        timeout: seconds for a body to arrive, and for an answer.
        batch_window: seconds that a line waits for others.
        num_threads: threads that compute.
        splits: translate sentence by sentence, unless a request says otherwise.
        protects: keep links, e-mail addresses and numbers as they are.
        logs_texts: whether the log may have texts of users.
    """

    api_keys: tuple[bytes, ...] = ()
    origins: tuple[str, ...] = ()
    max_bytes: int = 1 << 20
    max_characters: int = 20_000
    max_lines: int = 1_000
    max_waiting: int = 32
    requests_per_minute: int | None = None
    timeout: float = 30.0
    batch_window: float = 0.005
    num_threads: int = 1
    splits: bool = True
    protects: bool = True
    logs_texts: bool = False

    def accepts_key(self, given: str) -> bool:
        """Return whether a key is one of the keys, compared with all of them in constant time."""
        digest = key_digest(given)
        found = [hmac.compare_digest(digest, key) for key in self.api_keys]
        return any(found)


def key_digest(key: str) -> bytes:
    """Return the SHA-256 of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
