"""Whose turn it is to be begun: endpoints that were taken from the input, and have no place in flight yet.

Pure. Inputs name networks one after the other, and an address under many names. Were each begun as it comes, those of
one slow network would fill all places, and everybody else would wait for it. So networks take turns, and in each of
them its addresses do; and neither has more endpoints in flight than its pace can begin in some seconds:

    submit ──▶ held by its address ──▶ turns of its network ──▶ turns of all ──▶ in flight ──▶ over
                  │ fewer of it are        │ the same of its
                  ▼ in flight than may be  ▼ network
                 (waits for an end)       (waits for an end)
"""

from collections import Counter, deque
from math import inf

from scanner.limits import Limits, interval_of
from scanner.pace import Pace
from targets.target import Endpoint

MOST_HELD = 50_000  # endpoints; each takes some 500 bytes
CHOICE = 1_000  # networks that wait for their turn: with so many to choose from, more of the input is not needed
AHEAD_S = 10.0  # what a network, or an address, has in flight is what it can begin in this time
LEAST = 16  # and no less than this: a look takes more connections than one, and some wait for an answer


class _Network:
    """Its endpoints in flight, and those of its addresses that could go on."""

    __slots__ = ("addresses", "in_flight", "name", "turns", "waits_its_turn")

    def __init__(self, name: str) -> None:
        self.name = name
        self.addresses = 0  # that are known
        self.in_flight = 0
        self.turns: list[_Address] = []
        self.waits_its_turn = False


class _Address:
    """Its endpoints in flight, and those that are held."""

    __slots__ = ("held", "in_flight", "network", "waits_its_turn")

    def __init__(self, network: _Network) -> None:
        self.network = network
        self.in_flight = 0
        self.held: list[Endpoint] = []
        self.waits_its_turn = False


class Spread:
    """Takes endpoints in the order of the input, and gives them in an order that spreads networks."""

    def __init__(self, limits: Limits, pace: Pace) -> None:
        self._pace = pace
        self._per_address = _ahead(interval_of(limits.per_address_rate))
        self._has_limits = bool(limits.per_network_rate or limits.per_address_rate)
        self._addresses: dict[str, _Address] = {}
        self._networks: dict[str, _Network] = {}
        self._turns: deque[_Network] = deque()
        self.held = 0

    def has_room(self, *, places: bool) -> bool:
        """Is another endpoint of the input of any use now? `places`: are there free ones in flight?"""
        if not self._has_limits:
            return places
        return self.held < MOST_HELD and (places or len(self._turns) < CHOICE)

    def admit(self, endpoint: Endpoint, now: float) -> bool:
        """May it be begun at once, because nobody waits? Then it is in flight."""
        if self.held:
            return False
        if not self._has_limits:
            return True
        address = self._address(endpoint)
        network = address.network
        if address.in_flight >= self._per_address or network.in_flight >= self._most(network, now):
            return False
        address.in_flight += 1
        network.in_flight += 1
        return True

    def add(self, endpoint: Endpoint) -> None:
        """Hold an endpoint until its turn comes."""
        address = self._address(endpoint)
        address.held.append(endpoint)
        self.held += 1
        self._offer(address)

    def next(self, now: float) -> Endpoint | None:
        """The endpoint whose turn it is, in flight from now on; None if none may be. Tell its end with `over`."""
        while self._turns:
            network = self._turns.popleft()
            network.waits_its_turn = False
            if network.in_flight >= self._most(network, now):
                continue  # an end gives it its next turn
            address = network.turns.pop(0)
            address.waits_its_turn = False
            endpoint = address.held.pop(0) if address.in_flight < self._per_address else None
            if endpoint:
                self.held -= 1
                address.in_flight += 1
                network.in_flight += 1
                self._offer(address)
            self._offer_network(network)
            if endpoint:
                return endpoint
        return None

    def again(self, endpoint: Endpoint) -> None:
        """An endpoint is in flight once more, whatever else is."""
        if not self._has_limits:
            return
        address = self._address(endpoint)
        address.in_flight += 1
        address.network.in_flight += 1

    def over(self, endpoint: Endpoint) -> None:
        """An endpoint is not in flight any more."""
        if not self._has_limits:
            return
        address = self._addresses[endpoint.address]
        network = address.network
        address.in_flight -= 1
        network.in_flight -= 1
        if address.held:
            self._offer(address)
        elif not address.in_flight:
            self._forget(endpoint.address)
        self._offer_network(network)

    def held_by_network(self) -> Counter[str]:
        """How many endpoints are held, by network. Takes some milliseconds."""
        counts = Counter[str]()
        for address in self._addresses.values():
            if address.held:
                counts[address.network.name] += len(address.held)
        return counts

    def clear(self) -> int:
        """Let go of all that is held; how many."""
        held, self.held = self.held, 0
        self._turns.clear()
        for name, address in list(self._addresses.items()):
            address.held.clear()
            address.network.turns.clear()
            if not address.in_flight:
                self._forget(name)
        return held

    def _address(self, endpoint: Endpoint) -> _Address:
        address = self._addresses.get(endpoint.address)
        if address is None:
            name = self._pace.network_of(endpoint.address)
            network = self._networks.get(name)
            if network is None:
                network = self._networks[name] = _Network(name)
            network.addresses += 1
            address = self._addresses[endpoint.address] = _Address(network)
        return address

    def _forget(self, name: str) -> None:
        network = self._addresses.pop(name).network
        network.addresses -= 1
        if not network.addresses:
            del self._networks[network.name]

    def _offer(self, address: _Address) -> None:
        """Give an address its turn in its network, where it may have one."""
        if address.held and not address.waits_its_turn and address.in_flight < self._per_address:
            address.waits_its_turn = True
            address.network.turns.append(address)
            self._offer_network(address.network)

    def _offer_network(self, network: _Network) -> None:
        """The same for a network among all; whether it may have it is seen when it comes, for that depends on time."""
        if network.turns and not network.waits_its_turn:
            network.waits_its_turn = True
            self._turns.append(network)

    def _most(self, network: _Network, now: float) -> float:
        """How many of its endpoints may be in flight."""
        return _ahead(self._pace.interval_s(network.name, now))


def _ahead(interval_s: float) -> float:
    """How many endpoints may be in flight where connections are so far apart."""
    return max(LEAST, AHEAD_S / interval_s) if interval_s else inf
