"""A plan in sentences, for people."""

from collections.abc import Iterator

from scanner.plan import Case, Kind, Limit, Plan
from targets.census import ADDRESSES_OF_A_NAME, ENDPOINTS_OF_A_DOMAIN

_WHAT = {Kind.SILENT: "If nobody answers", Kind.USUAL: "If all are usual servers"}
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def sentences(plan: Plan) -> Iterator[str]:
    """One a line."""
    services = ", ".join(f"{count:,} {service.name}" for service, count in plan.by_service.items() if count)
    yield f"{_counted(plan.endpoints, 'endpoint')}{': ' if services else ''}{services}"
    yield from _assumed(plan)
    yield from _left_out(plan)
    for case in plan.cases if plan.endpoints else ():
        yield from _case(case)
    yield "Nothing was sent, and nothing was written."


def duration(seconds: float) -> str:
    """In the two largest units that it has: `3 hours 20 minutes`."""
    left = max(1, round(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(_counted(count, unit) if count else "")
    return " ".join(filter(None, parts[:2]))


def _assumed(plan: Plan) -> Iterator[str]:
    census = plan.census
    if census.names:
        yield (
            f"  {_counted(len(census.names), 'name')} would be looked up, and count as if each had"
            f" {_counted(ADDRESSES_OF_A_NAME, 'address', 'addresses')}"
        )
    if census.domains:
        yield (
            f"  {_counted(len(census.domains), 'mail domain')} would be looked up, and count for"
            f" {plan.of_domains:,} endpoints, {ENDPOINTS_OF_A_DOMAIN} each: fewer where they share MX hosts"
        )


def _left_out(plan: Plan) -> Iterator[str]:
    if excluded := plan.census.excluded():
        yield "Left out: " + ", ".join(f"{count:,} {reason.value}" for reason, count in excluded.items())
    for name, count in plan.census.blocked.most_common():
        yield f"  {_counted(count, 'address', 'addresses')} by {name}"


def _case(case: Case) -> Iterator[str]:
    yield (
        f"{_WHAT[case.kind]}: {_counted(case.connections, 'connection')}, taken to last {case.connection_s:g} s each;"
        f" about {duration(case.seconds[case.decided_by])}"
    )
    yield f"  {_decision(case)}"


def _decision(case: Case) -> str:
    match case.decided_by:
        case Limit.PATIENCE:
            return "decided by timeouts, and the pauses before later looks"
        case Limit.PER_ADDRESS | Limit.PER_ADDRESS_RATE:
            crowd, place = case.busiest_address, "one address"
        case Limit.PER_NETWORK_RATE:
            crowd, place = case.busiest_network, "one network"
        case limit:
            return f"decided by --{limit.replace('_', '-')}"
    where = f"{crowd.place} gets" if crowd.place else f"{place} gets"
    return f"decided by --{case.decided_by.replace('_', '-')}: {where} {_counted(crowd.connections, 'connection')}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
