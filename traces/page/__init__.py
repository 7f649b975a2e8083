"""Pages that show runs: one self-contained HTML file, which opens from disk and loads nothing."""
