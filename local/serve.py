"""Keep the stack up with two image services, until Ctrl-C: `make serve PORT=8080`."""

import argparse
import signal
import sys

from exporttiles.cli.terminal import ProgressBar, say
from local.cloud import ROOT, LocalCloud, LocalCloudError
from local.compact_cache import make_compact_cache
from local.services import upload_and_publish
from local.world_cache import JPEG_QUALITY, make_xyz_cache

CACHES = ROOT / ".cache"
IMAGERY, RELIEF = "World_Imagery", "World_Relief"
RELIEF_MAX_LEVEL = 5


def main() -> None:
    """Serve until SIGINT or SIGTERM; whatever was started is stopped."""
    parser = argparse.ArgumentParser(prog="python -m local.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1 (8080)")
    port: int = parser.parse_args().port
    cut_caches()
    with LocalCloud(port=port, say=say) as cloud:
        imagery_url, relief_url = (upload_and_publish(cloud, CACHES / name) for name in (IMAGERY, RELIEF))
        say(f"\nSERVICE_URL={imagery_url}\nSERVICE_URL={relief_url}\n")
        say(f"curl '{relief_url}/exportTiles?tilePackage=true&levels=0-3&f=json'\n\nCtrl-C stops it.")
        signal.pause()


def cut_caches() -> None:
    """Cut World_Imagery as single files and World_Relief as a compact cache, unless they are there."""
    with ProgressBar(f"cutting {IMAGERY}") as bar:
        make_xyz_cache(CACHES / IMAGERY, progress=bar)
    tiles, relief = CACHES / f"{RELIEF}_tiles", CACHES / RELIEF
    with ProgressBar(f"cutting {RELIEF}") as bar:
        make_xyz_cache(tiles, source="etopo", max_level=RELIEF_MAX_LEVEL, progress=bar)
    if not (relief / "conf.xml").exists():
        make_compact_cache(tiles, relief, max_level=RELIEF_MAX_LEVEL, quality=JPEG_QUALITY)


if __name__ == "__main__":
    try:
        main()
    except LocalCloudError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
