"""Archives."""

import gzip
import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def gzip_packed(content: bytes) -> bytes:
    """One member of gzip."""
    return gzip.compress(content, mtime=0)


def zstd_packed(content: bytes, window_log: int | None = None) -> bytes:
    """One frame of zstd; with a window, one that says how far its reader has to look back."""
    if window_log is None:
        return zstd.compress(content)
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return packer.compress(content) + packer.flush()
