"""Mutations of DER that keep its lengths right: without them, whatever is altered is refused at the first length."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

MOST_DEPTH = 24
_CONSTRUCTED = 0x20
_WRAPPERS = (0x03, 0x04)  # BIT STRING and OCTET STRING hold DER in keys and extensions


@dataclass(slots=True)
class Node:
    """An element: of others, or of bytes. `lead` is what stands before those others in a wrapper."""

    tag: int
    content: bytes = b""
    children: list["Node"] = field(default_factory=list)
    lead: bytes = b""

    def encoded(self) -> bytes:
        """With its length, in the shortest form."""
        content = self.lead + b"".join(child.encoded() for child in self.children) if self.children else self.content
        return bytes([self.tag]) + _length(len(content)) + content


def _length(size: int) -> bytes:
    """In the shortest form, which is the only one (X.690 §10.1)."""
    if size < 0x80:
        return bytes([size])
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(length)]) + length


def nodes_of(data: bytes, depth: int = 0) -> list[Node] | None:
    """The elements that `data` is, or None."""
    found: list[Node] = []
    at = 0
    while at < len(data):
        if at + 2 > len(data) or depth > MOST_DEPTH:
            return None
        tag, size, start = data[at], data[at + 1], at + 2
        if size >= 0x80:
            start += size - 0x80
            size = int.from_bytes(data[at + 2 : start], "big")
        if start + size > len(data) or data[at + 1 : start] != _length(size):  # bytes of a key may look like BER
            return None
        found.append(_node(tag, data[start : start + size], depth))
        at = start + size
    return found


def _node(tag: int, content: bytes, depth: int) -> Node:
    lead = b"\0" if tag == 0x03 and content[:1] == b"\0" else b""
    may_hold_others = tag & _CONSTRUCTED or tag in _WRAPPERS
    children = nodes_of(content[len(lead) :], depth + 1) if may_hold_others else None
    return Node(tag, content, children, lead) if children else Node(tag, content)


def mutated(data: bytes, chance: random.Random, mutate: Callable[[bytes], bytes]) -> bytes:
    """`data` with one element altered, or taken out, doubled, moved, or given another tag; or `mutate` of all of it."""
    roots = nodes_of(data)
    if not roots:
        return mutate(data)
    parents = list(_parents(Node(0x30, children=roots)))
    whole = parents[0]
    parent = chance.choice(parents)
    at = chance.randrange(len(parent.children))
    node = parent.children[at]
    match chance.randrange(6):
        case 0 | 1:
            parent.children[at] = Node(node.tag, mutate(node.encoded()[2:] if node.children else node.content))
        case 2:
            parent.children[at:at] = [node] * chance.choice((1, 1, 2, 16, 128))
        case 3:
            del parent.children[at]
        case 4:
            node.tag = chance.choice((node.tag ^ 1 << chance.randrange(8), *range(1, 0x1F), 0x30, 0x31, 0x80, 0xA0))
        case _:
            other = chance.choice(parents)
            parent.children[at] = deepcopy(chance.choice(other.children))
    return b"".join(child.encoded() for child in whole.children) or data


def _parents(node: Node) -> list[Node]:
    found = [node] if node.children else []
    for child in node.children:
        found += _parents(child)
    return found
