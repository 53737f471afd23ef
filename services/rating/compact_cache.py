"""Caches of millions of small entries within a bound of memory: rows by key, and keys alone.

Entries lie in buckets, each one string of bytes. A row costs its own bytes and key and some 20 more, where a dictionary's entry costs 200.
A key alone costs 8.
"""

from collections.abc import Iterable, Mapping

from msgspec.msgpack import Decoder, Encoder

# Each look decodes a whole bucket. With the 33 bytes that Python adds, a bucket is 512 bytes, the most that its own allocator takes:
# larger ones grow in the heap of C and leave holes there.
BUCKET_BYTES_MAX = 479
BUCKET_OVERHEAD_BYTES = 41
EMPTY = b"\x80"
HASH_BYTES = 8
HASHES_MAX = BUCKET_BYTES_MAX // HASH_BYTES
_encode = Encoder().encode
_decode = Decoder(dict[str, bytes]).decode


class CompactCache:
    """Rows by key. A full bucket drops the row that was kept longest ago."""

    def __init__(self, bytes_max: int) -> None:
        self._buckets = [EMPTY] * max(bytes_max // (BUCKET_BYTES_MAX + BUCKET_OVERHEAD_BYTES), 1)

    def find(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the rows of those of these keys that are cached."""
        buckets, count = self._buckets, len(self._buckets)
        found: dict[str, bytes] = {}
        for key in keys:
            row = _decode(buckets[hash(key) % count]).get(key)
            if row is not None:
                found[key] = row
        return found

    def keep(self, rows: Mapping[str, bytes]) -> None:
        """Keep these rows, each in place of the one that its key had."""
        for key, row in rows.items():
            place = hash(key) % len(self._buckets)
            entries = _decode(self._buckets[place])
            entries.pop(key, None)
            entries[key] = row
            self._buckets[place] = _within_bound(entries)

    def clear(self) -> None:
        """Drop all rows."""
        self._buckets = [EMPTY] * len(self._buckets)


def _within_bound(entries: dict[str, bytes]) -> bytes:
    while len(bucket := _encode(entries)) > BUCKET_BYTES_MAX:
        del entries[next(iter(entries))]
    return bucket


class CompactSet:
    """Keys by their hashes. A full bucket drops the key that was added longest ago; one key in 10^15 is taken for another."""

    def __init__(self, bytes_max: int) -> None:
        self._buckets = [b""] * max(bytes_max // (BUCKET_BYTES_MAX + BUCKET_OVERHEAD_BYTES), 1)

    def __contains__(self, key: str) -> bool:
        hashed = hash(key)
        return _bytes_of(hashed) in self._buckets[hashed % len(self._buckets)]

    def add(self, keys: Iterable[str]) -> None:
        """Add keys."""
        buckets, count = self._buckets, len(self._buckets)
        for key in keys:
            hashed = hash(key)
            entry, bucket = _bytes_of(hashed), buckets[hashed % count]
            if entry not in bucket:
                buckets[hashed % count] = (bucket + entry)[-HASHES_MAX * HASH_BYTES :]

    def discard(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        for key in keys:
            hashed = hash(key)
            place = hashed % len(self._buckets)
            self._buckets[place] = self._buckets[place].replace(_bytes_of(hashed), b"")


def _bytes_of(hashed: int) -> bytes:
    return hashed.to_bytes(HASH_BYTES, "little", signed=True)
