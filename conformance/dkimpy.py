"""The other side of tests/dkim_interop.rs: dkimpy verifies and signs what is in a folder.

dkimpy.py FOLDER reads FOLDER/keys.json (names and TXT records), FOLDER/rsa.pem and FOLDER/ed25519 (the private keys).
- FOLDER/ours/*.eml: verifies every signature of each.
- FOLDER/plain/*.eml: signs each, alternating algorithms and canonicalizations, into FOLDER/dkimpy.
- FOLDER/sealed/*.eml: seals each one to three times, into FOLDER/arc.
Prints one JSON object: the results by file, true where a signature is good, and words where it is not.
"""

import json
import pathlib
import sys

import dkim


def main(folder):
    folder = pathlib.Path(folder)
    keys = {name: record.encode() for name, record in json.loads((folder / "keys.json").read_text()).items()}
    rsa = (folder / "rsa.pem").read_bytes()
    ed25519 = (folder / "ed25519").read_bytes().strip()

    def lookup(name, timeout=5):
        return keys.get(name.decode().rstrip("."))

    results = {}
    for path in sorted((folder / "ours").glob("*.eml")):
        message = path.read_bytes()
        count = sum(1 for line in message.split(b"\r\n\r\n")[0].split(b"\r\n") if line.startswith(b"DKIM-Signature:"))
        results[path.name] = [verified(message, index, lookup) for index in range(count)]

    (folder / "dkimpy").mkdir()
    choices = [(a, b) for a in (b"simple", b"relaxed") for b in (b"simple", b"relaxed")]
    for index, path in enumerate(sorted((folder / "plain").glob("*.eml"))):
        message = path.read_bytes()
        algorithm, key, selector = [
            (b"rsa-sha256", rsa, b"rsa"),
            (b"ed25519-sha256", ed25519, b"ed25519"),
        ][index // 4 % 2]
        signature = dkim.DKIM(message, signature_algorithm=algorithm).sign(
            selector, b"example.org", key, canonicalize=choices[index % 4]
        )
        (folder / "dkimpy" / path.name).write_bytes(signature + message)

    (folder / "arc").mkdir()
    for index, path in enumerate(sorted((folder / "sealed").glob("*.eml"))):
        message = path.read_bytes()
        for instance in range(1, index % 3 + 2):
            found = b"none" if instance == 1 else b"pass"
            results_field = b"Authentication-Results: mx.example; arc=" + found + b"\r\n"
            fields = dkim.ARC(results_field + message).sign(b"rsa", b"example.org", rsa, b"mx.example")
            message = b"".join(fields) + message
        (folder / "arc" / path.name).write_bytes(message)
        status, _, reason = dkim.ARC(message).verify(lookup)
        assert status == dkim.CV_Pass, reason
    json.dump(results, sys.stdout)


def verified(message, index, lookup):
    try:
        return dkim.DKIM(message).verify(index, lookup)
    except dkim.DKIMException as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(*sys.argv[1:])
