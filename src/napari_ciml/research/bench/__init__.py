"""Speed beside the peers, in one run: what ``napari-ciml bench`` measures."""
