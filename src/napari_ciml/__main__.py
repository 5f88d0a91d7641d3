"""``python -m napari_ciml``."""

import sys

from napari_ciml.cli import main

sys.exit(main())
