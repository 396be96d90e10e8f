"""What a mail domain promises of its MX hosts (DANE, MTA-STS, TLS-RPT), and whether they keep it. Only `fetch` asks."""
