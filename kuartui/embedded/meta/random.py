"""Random names and identities, in Kubernetes' alphabet."""

from __future__ import annotations

import hashlib
import random

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand: no vowels, no look-alikes
MAX_GENERATED = 63 - 5


def suffix(length: int = 5) -> str:
    return "".join(random.choices(ALPHABET, k=length))


def generate_name(prefix: str) -> str:
    """What generateName makes."""
    return prefix[:MAX_GENERATED] + suffix()


def uid() -> str:
    """A UUID of version 4 (RFC 9562). Nobody has to be unable to guess it, so no system call is spent on it: a cluster
    makes thousands."""
    digits = f"{random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def safe_hash(data: bytes, length: int = 10) -> str:
    """A stable hash in the safe alphabet, for pod-template-hash and its likes."""
    number = int.from_bytes(hashlib.blake2s(data, digest_size=8).digest())
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)
