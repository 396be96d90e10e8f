"""One target under atheris, in a process of its own:

    python -m tests.fuzz.libfuzzer TARGET FOLDER [options of libFuzzer] CORPUS [SEEDS]

What breaks a rule is put into FOLDER, the first input for each place in the code, and the fuzzing goes on.
"""

import hashlib
import random
import shlex
import sys
import traceback
from pathlib import Path

import atheris

from tests.fuzz.der import mutated

# Under instrumentation everything takes longer; what is kept is measured again without it.
SLOWNESS = 2.5
MOST_DER_BYTES = 4_000


def main() -> None:
    """Fuzz until libFuzzer's options say to end; then the process ends."""
    name, folder, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["scanner", "targets"], enable_loader_override=False):
        from tests.fuzz.oracles import MAX_CPU_S, signature
        from tests.fuzz.targets import check

    seen: set[tuple[str, ...]] = set()

    def one_input(raw: bytes) -> None:
        try:
            check(name, raw, SLOWNESS * MAX_CPU_S)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in Rust is no Exception
            if (place := signature(error)) not in seen:
                seen.add(place)
                put_down(Path(folder), raw, error)

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        altered = mutated(data[2:], chance, lambda part: bytes(atheris.Mutate(part, len(part) + 64)))
        return (data[:2].ljust(2, b"\0") + altered)[: min(max_size, MOST_DER_BYTES)]

    # Where libFuzzer starts itself once more (to merge), it has a shell run its first argument.
    itself = shlex.join([sys.executable, "-m", "tests.fuzz.libfuzzer", name, folder])
    arguments = [itself, *options]
    if name == "certificate":
        atheris.Setup(arguments, one_input, custom_mutator=mutator)
    else:
        atheris.Setup(arguments, one_input)
    atheris.Fuzz()


def put_down(folder: Path, raw: bytes, error: BaseException) -> None:
    """Keep an input and what it broke."""
    name = hashlib.sha256(raw).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(raw)
    (folder / f"{name}.txt").write_text("".join(traceback.format_exception(error)), "utf-8")


if __name__ == "__main__":
    main()
