"""The QR code of a certificate: an address in bytes, a statement in digits, one symbol at level M.

The tables are segno's and the symbol is the one `segno.make` draws with this mask, but what does
not depend on the content is learnt once a version: a symbol takes a tenth of the time.
Beyond version 17 the code would be wider than its box on the face, and is refused.
"""

import functools
from collections.abc import Callable
from itertools import chain, islice, zip_longest
from operator import itemgetter
from typing import Any, Final

import segno.consts
import segno.encoder

from signing.errors import StatementTooLong

consts: Any = segno.consts
encoder: Any = segno.encoder

MASK: Final = 2
VERSION_LIMIT: Final = 17
MODULE_WIDTH_MM: Final = 0.4
QUIET_ZONE_MODULES: Final = 4
_LEVEL = consts.ERROR_LEVEL_M


def width_mm(modules: int) -> float:
    """Measure a printed code of that many modules a side, quiet zone included."""
    return (modules + 2 * QUIET_ZONE_MODULES) * MODULE_WIDTH_MM


def matrix(url: str, digits: str) -> tuple[bytes, ...]:
    """Draw a code: one row of bytes a line of modules, 1 is dark, no quiet zone.

    Raises: StatementTooLong.
    """
    version, bits = _bits(url, digits)
    arrange, template = _layout(version)
    size = encoder.calc_matrix_size(version)
    placed = bytes(arrange(b"00" + _message(version, bits).encode()))
    modules = (int.from_bytes(placed) ^ template).to_bytes(size * size)
    return tuple(modules[start : start + size] for start in range(0, size * size, size))


def _bits(url: str, digits: str) -> tuple[int, str]:
    """Encode both segments in the smallest version that holds them (ISO/IEC 18004, 7.4)."""
    encoded = url.encode()
    address = f"{int.from_bytes(encoded):0{8 * len(encoded)}b}"
    groups = (digits[start : start + 3] for start in range(0, len(digits), 3))
    number = "".join(map(_group, groups))
    for version in range(1, VERSION_LIMIT + 1):
        bits = (
            _head(version, consts.MODE_BYTE, len(address) // 8)
            + address
            + _head(version, consts.MODE_NUMERIC, len(digits))
            + number
        )
        if len(bits) <= consts.SYMBOL_CAPACITY[version][_LEVEL]:
            return version, bits
    raise StatementTooLong(limit_mm=width_mm(encoder.calc_matrix_size(VERSION_LIMIT)))


@functools.cache
def _group(digits: str) -> str:
    return f"{int(digits):0{3 * len(digits) + 1}b}"


def _head(version: int, mode: int, count: int) -> str:
    width = consts.CHAR_COUNT_INDICATOR_LENGTH[mode][encoder.version_range(version)]
    return f"{mode:04b}{count:0{width}b}"


def _message(version: int, bits: str) -> str:
    """Pad, split into blocks, add their corrections and interleave (7.4.9 to 7.6)."""
    capacity = consts.SYMBOL_CAPACITY[version][_LEVEL]
    bits = (bits + "0000")[:capacity]
    bits += "0" * (-len(bits) % 8)
    padded = int(bits, 2).to_bytes(len(bits) // 8) + b"\xec\x11" * capacity
    codewords = iter(padded[: capacity // 8])
    blocks, corrections = [], []
    for kind in consts.ECC[version][_LEVEL]:
        for _ in range(kind.num_blocks):
            blocks.append(bytes(islice(codewords, kind.num_data)))
            corrections.append(_correction(blocks[-1], kind.num_total - kind.num_data))
    columns = chain(zip_longest(*blocks), zip_longest(*corrections))
    message = bytes(word for column in columns for word in column if word is not None)
    return f"{int.from_bytes(message):0{8 * len(message)}b}"


def _correction(block: bytes, count: int) -> bytes:
    """Divide a block by the generator of that many correction codewords (7.5.2)."""
    table, top = _multiples(count), 8 * (count - 1)
    rest = 0
    for word in block:
        lead = word ^ (rest >> top)
        rest = ((rest & ((1 << top) - 1)) << 8) ^ table[lead]
    return rest.to_bytes(count)


@functools.cache
def _multiples(count: int) -> tuple[int, ...]:
    """Multiply the generator, without its leading 1, by each element of the field."""
    power, log = consts.GALIOS_EXP, consts.GALIOS_LOG
    rows = (
        bytes(power[log[factor] + term] for term in consts.GEN_POLY[count])
        for factor in range(1, 256)
    )
    return (0, *(int.from_bytes(row) for row in rows))


@functools.cache
def _layout(version: int) -> tuple[Callable[[bytes], tuple[int, ...]], int]:
    """Learn from segno which bit each module shows, and what it shows where all bits are "0".

    The arrangement reads "00" and the message: modules of no bit read one of the two zeros.
    """
    size = encoder.calc_matrix_size(version)
    blank = encoder.make_matrix(size, size)
    encoder.add_finder_patterns(blank, size, size)
    encoder.add_alignment_patterns(blank, size, size)
    order = [list(row) for row in blank]
    places = sum(row.count(2) for row in blank)
    total = 8 * sum(kind.num_blocks * kind.num_total for kind in consts.ECC[version][_LEVEL])
    encoder.add_codewords(order, [*range(2, 2 + total), *[0] * (places - total)], version)
    encoder.add_codewords(blank, bytes(places), version)
    encoder.find_and_apply_best_mask(blank, size, size, MASK)
    encoder.add_format_info(blank, version, _LEVEL, MASK)
    encoder.add_version_info(blank, version)
    template = bytes(module ^ ord("0") for row in blank for module in row)
    return itemgetter(*chain.from_iterable(order)), int.from_bytes(template)
