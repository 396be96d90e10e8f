"""Fuzzing: any bytes, from whoever writes them, against everything that reads them, and what must hold all the same.

targets.py        what is fuzzed, found in the registries: also a protocol that is added tomorrow
inputs.py         what the bytes of an input mean: which subject, how the wire ends, what is said
oracles.py        what holds for all of them: text, time, memory
dialogues.py      dialogues: any chunking, bounded sends, nothing echoed, nothing lost
hellos.py         TLS: the raw hellos, and OpenSSL against a server whose bytes are altered
readers.py        parsers of what comes from the wire, from files and from the command line
interviews.py     whole scans of one endpoint, down to the record and its schema
grammar.py        each protocol's go-ahead, and what may be said, written apart from the scanner's own code
shelf.py          files of inputs: corpus/ and regressions/
der.py            mutations of DER that keep its lengths right
__main__.py       `make fuzz`: shares the time out, keeps what was learnt
libfuzzer.py      one target under atheris, in a process of its own: the only module that needs it
test_shelf.py     `make test`: every input that is kept, through the same rules
test_oracles.py   the rules bite
"""
