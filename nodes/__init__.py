"""One role a file, and the records that the roles share."""
