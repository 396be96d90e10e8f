"""What a worker is told, and what it says: JSON lines, told apart by `type`.

    to a worker:    errand (first, once) ── endpoint ── tlsa ──▶ end | stop | abort | state
    from a worker:  endpoint | certificate (records as they are to be written) ── log | begun | report ──▶ over

Pure. A pipe that ends before `over`, or in the other direction before the worker is over, tells of a death.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from OpenSSL import crypto

from scanner.config import Config
from scanner.connection import Timeouts
from scanner.endpoint_result import TlsaToMatch
from scanner.limits import Limits
from scanner.mail_policy.dane import Tlsa
from scanner.pace import Learnt, Sign, SlowNetwork
from scanner.question import Wanted
from scanner.standing import Standing
from scanner.tls.names import Version
from scanner.trust import TrustStore
from targets.prefixes import Prefixes
from targets.services import SERVICES
from targets.target import Endpoint, Origin

Message = dict[str, Any]

END = b'{"type":"end"}'  # no more endpoints will come: be over when these are
STOP = b'{"type":"stop"}'  # as `Engine.stop`
ABORT = b'{"type":"abort"}'  # as `Engine.abort`
STATE = b'{"type":"state"}'  # print it to standard error
OVER = b'{"type":"over"}'


@dataclass(frozen=True, slots=True)
class Errand:
    """What a worker has to know before the first endpoint. Of the settings, those that an engine and a record need."""

    run_id: str
    config: Config
    with_certificates: bool = False
    trust: TrustStore | None = None


def errand_line(errand: Errand) -> bytes:
    """Certificates to be trusted go along: a file may change before a worker dies, and another takes its place."""
    config = errand.config
    anchors = (
        [crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in errand.trust.anchors] if errand.trust else []
    )
    return orjson.dumps(
        {
            "type": "errand",
            "run_id": errand.run_id,
            "with_certificates": errand.with_certificates,
            "wanted": asdict(config.wanted),
            "limits": asdict(config.limits),
            "prefixes": asdict(config.prefixes),
            "timeouts": asdict(config.timeouts),
            "retries": config.retries,
            "hello_name": config.hello_name,
            "der": config.der,
            "trust": [base64.b64encode(each).decode() for each in anchors] if errand.trust else None,
        }
    )


def read_errand(line: bytes) -> Errand:
    """The other way round."""
    said = orjson.loads(line)
    wanted = said["wanted"]
    versions, probes = tuple(map(Version, wanted["versions"])), tuple(wanted["probes"])
    config = Config(
        wanted=Wanted(**{**wanted, "versions": versions, "probes": probes}),
        limits=Limits(**said["limits"]),
        prefixes=Prefixes(**said["prefixes"]),
        timeouts=Timeouts(**said["timeouts"]),
        retries=said["retries"],
        hello_name=said["hello_name"],
        der=said["der"],
    )
    return Errand(said["run_id"], config, said["with_certificates"], _store(said["trust"]))


def _store(anchors: list[str] | None) -> TrustStore | None:
    if anchors is None:
        return None
    ders = map(base64.b64decode, anchors)
    return TrustStore(tuple(crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in ders), ())


def endpoint_line(endpoint: Endpoint, tlsa: TlsaToMatch | None) -> bytes:
    """An endpoint to scan, and what its chain is to be matched with."""
    origin = endpoint.origin
    message = {
        "type": "endpoint",
        "input": origin.input,
        "line": origin.line,
        "tags": origin.tags or None,
        "host": endpoint.host,
        "address": endpoint.address,
        "port": endpoint.port,
        "service": endpoint.service.name,
    }
    if tlsa:
        message["tlsa"] = _tlsa_part(tlsa)
    return orjson.dumps(message)


def read_endpoint(message: Message) -> tuple[Endpoint, TlsaToMatch | None]:
    """The other way round."""
    tags = message["tags"]
    origin = Origin(message["input"], message["line"], tags) if tags else Origin(message["input"], message["line"])
    service = SERVICES[message["service"]]
    return Endpoint(origin, message["host"], message["address"], message["port"], service), read_tlsa(message)


def tlsa_line(endpoint: Endpoint, tlsa: TlsaToMatch) -> bytes:
    """What the chain of an endpoint that was sent before is to be matched with."""
    return orjson.dumps({"type": "tlsa", "id": endpoint.id, "tlsa": _tlsa_part(tlsa)})


def read_tlsa(message: Message) -> TlsaToMatch | None:
    """What stands in a message of it."""
    part = message.get("tlsa")
    if part is None:
        return None
    records = (
        Tlsa(usage, selector, matching, bytes.fromhex(data)) for usage, selector, matching, data in part["records"]
    )
    return TlsaToMatch(part["base"], part["digest"], tuple(records))


def _tlsa_part(tlsa: TlsaToMatch) -> Mapping[str, Any]:
    records = [(each.usage, each.selector, each.matching, each.data.hex()) for each in tlsa.records]
    return {"base": tlsa.base, "digest": tlsa.digest, "records": records}


def begun_line(begun: int) -> bytes:
    """How many endpoints a worker has begun, which says too that it is alive."""
    return orjson.dumps({"type": "begun", "count": begun})


def report_line(standing: Standing, learnt: Learnt) -> bytes:
    """How a worker stands, and what it has learnt."""
    said = {
        "addresses": learnt.addresses,
        "networks": learnt.networks,
        "signs": {str(sign): count for sign, count in learnt.signs.items()},
        "slowest": [asdict(each) for each in learnt.slowest],
    }
    return orjson.dumps({"type": "report", "standing": standing.as_json(), "learnt": said})


def read_report(message: Message) -> tuple[Standing, Learnt]:
    """The other way round."""
    said = message["learnt"]
    signs = Counter[str]({Sign(sign): count for sign, count in said["signs"].items()})
    slowest = tuple(SlowNetwork(**each) for each in said["slowest"])
    return Standing.from_json(message["standing"]), Learnt(said["addresses"], said["networks"], signs, slowest)


def log_line(level: str, event: Mapping[str, Any]) -> bytes:
    """Something for the log; what is no text of its own is shown as it is."""
    said = {key: str(value).encode(errors="backslashreplace").decode() for key, value in event.items()}
    return orjson.dumps({"type": "log", "level": level, "said": said})
