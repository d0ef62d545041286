"""MediaWiki on MariaDB."""
