"""Results of endpoints by their 64-bit hashes: two arrays of plain numbers, as `targets/seen.py` has one.

An entry takes 36 to 72 bytes: 8 for the hash and 16 for the result, in a table that is between a third and two thirds
full. A Python dict with an object each takes 250 and more.
"""

from array import array

VALUE_BYTES = 16
_SHARDS = 256  # by the first byte of the hash: no table grows so large that growing takes long
_FIRST_SLOTS = 8  # a power of two, as all sizes are
_SLOT_BYTES = 8 + VALUE_BYTES


class ResultTable:
    """From numbers of 64 bits, other than 0, to `VALUE_BYTES` bytes each."""

    def __init__(self) -> None:
        self._shards = [_Shard() for _ in range(_SHARDS)]

    def put(self, key: int, value: bytes) -> None:
        """Keep a value; another one under the same key is replaced."""
        self._shards[key >> 56].put(key, value)

    def get(self, key: int) -> bytes | None:
        """The value, where it is kept."""
        return self._shards[key >> 56].get(key)

    def __len__(self) -> int:
        return sum(shard.used for shard in self._shards)

    @property
    def nbytes(self) -> int:
        """What the slots take."""
        return sum(shard.slots for shard in self._shards) * _SLOT_BYTES


class _Shard:
    """Open addressing with linear probing; 0 marks a free slot."""

    __slots__ = ("_keys", "_values", "used")

    def __init__(self) -> None:
        self._make(_FIRST_SLOTS)
        self.used = 0

    @property
    def slots(self) -> int:
        return len(self._keys)

    def put(self, key: int, value: bytes) -> None:
        index = self._slot_of(key)
        if not self._keys[index]:
            self._keys[index] = key
            self.used += 1
        self._values[index * VALUE_BYTES : (index + 1) * VALUE_BYTES] = value
        if self.used * 3 > self.slots * 2:
            self._grow()

    def get(self, key: int) -> bytes | None:
        index = self._slot_of(key)
        return bytes(self._value_at(index)) if self._keys[index] else None

    def _value_at(self, index: int) -> bytearray:
        return self._values[index * VALUE_BYTES : (index + 1) * VALUE_BYTES]

    def _slot_of(self, key: int) -> int:
        keys, mask = self._keys, len(self._keys) - 1
        index = key & mask
        while (held := keys[index]) and held != key:
            index = index + 1 & mask
        return index

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._make(len(keys) * 2)
        for old, key in enumerate(keys):
            if key:
                index = self._slot_of(key)
                self._keys[index] = key
                start = old * VALUE_BYTES
                self._values[index * VALUE_BYTES : (index + 1) * VALUE_BYTES] = values[start : start + VALUE_BYTES]

    def _make(self, slots: int) -> None:
        self._keys = array("Q", bytes(slots * 8))
        self._values = bytearray(slots * VALUE_BYTES)
