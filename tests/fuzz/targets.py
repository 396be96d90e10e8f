"""What is fuzzed. A protocol that the registry gains is here without another line."""

from collections.abc import Iterable
from functools import partial
from typing import Protocol

from scanner.probes import PROBES
from scanner.starttls import SPOKEN
from scanner.tls.names import Version
from tests.fuzz import files, policies, readers
from tests.fuzz.dialogues import ProtocolTarget
from tests.fuzz.hellos import ANSWERS, AlteredTarget, HandshakeTarget, HelloTarget
from tests.fuzz.inputs import Input, read
from tests.fuzz.interviews import InterviewTarget
from tests.fuzz.oracles import MAX_CPU_S, within_time
from tests.fuzz.probes import ProbeTarget
from tests.fuzz.readers import Reader, plain_seeds
from tests.scanner.transcript import every_transcript


class Target(Protocol):
    """Something that takes any bytes."""

    def check(self, given: Input) -> None:
        """Raises what it raises, and Broken, when a rule does not hold for this input."""

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""

    def words(self) -> list[bytes]:
        """What is worth putting into inputs."""


def _targets() -> dict[str, Target]:
    targets: dict[str, Target] = {}
    for protocol, spoken in SPOKEN.items():
        targets[f"starttls-{protocol}"] = ProtocolTarget(protocol, spoken)
        if framing := spoken.framing:
            packets = (framing().wrap(answer) for answer in ANSWERS)
            targets[f"framing-{protocol}"] = Reader(
                partial(readers.check_framing, framing), plain_seeds([*packets, b"\x12\x01\x00\x08\0\0\0\0", b"\x04"])
            )
    for version in Version:
        targets[f"hello-{version.value}"] = HelloTarget(version)
    for name in PROBES:
        targets[f"probe-{name}"] = ProbeTarget(name)
    return targets | {
        "handshake": HandshakeTarget(),
        "handshake-altered": AlteredTarget(),
        "certificate": Reader(readers.check_certificate, readers.certificate_seeds),
        "staple": Reader(readers.check_staple, readers.staple_seeds),
        "scts": Reader(readers.check_scts, plain_seeds(readers.sct_lists())),
        "first-flight": Reader(readers.check_first_flight, plain_seeds(readers.first_flights())),
        "der": Reader(readers.check_der, readers.certificate_seeds),
        "key-exchange": Reader(readers.check_key_exchange, plain_seeds(readers.key_exchanges())),
        "flight": Reader(readers.check_flight, plain_seeds(readers.first_flights())),
        "jarm": Reader(readers.check_jarm, plain_seeds(ANSWERS)),
        "overheard": Reader(readers.check_overheard, plain_seeds(readers.overheard())),
        "dns-reply": Reader(readers.check_dns_reply, readers.dns_replies),
        "text": Reader(
            readers.check_text, plain_seeds([b"plain", b"\x1b[31m\x85\xe2\x80\xae", "ü\U0001f4e7".encode()])
        ),
        "hint": Reader(readers.check_hint, plain_seeds(readers.first_words()), readers.first_words),
        "ber": Reader(readers.check_ber, plain_seeds(_said_by("ldap"))),
        "xml": Reader(readers.check_xml, plain_seeds(_said_by("xmpp"))),
        "tlsa": Reader(policies.check_tlsa, policies.tlsa_seeds),
        "sts-record": Reader(policies.check_sts_record, plain_seeds(policies.STS_RECORDS)),
        "sts-policy": Reader(policies.check_sts_policy, policies.policy_seeds),
        "tls-rpt": Reader(policies.check_tls_rpt, plain_seeds(policies.TLS_RPT_RECORDS)),
        "targets": Reader(files.check_targets, files.target_seeds),
        "forms": Reader(files.check_forms, files.form_seeds),
        "archive": Reader(files.check_archive, files.archive_seeds),
        "block-list": Reader(files.check_block_list, plain_seeds([b"192.0.2.0/24 # a\n::/0\n", b"10.0.0.1\n"])),
        "hostname": Reader(files.check_hostname, plain_seeds(files.TARGET_LINES)),
        "lines": Reader(files.check_lines, plain_seeds([b"one\ntwo\r\n\n", b"x" * 70 + b"\ny"])),
        "arguments": Reader(readers.check_arguments, readers.argument_seeds),
        "interview": InterviewTarget(),
    }


def _said_by(protocol: str) -> list[bytes]:
    return [each.server_bytes for each in every_transcript(protocol) if len(each.server_bytes) < 2_048]


TARGETS = _targets()


def check(name: str, raw: bytes, most_s: float = MAX_CPU_S) -> None:
    """Try an input on a target; it may not take longer than that."""
    target, given = TARGETS[name], read(raw)
    within_time(lambda: target.check(given), most_s)
