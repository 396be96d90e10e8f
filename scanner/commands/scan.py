"""`tlsweep scan`: its options, one a line, and the Config that they come to."""

import typer

from scanner.checks import check_inputs, check_outputs, read_block_list
from scanner.config import STDOUT, Config
from scanner.connection import Timeouts
from scanner.dry_run import show_plan
from scanner.limits import Limits
from scanner.log import LogFormat, configure_log
from scanner.looks import RETRIES
from scanner.options import conduct, further, pace, patience, streams, what
from scanner.options.values import (
    parse_listener,
    parse_network,
    parse_prefixes,
    parse_resolver,
    parse_services,
    parse_shard,
    parse_size,
    parse_versions,
    requested_probes,
)
from scanner.question import Wanted
from scanner.start import start
from targets.resolving.limits import DnsLimits
from targets.rules import Rules

_LIMITS, _DNS_LIMITS, _TIMEOUTS = Limits(), DnsLimits(), Timeouts()


def scan(
    targets: streams.Targets = None,
    inputs: streams.Inputs = None,
    input_format: streams.InputFormat = None,
    output: streams.OutputFile = STDOUT,
    resume: streams.Resume = False,
    rotate: streams.Rotate = None,
    dry_run: streams.DryRun = False,
    services: what.Services = "mail",
    mx: what.Mx = False,
    srv: what.Srv = False,
    seed: what.Seed = None,
    shard: what.Shard = None,
    ipv6_most: what.Ipv6Most = None,
    versions: what.Versions = "all",
    economical: what.Economical = False,
    der: what.Der = False,
    certificates: what.Certificates = None,
    trust: what.Trust = None,
    no_policy: what.NoPolicy = False,
    groups: further.Groups = False,
    ciphers: further.Ciphers = False,
    alpn: further.Alpn = False,
    resumption: further.Resumption = False,
    fallback_scsv: further.FallbackScsv = False,
    renegotiation: further.Renegotiation = False,
    compression: further.Compression = False,
    fingerprint: further.Fingerprints = False,
    test_injection: what.TestInjection = False,
    allow: conduct.Allow = None,
    exclude: conduct.Exclude = None,
    hello_name: conduct.HelloName = None,
    resolver: conduct.Resolvers = None,
    trust_ad: conduct.TrustAd = False,
    processes: pace.Processes = None,
    dns_queries: pace.DnsQueries = _DNS_LIMITS.queries,
    dns_rate: pace.DnsRate = _DNS_LIMITS.rate,
    endpoints: pace.Endpoints = _LIMITS.endpoints,
    connections: pace.Connections = _LIMITS.connections,
    rate: pace.Rate = _LIMITS.rate,
    per_address: pace.PerAddress = _LIMITS.per_address,
    per_address_rate: pace.PerAddressRate = _LIMITS.per_address_rate,
    per_network_rate: pace.PerNetworkRate = _LIMITS.per_network_rate,
    network_prefixes: pace.NetworkPrefixes = "24,48",
    deferred: pace.Deferred = _LIMITS.deferred,
    retries: patience.Retries = RETRIES,
    timeout_connect: patience.TimeoutConnect = _TIMEOUTS.connect_s,
    timeout_greeting: patience.TimeoutGreeting = _TIMEOUTS.greeting_s,
    timeout_reply: patience.TimeoutReply = _TIMEOUTS.reply_s,
    timeout_tls: patience.TimeoutTls = _TIMEOUTS.tls_s,
    deadline: patience.Deadline = _TIMEOUTS.deadline_s,
    progress: streams.Progress = True,
    metrics: streams.Metrics = None,
    log_format: streams.LogLook = LogFormat.CONSOLE,
) -> None:
    """Scan TARGETs, and those of --input, and write one JSON line for each endpoint.

    The defaults are polite: one connection at a time and one a second to an
    address, and no address of a special-purpose range.

    Exit status: 0 complete; 2 the command line or an input cannot be used;
    3 stopped early.
    """
    configure_log(log_format)
    config = Config(
        targets=tuple(targets or ()),
        inputs=tuple(inputs or ()),
        rules=Rules(input_format, mx=mx, srv=srv, ipv6_most=ipv6_most),
        seed=seed,
        shard=parse_shard(shard) if shard is not None else None,
        output=output,
        resume=resume,
        rotate_bytes=parse_size(rotate) if rotate is not None else None,
        certificates=certificates,
        services=parse_services(services),
        wanted=Wanted(
            parse_versions(versions),
            test_injection=test_injection,
            probes=requested_probes(
                groups=groups,
                ciphers=ciphers,
                alpn=alpn,
                resumption=resumption,
                fallback_scsv=fallback_scsv,
                renegotiation=renegotiation,
                compression=compression,
                fingerprints=fingerprint,
            ),
            economical=economical,
        ),
        allow=tuple(map(parse_network, allow or ())),
        exclude=tuple(exclude or ()),
        block=tuple(network for path in exclude or () for network in read_block_list(path)),
        resolvers=tuple(map(parse_resolver, resolver or ())),
        trust_ad=trust_ad,
        dns_limits=DnsLimits(dns_queries, dns_rate),
        processes=processes,
        limits=Limits(endpoints, connections, rate, per_address, per_address_rate, per_network_rate, deferred),
        prefixes=parse_prefixes(network_prefixes),
        timeouts=Timeouts(timeout_connect, timeout_greeting, timeout_reply, timeout_tls, deadline),
        retries=retries,
        hello_name=hello_name,
        trust=trust,
        der=der,
        with_policies=not no_policy,
        progress=progress,
        metrics=parse_listener(metrics) if metrics is not None else None,
    )
    check_inputs(config)
    if dry_run:
        raise typer.Exit(show_plan(config))
    check_outputs(config)
    raise typer.Exit(start(config))
