"""Make docs/pictures/report.png, the top of the report of a training on sample_logs/, with headless Chromium.

python docs/screenshot.py
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from mr_als import cli

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "report.png"
SIZE = "1180,800"


def main() -> None:
    """Train, write the report, and take the picture."""
    browser = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder:
        model, page = f"{folder}/model", f"{folder}/report.html"
        cli.main(["train", str(ROOT / "sample_logs"), "--model", model, "--join", "shuffle", "-q"])
        cli.main(["report", "--model", model, "-o", page, "-q"])
        how = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}"]
        subprocess.run(
            [browser, *how, f"--user-data-dir={folder}/profile", f"--screenshot={PICTURE}", f"file://{page}"], check=True
        )


if __name__ == "__main__":
    main()
