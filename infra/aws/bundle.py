"""`python -m infra.aws.bundle --image EIF --config JSON -o FILE`: what a parent instance fetches and unpacks.

The same inputs give the same bytes, so that whoever reviews the stack's ArtifactSha256 can make it too.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration
from strongroom.signer.settings import Settings

PARENT: Final = Path(__file__).resolve().parent / "parent"
_INFRA: Final = PARENT.parent.parent
PROGRAMS: Final = {"parent": _INFRA / "enclave" / "parent" / "parent.py", "link": _INFRA / "link" / "link.py"}
"""In libexec, beside those of the folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.aws.bundle", description=__doc__)
    parser.add_argument("--image", type=Path, required=True, help="strongroom-enclave.eif")
    parser.add_argument("--config", type=Path, required=True, help="the signer's configuration file")
    parser.add_argument("--certificate", type=Path, help="this signer's for its link; its key is no part of a bundle")
    parser.add_argument("--pin", type=Path, help="the host's, which the link dials")
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        config = options.config.read_bytes()
        # A mistake here is found when the enclave starts, unless it is found now.
        Configuration.from_json(Settings.parse(config, str(options.config)).raw("attested"))
        made = bundle(options.image.read_bytes(), config, _certificates(options.certificate, options.pin))
        options.output.write_bytes(made)
    except Refusal as refusal:
        print(f"{refusal.code}: {refusal.reason}. {refusal.remedy}", file=sys.stderr)
        return 1
    print(hashlib.sha256(made).hexdigest())
    return 0


def _certificates(own: Path | None, host: Path | None) -> dict[str, bytes]:
    if own is None or host is None:
        if own is not host:
            raise Refusal("bad_file", "a link needs --certificate and --pin, both or neither")
        return {}
    certificates = {"own.crt": own.read_bytes(), "host.crt": host.read_bytes()}
    for path, content in zip((own, host), certificates.values(), strict=True):
        if content.count(b"-----BEGIN ") != 1 or b"-----BEGIN CERTIFICATE-----" not in content:
            # A bundle lies in a bucket and is shown to reviewers.
            raise Refusal("bad_file", f"{path} must hold one certificate in PEM and nothing else, no key above all")
    return certificates


def bundle(image: bytes, config: bytes, certificates: Mapping[str, bytes] = MappingProxyType({})) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, executable in sorted(_files(image, config, certificates)):
            entry = tarfile.TarInfo(f"parent/{name}")
            entry.size, entry.mode = len(content), 0o755 if executable else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def _files(image: bytes, config: bytes, certificates: Mapping[str, bytes]) -> Iterator[tuple[str, bytes, bool]]:
    yield "strongroom-enclave.eif", image, False
    yield "signer.json", config, False
    for name, content in certificates.items():
        yield f"link/{name}", content, False
    for name, path in PROGRAMS.items():
        yield f"libexec/{name}", path.read_bytes(), True
    for path in PARENT.rglob("*"):
        if path.is_file():
            yield path.relative_to(PARENT).as_posix(), path.read_bytes(), bool(path.stat().st_mode & 0o100)


if __name__ == "__main__":
    raise SystemExit(main())
