"""ClickHouse's `cityHash64`: CityHash of version 1.0.2, which differs from the later ones."""

from functools import lru_cache
from uuid import UUID

_K0, _K1, _K2, _K3 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F, 0xC949D7C7509E6557
_MUL = 0x9DDFEA08EB382D69
_MASK = 2**64 - 1


@lru_cache(maxsize=100_000)
def city_hash_64(text: bytes) -> int:
    """`cityHash64` of a String in ClickHouse."""
    size = len(text)
    if size <= 16:
        return _up_to_16(text, size)
    if size <= 32:
        return _up_to_32(text, size)
    return _up_to_64(text, size) if size <= 64 else _of_more(text, size)


def city_hash_of_uuid(id: str) -> int:
    """`cityHash64` of a UUID in ClickHouse, which hashes the bytes that it stores: each half from its last byte on."""
    digits = UUID(id).bytes
    return _up_to_16(digits[7::-1] + digits[:7:-1], 16)


def _up_to_16(text: bytes, size: int) -> int:
    if size > 8:
        last = _fetch(text, size - 8)
        return _mixed(_fetch(text, 0), _turned((last + size) & _MASK, size)) ^ last
    if size >= 4:
        return _mixed(size + (_fetch(text, 0, 4) << 3), _fetch(text, size - 4, 4))
    if not size:
        return _K2
    y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
    return _shifted(y * _K2 & _MASK ^ z * _K3 & _MASK) * _K2 & _MASK


def _up_to_32(text: bytes, size: int) -> int:
    a, b = _fetch(text, 0) * _K1 & _MASK, _fetch(text, 8)
    c, d = _fetch(text, size - 8) * _K2 & _MASK, _fetch(text, size - 16) * _K0
    return _mixed(
        (_turned((a - b) & _MASK, 43) + _turned(c, 30) + d) & _MASK, (a + _turned(b ^ _K3, 20) - c + size) & _MASK
    )


def _up_to_64(text: bytes, size: int) -> int:
    first = (_fetch(text, 0) + (size + _fetch(text, size - 16)) * _K0) & _MASK
    v = _half(first, _fetch(text, 8), _fetch(text, 16), _fetch(text, 24))
    first = (_fetch(text, 16) + _fetch(text, size - 32)) & _MASK
    w = _half(first, _fetch(text, size - 24), _fetch(text, size - 16), _fetch(text, size - 8))
    mixed = _shifted(((v[0] + w[1]) * _K2 + (w[0] + v[1]) * _K0) & _MASK)
    return _shifted((mixed * _K0 + v[1]) & _MASK) * _K2 & _MASK


def _half(a: int, second: int, third: int, z: int) -> tuple[int, int]:
    b, c = _turned((a + z) & _MASK, 52), _turned(a, 37)
    a = (a + second) & _MASK
    c += _turned(a, 7)
    a = (a + third) & _MASK
    return (a + z) & _MASK, (b + _turned(a, 31) + c) & _MASK


def _of_more(text: bytes, size: int) -> int:
    x, y, z = _fetch(text, 0), _fetch(text, size - 16) ^ _K1, _fetch(text, size - 56) ^ _K0
    v = _weak(text, size - 64, size, y)
    w = _weak(text, size - 32, size * _K1, _K0)
    z = (z + _shifted(v[1]) * _K1) & _MASK
    x = _turned((z + x) & _MASK, 39) * _K1 & _MASK
    y = _turned(y, 33) * _K1 & _MASK
    for at in range(0, (size - 1) & ~63, 64):
        x = _turned((x + y + v[0] + _fetch(text, at + 16)) & _MASK, 37) * _K1 & _MASK ^ w[1]
        y = _turned((y + v[1] + _fetch(text, at + 48)) & _MASK, 42) * _K1 & _MASK ^ v[0]
        z = _turned(z ^ w[0], 33)
        v = _weak(text, at, v[1] * _K1, x + w[0])
        w = _weak(text, at + 32, z + w[1], y)
        z, x = x, z
    left = (_mixed(v[0], w[0]) + _shifted(y) * _K1 + z) & _MASK
    return _mixed(left, (_mixed(v[1], w[1]) + x) & _MASK)


def _weak(text: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """Of 32 bytes and two seeds."""
    last = _fetch(text, at + 24)
    c = (a + _fetch(text, at)) & _MASK
    b = _turned((b + c + last) & _MASK, 21)
    a = (c + _fetch(text, at + 8) + _fetch(text, at + 16)) & _MASK
    return (a + last) & _MASK, (b + _turned(a, 44) + c) & _MASK


def _mixed(low: int, high: int) -> int:
    a = (low ^ high) * _MUL & _MASK
    b = (high ^ a ^ a >> 47) * _MUL & _MASK
    return (b ^ b >> 47) * _MUL & _MASK


def _fetch(text: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(text[at : at + size], "little")


def _turned(value: int, bits: int) -> int:
    return (value >> bits | value << (64 - bits)) & _MASK


def _shifted(value: int) -> int:
    return value ^ value >> 47
