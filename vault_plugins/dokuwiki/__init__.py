"""DokuWiki: a wiki in files."""
